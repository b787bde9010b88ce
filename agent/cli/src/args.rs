//! The command line: what may be typed, and what it means.

mod changes;
mod exec;
mod explain;
mod export;
mod global;
mod options;
mod past;
mod placement;
mod plan;
mod record;
mod run;
mod source;
mod time_span;

use clap::{
    ArgMatches, Args as _, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint,
    error::ErrorKind, parser::ValueSource,
};
use std::{ffi::OsString, path::PathBuf};

use changes::{JOURNAL_HELP, PAUSE_EXAMPLES, PAUSE_HELP, RESUME_EXAMPLES, UNDO_HELP};
pub(crate) use changes::{JournalArgs, UndoArgs};
use exec::EXEC_HELP;
pub(crate) use exec::ExecArgs;
use explain::EXPLAIN_HELP;
pub(crate) use explain::ExplainArgs;
use export::EXPORT_HELP;
pub(crate) use export::{ExportArgs, ExportFormat};
pub(crate) use global::{Clock, ColorWhen, GlobalArgs, ThreadsFrom};
pub(crate) use hostler_decide::agent_pattern::{AgentPattern, selects};
use options::{ALL_HELP, FAULTS_HELP, LEDGER_HELP, PRESSURE_HELP, RTT_HELP};
pub(crate) use options::{
    AgentsArgs, AllArgs, By, DoctorArgs, FaultsArgs, Format, GroupBy, LedgerArgs, LiveArgs,
    PeerArgs, PressureArgs, RttArgs, RunqArgs, TraceArgs,
};
pub(crate) use past::{PastArgs, ReportArgs, TrendArgs};
use past::{REPORT_HELP, TREND_HELP};
use placement::{TOPOLOGY_HELP, WAKES_HELP};
pub(crate) use placement::{TopologyArgs, WakesArgs};
use plan::PLAN_HELP;
pub(crate) use plan::PlanArgs;
use record::{RECORD_HELP, REPLAY_HELP};
pub(crate) use record::{RecordArgs, ReplayArgs};
pub(crate) use run::{ConfigCommand, RunArgs, StatusArgs};
use run::{RUN_HELP, STATUS_EXAMPLES};
pub(crate) use source::SourceArgs;

const EXAMPLES: &str = "\
Examples:
  hostler                            watch this host, a new table each second
  hostler --once --agent '*mcp*'     one table of some agents, then exit
  hostler trace runq --duration 10s  how long each agent waited for a CPU
  hostler explain agents/coder       what held one agent up
  hostler topology                   nodes, caches, and what runs where
  hostler plan                       what had better run elsewhere, and why
  hostler journal                    what was changed, and what came of it
  hostler exec -- ./agent            start a command as an agent
  hostler record load.rec            keep all signals, to look at them later
  hostler doctor                     what Hostler can measure on this host
  hostler run                        the daemon, with metrics for Prometheus
  hostler status                     how the daemon does
  hostler trend --last 24h           what the daemon has kept of the past

Exit status:
  0  all went well
  1  this host does not allow it, or something failed
  2  the command line is wrong";

const TRACE_EXAMPLES: &str = "\
Examples:
  hostler trace runq --duration 10s  how long each agent waited for a CPU
  hostler trace runq --by preemptor  who made whom wait, until Ctrl-C
  hostler trace ledger --interval 5s where the time of each agent went
  hostler trace faults --interval 1s page faults, minor and major
  hostler trace rtt --duration 10s   TCP round trips, by agent and peer
  hostler trace pressure             time lost for want of CPU, memory, I/O
  hostler trace wakes --duration 10s who wakes whom
  hostler trace all --interval 5s    most of these, one line for each agent";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  hostler completions bash > /etc/bash_completion.d/hostler
  hostler completions fish > ~/.config/fish/completions/hostler.fish";

const MAN_EXAMPLES: &str = "\
Examples:
  hostler man | man -l -                      read the main page
  hostler man --dir /usr/local/share/man/man1  install all pages";

/// See which AI agent on this host waits for a CPU, and how long.
///
/// Hostler measures, for each agent on this host, how long its threads wait for a CPU after they
/// were woken or preempted. An agent is a control group that holds processes; in the root control
/// group, where no group tells them apart, it is a program in a session.
///
/// Without a command, Hostler shows a live view: the agents that waited longest, refreshed each
/// interval. It needs root, or the capabilities `CAP_BPF` and `CAP_PERFMON`.
#[derive(Debug, Parser)]
#[command(name = "hostler", version, disable_help_subcommand = true, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// What holds for every command.
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// How the live view is shown; only meaningful without a command.
    #[command(flatten)]
    pub(crate) live: LiveArgs,
    /// What to do; without it, the live view.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure one signal in detail and report it
    #[command(subcommand, after_long_help = TRACE_EXAMPLES)]
    Trace(TraceCommand),
    /// Say where an agent's time went, and what held it up
    #[command(long_about = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// Show the host's shape, and what runs where
    #[command(long_about = TOPOLOGY_HELP)]
    Topology(TopologyArgs),
    /// Say which agents had better run on another NUMA node, and why; nothing is changed
    #[command(long_about = PLAN_HELP)]
    Plan(PlanArgs),
    /// Show what Hostler has changed on this host, why, and what became of it
    #[command(long_about = JOURNAL_HELP)]
    Journal(JournalArgs),
    /// Take back what Hostler has changed on this host
    #[command(long_about = UNDO_HELP)]
    Undo(UndoArgs),
    /// Make the daemon change nothing more on this host, until it is resumed
    #[command(long_about = PAUSE_HELP, after_long_help = PAUSE_EXAMPLES)]
    Pause,
    /// Let the daemon change this host again, after a pause or `hostler undo --all`
    #[command(after_long_help = RESUME_EXAMPLES)]
    Resume,
    /// Start a command as an agent, where CPUs are idle, with pools that fit
    #[command(long_about = EXEC_HELP)]
    Exec(ExecArgs),
    /// Record all signals of all agents
    #[command(long_about = RECORD_HELP)]
    Record(RecordArgs),
    /// Show a recording as the live view would have shown the host
    #[command(long_about = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// List the agents on this host
    Agents(AgentsArgs),
    /// Write what is measured, or was recorded, as metrics for other programs
    #[command(long_about = EXPORT_HELP)]
    Export(ExportArgs),
    /// Measure this host for as long as it runs, and serve metrics
    #[command(long_about = RUN_HELP)]
    Run(RunArgs),
    /// Plot what the host, a group or an agent did in the past
    #[command(long_about = TREND_HELP)]
    Trend(TrendArgs),
    /// Say what happened on this host: its trends, and the agents that did most
    #[command(long_about = REPORT_HELP)]
    Report(ReportArgs),
    /// Say how the daemon of this host does
    #[command(after_long_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Check, show or print a configuration of the daemon, or make it read its own again
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Say what Hostler can measure on this host, from which sources, and at what cost
    Doctor(DoctorArgs),
    /// Print a completion script for a shell
    #[command(after_long_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell to complete for
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one page for each command
    #[command(after_long_help = MAN_EXAMPLES)]
    Man {
        /// Write hostler.1, hostler-trace-runq.1 and so on into this directory
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        dir: Option<PathBuf>,
    },
}

/// The signals that can be traced.
#[derive(Debug, Subcommand)]
pub(crate) enum TraceCommand {
    /// Measure how long each agent waits for a CPU
    Runq(RunqArgs),
    /// Count the page faults of each agent
    #[command(long_about = FAULTS_HELP)]
    Faults(FaultsArgs),
    /// Measure all signals, one line for each agent
    #[command(long_about = ALL_HELP)]
    All(AllArgs),
    /// Measure whom each agent talks to by TCP, and how long a round trip takes
    #[command(long_about = RTT_HELP)]
    Rtt(RttArgs),
    /// Measure the time lost for want of CPU, memory and I/O, and show the pools of memory
    #[command(long_about = PRESSURE_HELP)]
    Pressure(PressureArgs),
    /// Measure where the time of each agent's threads goes
    #[command(long_about = LEDGER_HELP)]
    Ledger(LedgerArgs),
    /// Measure who wakes whom
    #[command(long_about = WAKES_HELP)]
    Wakes(WakesArgs),
}

impl Args {
    /// What the process was called with. Prints help or one clear sentence and exits (0 for help,
    /// 2 for a wrong command line) if there is nothing to be done.
    pub(crate) fn from_command_line() -> Self {
        Self::from_words(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// What `words`, the program's name first, mean.
    pub(crate) fn from_words(
        words: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    ) -> Result<Self, clap::Error> {
        let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
        let mut syntax = Self::command();
        let matches = syntax.try_get_matches_from_mut(&words)?;
        let args = Self::from_arg_matches(&matches)?;
        let contradiction = args
            .contradiction(&matches)
            .or_else(|| args.lost_rules(&words));
        match contradiction {
            Some(sentence) => Err(syntax.error(ErrorKind::ArgumentConflict, sentence)),
            None => Ok(args),
        }
    }

    /// Of an option that every command takes, clap keeps what stands on one side of the command.
    fn lost_rules(&self, words: &[OsString]) -> Option<String> {
        let typed = words
            .iter()
            .filter_map(|word| word.to_str())
            .filter(|word| *word == "--rule" || word.starts_with("--rule="))
            .count();
        (typed > self.global.rules.len())
            .then(|| "write every '--rule' on the same side of the command".to_owned())
    }

    /// What clap's own rules can't express: one sentence if the words contradict each other.
    fn contradiction(&self, matches: &ArgMatches) -> Option<String> {
        let any_rule = !self.global.rules.is_empty() || self.global.rules_file.is_some();
        match &self.command {
            None => self.live.contradiction(),
            Some(command) => live_option_typed(matches)
                .map(|option| {
                    format!(
                        "'{option}' before a command belongs to the live view: write it after the \
                         command"
                    )
                })
                .or_else(|| command.contradiction())
                .or_else(|| {
                    let is_daemon = matches!(command, Command::Run(_));
                    (any_rule && is_daemon).then(|| {
                        "the daemon has its rules from its configuration: write them there as [[rule]]"
                            .to_owned()
                    })
                })
                .or_else(|| {
                    let own_probes = self.global.own_probes && command.reads_recording();
                    own_probes.then(|| {
                        "'--own-probes' says how to measure, and a recording was measured already"
                            .to_owned()
                    })
                })
                .or_else(|| {
                    (any_rule && command.reads_recording()).then(|| {
                        "rules make agents of this host's processes, and a recording has its agents \
                         already"
                            .to_owned()
                    })
                }),
        }
    }
}

impl Command {
    fn contradiction(&self) -> Option<String> {
        match self {
            Self::Trace(TraceCommand::Runq(runq)) => runq.contradiction(),
            Self::Trace(TraceCommand::Faults(faults)) => faults.trace.contradiction(),
            Self::Trace(TraceCommand::Pressure(pressure)) => pressure.trace.contradiction(),
            Self::Trace(TraceCommand::All(all)) => of_sockets(&all.trace, &all.peers),
            Self::Trace(TraceCommand::Rtt(rtt)) => of_sockets(&rtt.trace, &rtt.peers),
            Self::Trace(TraceCommand::Ledger(ledger)) => ledger.trace.contradiction(),
            Self::Trace(TraceCommand::Wakes(wakes)) => wakes.trace.contradiction(),
            Self::Topology(topology) => topology.contradiction(),
            Self::Plan(plan) => plan.contradiction(),
            Self::Explain(explain) => explain.contradiction(),
            Self::Agents(agents) => agents.contradiction(),
            Self::Record(record) => record.peers.contradiction(),
            Self::Replay(replay) => replay.contradiction(),
            Self::Export(export) => export.contradiction(),
            Self::Run(_)
            | Self::Config(_)
            | Self::Status(_)
            | Self::Trend(_)
            | Self::Report(_)
            | Self::Journal(_)
            | Self::Undo(_)
            | Self::Pause
            | Self::Resume
            | Self::Exec(_)
            | Self::Doctor(_)
            | Self::Completions { .. }
            | Self::Man { .. } => None,
        }
    }

    /// Whether it reads a recording, and not this host.
    fn reads_recording(&self) -> bool {
        match self {
            Self::Trace(trace) => {
                let source = match trace {
                    TraceCommand::Runq(runq) => &runq.source,
                    TraceCommand::Faults(faults) => &faults.trace.source,
                    TraceCommand::Pressure(pressure) => &pressure.trace.source,
                    TraceCommand::All(all) => &all.trace.source,
                    TraceCommand::Rtt(rtt) => &rtt.trace.source,
                    TraceCommand::Ledger(ledger) => &ledger.trace.source,
                    TraceCommand::Wakes(wakes) => &wakes.trace.source,
                };
                source.from.is_some()
            }
            Self::Explain(explain) => explain.source.from.is_some(),
            Self::Topology(topology) => topology.source.from.is_some(),
            Self::Plan(plan) => plan.source.from.is_some(),
            Self::Agents(agents) => agents.from.is_some(),
            Self::Export(export) => export.source.from.is_some(),
            Self::Replay(_) => true,
            Self::Record(_)
            | Self::Run(_)
            | Self::Config(_)
            | Self::Status(_)
            | Self::Trend(_)
            | Self::Report(_)
            | Self::Journal(_)
            | Self::Undo(_)
            | Self::Pause
            | Self::Resume
            | Self::Exec(_)
            | Self::Doctor(_)
            | Self::Completions { .. }
            | Self::Man { .. } => false,
        }
    }
}

fn of_sockets(trace: &TraceArgs, peers: &PeerArgs) -> Option<String> {
    let of_host = [("--peer", !peers.named.is_empty())];
    trace
        .times
        .contradiction()
        .or_else(|| trace.source.contradiction(&of_host))
        .or_else(|| peers.contradiction())
}

/// The first option of the live view that was typed before a command.
fn live_option_typed(matches: &ArgMatches) -> Option<String> {
    let live = LiveArgs::augment_args(clap::Command::new("live"));
    let typed = live.get_arguments().find(|option| {
        matches.value_source(option.get_id().as_str()) == Some(ValueSource::CommandLine)
    })?;
    typed.get_long().map(|long| format!("--{long}"))
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests;
