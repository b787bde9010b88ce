//! The options of `hostler explain`.

use std::time::Duration;

use clap::Args;

use super::{AgentPattern, options::parse_long, source::SourceArgs, time_span::parse_duration};

const EXAMPLES: &str = "\
Examples:
  hostler explain agents/coder                  watch it for 5 s, then explain
  hostler explain '*coder*' --duration 30s      a pattern that fits one agent
  hostler explain ssh.service --json | jq .reasons
  hostler explain agents/coder --from load.rec --at +90s";

pub(super) const EXPLAIN_HELP: &str = "\
Say where an agent's time went, and what held it up

Watches one agent for a while, then says where the time of its threads went and gives the reasons \
that cost most of it, at most three: which agent took the CPU from it, its own threads, a CPU \
quota, block I/O. Each comes with its numbers and with what may help.";

const AGENT_HELP: &str = "\
The agent: its name, or a pattern that only its name matches

The pattern must match the whole name or its last path component. `*` stands for any characters, \
'/' included, `?` for one, `[ab]` for one of these, `{x,y}` for either. A backslash is an ordinary \
character, as it is in systemd's names. `hostler agents` lists the names.";

/// Which agent to explain, and how.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// The agent: its name, or a pattern that only its name matches
    #[arg(value_name = "AGENT", long_help = AGENT_HELP)]
    pub(crate) agent: AgentPattern,
    /// How long to watch, if not given 5s, or to the end of a recording; Ctrl-C ends it early
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,
    /// The shortest wait that is laid to somebody; if not given, 1ms
    #[arg(long, value_name = "TIME", value_parser = parse_long)]
    pub(crate) long: Option<Duration>,
    /// Write one JSON object on one line instead of text
    #[arg(long)]
    pub(crate) json: bool,
    /// Where it comes from.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

impl ExplainArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        self.source
            .contradiction(&[("--long", self.long.is_some())])
    }
}
