//! The options of every command.

use std::path::PathBuf;

use clap::{
    ArgAction, Args, ValueEnum, ValueHint,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use hostler_daemon::control::DEFAULT_SOCKET;
use hostler_decide::identity::RawRule;

const RULE_LONG_HELP: &str = "\
Make an agent of the processes that match, as NAME=KEY:VALUE[,KEY:VALUE…]; may be given several \
times

A process matches if all these keys do: cgroup (glob of its v2 path), cmdline (regular expression), \
comm (glob), env (VARIABLE=GLOB), uid, unit (glob of its systemd unit), pod_namespace (glob), \
pod_label (LABEL=GLOB). The first rule that matches wins; children belong to their parent's agent \
unless a rule says otherwise; of whom no rule says anything, the cgroup decides. `group` gives the \
group if not NAME, `kind:system` says that it is a part of the host, and `agent` how the agents are \
named, from {comm}, {pid}, {uid}, {unit}, {cgroup}, {rule}, {group}, {env:VARIABLE} and captures of \
cmdline; without it, each tree of processes is an agent. A comma in a value is written `\\,`.

Example: --rule 'mcp=cmdline:mcp-server-(\\w+),agent:{1}'";

const RULES_LONG_HELP: &str = "\
Read more rules from a TOML file; those of --rule come first

  [[rule]]
  name = \"mcp\"
  match.cmdline = 'mcp-server-(?P<server>\\w+)'
  agent = \"{server}\"

  [[rule]]
  name = \"host\"
  kind = \"system\"
  match.unit = \"ssh.service\"";

/// What holds for every command.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct GlobalArgs {
    /// Say more about what Hostler does, on standard error; -vv says still more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colours; `auto` also heeds the variable `NO_COLOR`
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorWhen,
    /// Make an agent of the processes that match, as NAME=KEY:VALUE[,KEY:VALUE…]
    #[arg(long = "rule", global = true, value_name = "RULE", long_help = RULE_LONG_HELP)]
    pub(crate) rules: Vec<RawRule>,
    /// Read more rules from a TOML file; those of --rule come first
    #[arg(long = "rules", global = true, value_name = "FILE", value_hint = ValueHint::FilePath,
          long_help = RULES_LONG_HELP)]
    pub(crate) rules_file: Option<PathBuf>,
    /// The socket of the daemon, which is asked where it measures what is wanted; "" for none
    #[arg(long, global = true, value_name = "PATH", env = "HOSTLER_SOCKET",
          default_value = DEFAULT_SOCKET, value_hint = ValueHint::FilePath,
          // That of a path refuses the empty one.
          value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) socket: PathBuf,
    /// Load probes of its own also where a daemon runs
    #[arg(long, global = true)]
    pub(crate) own_probes: bool,
    /// Where to find threads that are older than Hostler; the best source that works if not given
    #[arg(long, global = true, value_enum, value_name = "SOURCE", hide = true)]
    pub(crate) threads_from: Option<ThreadsFrom>,
    /// Which clock the scheduler's programs read; the best that works if not given
    #[arg(long, global = true, value_enum, value_name = "CLOCK", hide = true)]
    pub(crate) clock: Option<Clock>,
}

impl GlobalArgs {
    /// Whether it is told how to measure or whose processes are whose, as only probes of its own can.
    pub(crate) fn says_how_to_measure(&self) -> bool {
        !self.rules.is_empty()
            || self.rules_file.is_some()
            || self.threads_from.is_some()
            || self.clock.is_some()
    }
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// If the output is a terminal and `NO_COLOR` is not set
    #[default]
    Auto,
    /// Also in a file or a pipe
    Always,
    /// Not at all
    Never,
}

impl ColorWhen {
    /// Whether to colour an output that is a terminal or is not, where `NO_COLOR` has the value
    /// `no_color`. An empty value counts as unset, as <https://no-color.org> has it.
    pub(crate) fn applies(self, is_terminal: bool, no_color: Option<&std::ffi::OsStr>) -> bool {
        match self {
            Self::Auto => is_terminal && no_color.is_none_or(std::ffi::OsStr::is_empty),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Which clock the scheduler's programs read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Clock {
    /// The run queues' own
    RunQueue,
    /// The monotonic one
    Monotonic,
}

/// Where to find threads that are older than Hostler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ThreadsFrom {
    /// The kernel's task iterator
    Iterator,
    /// The files below /proc
    Procfs,
}
