//! The options of `hostler topology` and `hostler trace wakes`.

use std::time::Duration;

use clap::Args;

use super::{
    options::{TraceArgs, at_least_one},
    source::SourceArgs,
    time_span::parse_duration,
};

const WAKES_EXAMPLES: &str = "\
Examples:
  hostler trace wakes --duration 10s         who wakes whom, most often first
  hostler trace wakes --agent '*coder*' --interval 5s --json";

pub(super) const WAKES_HELP: &str = "\
Measure who wakes whom

Each line is an agent that was woken and who woke it: another agent, a thread of its own, a kernel \
thread, or interrupts, which are timers and devices; who sends over loopback wakes who receives. Agents \
that wake each other often do better on one node: OTHER NODE is the part of the wake-ups by a CPU of another NUMA node than the one where the woken \
thread ran last. LATELY is the rate in which wake-ups of half a minute ago count half.

Four programs more run at wake-ups, timers and requests of the network, and four at interrupts.";

/// Of which agents to count wake-ups, and how.
#[derive(Args, Debug)]
#[command(after_long_help = WAKES_EXAMPLES)]
pub(crate) struct WakesArgs {
    /// Of which agents, as woken or waking, when and how.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Show the N with most wake-ups; JSON and CSV hold all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "20")]
    pub(crate) top: usize,
}

const TOPOLOGY_EXAMPLES: &str = "\
Examples:
  hostler topology                  the host's shape, and what runs where
  hostler topology --duration 10s --top 10
  hostler topology --json | jq .nodes";

pub(super) const TOPOLOGY_HELP: &str = "\
Show the host's shape, and what runs where

Draws each NUMA node with its memory and its distance to others, and the CPUs that share a last-level \
cache, each with how busy it was. Below each node are the agents that ran there most, with the part of \
their time that they spent on it, the part of their anonymous memory that lies on it, and how often a \
thread of theirs was moved to another node.

Where memory lies is looked at for 3 ms a second (200 ms at the start), at each agent every half minute \
at the most; agents with a process of more than 8 GiB are left out, since the kernel walks all of it.";

/// What to show of the host's shape.
#[derive(Args, Debug)]
#[command(after_long_help = TOPOLOGY_EXAMPLES)]
pub(crate) struct TopologyArgs {
    /// How long to watch, if not given 1s, or to the end of a recording; Ctrl-C ends it early
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,
    /// Show the N agents that ran most on each node; JSON holds all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "5")]
    pub(crate) top: usize,
    /// Write one JSON object on one line instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Where it comes from.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

impl TopologyArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        self.source.contradiction(&[])
    }
}
