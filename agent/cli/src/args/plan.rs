//! The options of `hostler plan`.

use std::time::Duration;

use clap::Args;

use super::{AgentPattern, options::at_least_one, source::SourceArgs, time_span::parse_duration};

const EXAMPLES: &str = "\
Examples:
  hostler plan                          watch for 10 s, then say what to move
  hostler plan --duration 1m --leave '*db*'
  hostler plan --from load.rec          what would have been moved then
  hostler plan --json | jq -r '.steps[].because'";

pub(super) const PLAN_HELP: &str = "\
Say which agents had better run on another NUMA node, and why; nothing is changed

Watches the host for a while, then says which agents (or agents that wake each other) to move to which \
node, and below which last-level cache, together with their memory. What is made small is the CPU time \
that the host loses each second: to memory of other nodes, to wake-ups across nodes, to nodes without \
room and uneven ones. A move must pay for itself within a minute. Parts of the host are never moved.

Each step says what led to it, what it gains and costs, and against whom one would see whether it \
helped. A host with one node has nothing to plan.";

/// What to plan by, and how to show it.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct PlanArgs {
    /// How long to watch, if not given 10s, or to the end of a recording; Ctrl-C ends it early
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,
    /// Leave the agents that match where they are; can be given several times
    #[arg(long, value_name = "PATTERN")]
    pub(crate) leave: Vec<AgentPattern>,
    /// Show the N steps that gain most; JSON holds all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "20")]
    pub(crate) top: usize,
    /// Write one JSON object on one line instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Where it comes from.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

impl PlanArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        self.source.contradiction(&[])
    }
}
