//! The options of each command.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, ValueHint};
use hostler_daemon::Schedule;
use hostler_observe::{MOST_NAMED_PEERS, NamedPeer};

use super::{
    AgentPattern,
    source::{PartArgs, SourceArgs},
    time_span::{parse_duration, parse_interval},
};

const RUNQ_EXAMPLES: &str = "\
Examples:
  hostler trace runq                       until Ctrl-C, then one report
  hostler trace runq --duration 10s --agent '*mcp*'
  hostler trace runq --interval 1s --json  one JSON object each second
  hostler trace runq --group-by node       by NUMA node instead of by agent
  hostler trace runq --from load.rec       of a recording";

const LEDGER_EXAMPLES: &str = "\
Examples:
  hostler trace ledger --duration 10s        where everybody's time went
  hostler trace ledger --agent '*mcp*' --interval 1s --csv";

const FAULTS_EXAMPLES: &str = "\
Examples:
  hostler trace faults --duration 10s        who had page faults
  hostler trace faults --agent '*mcp*' --interval 1s --csv";

const RTT_EXAMPLES: &str = "\
Examples:
  hostler trace rtt --duration 10s           who talked to whom, and how fast
  hostler trace rtt --peer model=203.0.113.7:443 --peer tools=10.1.0.0/16
  hostler trace rtt --agent '*mcp*' --interval 1s --json";

const ALL_EXAMPLES: &str = "\
Examples:
  hostler trace all --duration 10s           every signal of every agent
  hostler trace all --agent '*coder*' --interval 1s --json";

const PRESSURE_EXAMPLES: &str = "\
Examples:
  hostler trace pressure --duration 1m       who lost time for want of what
  hostler trace pressure --agent '*coder*' --interval 2s --json";

const PEER_LONG_HELP: &str = "\
Give a name to whoever is at an address, as NAME=WHERE[,WHERE…]; may be given several times

WHERE is an address (203.0.113.7, 2001:db8::7), a network (10.1.0.0/16), either with a port \
(203.0.113.7:443, [2001:db8::7]:443, 10.1.0.0/16:443), or the name of a host with a port or without, \
which is looked up once, when Hostler starts. The longest prefix wins, one with a port over one \
without.";

const AGENTS_EXAMPLES: &str = "\
Examples:
  hostler agents                            all agents, the largest first
  hostler agents --rule 'mcp=cmdline:mcp-server-(\\w+),agent:{1}'
  hostler agents --agent 'kubepods*' --csv  some of them, for a spreadsheet
  hostler agents --from load.rec --at +90s  those that were there then";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  hostler doctor                    readable
  hostler doctor --json | jq .maps  kernel memory, for a program";

pub(super) const AGENT_LONG_HELP: &str = "\
Only agents whose name matches the pattern; may be given several times

The pattern must match the whole name or its last path component. `*` stands for any characters, \
'/' included, `?` for one, `[ab]` for one of these, `{x,y}` for either. A backslash is an ordinary \
character, as it is in systemd's names. `hostler agents` lists the names.";

/// How the live view is shown.
#[derive(Args, Debug)]
#[command(next_help_heading = "Options of the live view")]
pub(crate) struct LiveArgs {
    /// Time between two views [10ms to 24h]
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse_interval, allow_hyphen_values = true)]
    pub(crate) interval: Duration,
    /// Only agents whose name matches the pattern; may be given several times
    #[arg(long = "agent", value_name = "GLOB", long_help = AGENT_LONG_HELP)]
    pub(crate) agents: Vec<AgentPattern>,
    /// Show one view after one interval, then exit
    #[arg(long, conflicts_with = "duration")]
    pub(crate) once: bool,
    /// Exit after this time; if not given, run until Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,
}

impl LiveArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        interval_within(Some(self.interval), self.duration)
    }
}

/// What to measure of the waits for a CPU, and how to report it.
#[derive(Args, Debug)]
#[command(after_long_help = RUNQ_EXAMPLES)]
pub(crate) struct RunqArgs {
    /// Only agents whose name matches the pattern; may be given several times
    #[arg(long = "agent", value_name = "GLOB", long_help = AGENT_LONG_HELP)]
    pub(crate) agents: Vec<AgentPattern>,
    /// What one line of the report stands for
    #[arg(long, value_enum, value_name = "GROUP", default_value_t)]
    pub(crate) group_by: GroupBy,
    /// Say who made whom wait, for waits of at least --long
    #[arg(long, value_enum, value_name = "CAUSE", conflicts_with_all = ["group_by", "csv"])]
    pub(crate) by: Option<By>,
    /// The shortest wait that --by counts; if not given, 1ms
    #[arg(long, value_name = "TIME", value_parser = parse_long, requires = "by")]
    pub(crate) long: Option<Duration>,
    /// Show each of these waits as well, as far as they come at no more than 200 a second and CPU
    #[arg(long, requires = "by")]
    pub(crate) events: bool,
    /// When to report.
    #[command(flatten)]
    pub(crate) times: TimesArgs,
    /// How the report is written.
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// Where it comes from.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// Report the N that waited longest; if not given, 20 in text, all in JSON and CSV
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) top: Option<usize>,
    /// Draw histograms of the N that waited longest; if not given, 5, or all with --agent
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "csv"])]
    pub(crate) histograms: Option<usize>,
}

pub(super) const LEDGER_HELP: &str = "\
Measure where the time of each agent's threads goes

The states add up to threads × time: of ten threads, one that computes and nine that sleep make \
10 % on CPU and 90 % asleep. Waiting for a CPU is told apart by what came before it, a wake-up or \
a preemption. Throttled is held back by a CPU quota of the agent's own group.

READ and WRITTEN are bytes as /proc/PID/io has them: reads by who submitted them, writes by who \
dirtied the page, also if that page is dropped before it is written.";

/// What all traces by agent have in common.
#[derive(Args, Debug)]
pub(crate) struct TraceArgs {
    /// Only agents whose name matches the pattern; may be given several times
    #[arg(long = "agent", value_name = "GLOB", long_help = AGENT_LONG_HELP)]
    pub(crate) agents: Vec<AgentPattern>,
    /// When to report.
    #[command(flatten)]
    pub(crate) times: TimesArgs,
    /// How the report is written.
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// Where it comes from.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

impl TraceArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        let times = self.times.contradiction();
        times.or_else(|| self.source.contradiction(&[]))
    }
}

/// What the faults are.
pub(super) const FAULTS_HELP: &str = "\
Count the page faults of each agent

A minor fault finds its page in memory, or makes it there; a major one waits for storage. Both are \
the kernel's own counts, those that getrusage shows: what MAP_POPULATE and mlock bring in counts \
too. They are added when a thread leaves its CPU. Where the kernel lets programs run at its functions \
(fentry), it is also measured how long each fault takes, by two programs that run at each of them.";

/// Of which agents to count page faults, and how.
#[derive(Args, Debug)]
#[command(after_long_help = FAULTS_EXAMPLES)]
pub(crate) struct FaultsArgs {
    /// Of which agents, when and how.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Show the N with most major faults, then minor ones; JSON and CSV hold all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "20")]
    pub(crate) top: usize,
    /// Draw histograms of the first N, where it is measured how long faults take; if not given, 3
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "csv"])]
    pub(crate) histograms: Option<usize>,
}

pub(super) const ALL_HELP: &str = "\
Measure all signals, one line for each agent

Run-queue waits, page faults, TCP round trips and pressure in one window: what `trace runq`, \
`trace faults`, `trace rtt` and `trace pressure` tell in detail. JSON holds each of an agent's peers. A \
signal that this kernel does not allow is left out; `hostler doctor` says why.";

/// Of which agents to measure all signals, and how.
#[derive(Args, Debug)]
#[command(after_long_help = ALL_EXAMPLES)]
pub(crate) struct AllArgs {
    /// Of which agents, when and how.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Who is at the other end of sockets.
    #[command(flatten)]
    pub(crate) peers: PeerArgs,
    /// Show the N that spent most time on or waiting for a CPU; JSON and CSV hold all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "20")]
    pub(crate) top: usize,
}

pub(super) const PRESSURE_HELP: &str = "\
Measure the time lost for want of CPU, memory and I/O, and show the pools of memory

Times are the kernel's pressure stall information (PSI): the part of the time in which some of an \
agent's threads were held up, FULL all that had something to do. MEMORY, SWAP and pages that were \
needed again soon after they had been taken away (REFAULTS) need the memory controller of cgroup v2. \
The host is read at each tick, and the kernel tells at once of the host and the largest groups when \
a tenth of two seconds is lost. Up to 64 agents are all read at each tick; more are read in turn, \
busy ones first, each every 30 s or more often: OVER says between which of its readings.";

/// Of which agents to read pressure, and how.
#[derive(Args, Debug)]
#[command(after_long_help = PRESSURE_EXAMPLES)]
pub(crate) struct PressureArgs {
    /// Of which agents, when and how.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Show the N that lost most time; JSON and CSV hold all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "20")]
    pub(crate) top: usize,
}

pub(super) const RTT_HELP: &str = "\
Measure whom each agent talks to by TCP, and how long a round trip takes

A round trip is what the kernel measures for each connection, once for all that is under way at a \
time: from sending to the acknowledgement, which the other end may put off by up to 40 ms. Of each \
agent and peer two connections are asked to tell of all of theirs, in turns; the others tell the \
smoothed one, every ten seconds or so while they talk, and when they close. The other \
end is one that --peer names, or else loopback, host (another address of this host), lan (its first \
round trip took less than 5 ms), wan, or nobody (listeners, and connections that nobody answered). \
SENT are acknowledged bytes. RESENT counts segments that were sent again, DROPPED those that a socket \
had no room or no use for. Of connections older than Hostler, kernels before 6.12 tell only the \
smoothed round trip, now and then.";

/// Who is at the other end of sockets.
#[derive(Args, Debug)]
pub(crate) struct PeerArgs {
    /// Give a name to whoever is at an address, as NAME=WHERE[,WHERE…]
    #[arg(long = "peer", value_name = "PEER", long_help = PEER_LONG_HELP)]
    pub(crate) named: Vec<NamedPeer>,
}

impl PeerArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        if self.named.len() > MOST_NAMED_PEERS {
            let given = self.named.len();
            return Some(format!(
                "{given} peers are named, and at most {MOST_NAMED_PEERS} can be"
            ));
        }
        let mut names: Vec<&str> = self.named.iter().map(|peer| &*peer.name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(format!(
            "the peer '{}' is named twice: write all its addresses after one '=', with commas",
            twice[0]
        ))
    }
}

/// Of which agents to measure round trips, and how.
#[derive(Args, Debug)]
#[command(after_long_help = RTT_EXAMPLES)]
pub(crate) struct RttArgs {
    /// Of which agents, when and how.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Who is at the other end of sockets.
    #[command(flatten)]
    pub(crate) peers: PeerArgs,
    /// Show the N that spent most time in round trips; JSON and CSV hold all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "20")]
    pub(crate) top: usize,
    /// Draw histograms of the first N; if not given, 3
    #[arg(long, value_name = "N", conflicts_with_all = ["json", "csv"])]
    pub(crate) histograms: Option<usize>,
}

/// Of which agents to tell where the time went, and how.
#[derive(Args, Debug)]
#[command(after_long_help = LEDGER_EXAMPLES)]
pub(crate) struct LedgerArgs {
    /// Of which agents, when and how.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,
    /// Show the N that spent most time on or waiting for a CPU; JSON and CSV hold all
    #[arg(long, value_name = "N", value_parser = at_least_one, default_value = "20")]
    pub(crate) top: usize,
}

impl RunqArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        let times = self.times.contradiction();
        times.or_else(|| {
            self.source
                .contradiction(&[("--long", self.long.is_some())])
        })
    }

    /// How many histograms to draw: those asked for; else all if agents were asked for; else 5.
    pub(crate) fn histograms_to_draw(&self) -> usize {
        let unless_given = if self.agents.is_empty() {
            5
        } else {
            usize::MAX
        };
        self.histograms.unwrap_or(unless_given)
    }
}

/// Who a wait is laid to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// Who took the CPU from the waiter, or held the one that it was waiting for
    Preemptor,
}

/// What one line of a report stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupBy {
    /// One agent
    #[default]
    Agent,
    /// The agents of one group: a rule's, a pod's namespace, a slice
    Group,
    /// One CPU
    Cpu,
    /// One NUMA node
    Node,
}

/// Which agents to list, and how.
#[derive(Args, Debug)]
#[command(after_long_help = AGENTS_EXAMPLES)]
pub(crate) struct AgentsArgs {
    /// Only agents whose name matches the pattern; may be given several times
    #[arg(long = "agent", value_name = "GLOB", long_help = AGENT_LONG_HELP)]
    pub(crate) agents: Vec<AgentPattern>,
    /// How the list is written.
    #[command(flatten)]
    pub(crate) format: FormatArgs,
    /// List the agents of a recording instead of those of this host
    #[arg(long, value_name = "RECORDING", value_hint = ValueHint::FilePath)]
    pub(crate) from: Option<PathBuf>,
    /// Of which time.
    #[command(flatten)]
    pub(crate) part: PartArgs,
}

impl AgentsArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        self.source().contradiction(&[])
    }

    /// Where the agents are.
    pub(crate) fn source(&self) -> SourceArgs {
        SourceArgs {
            from: self.from.clone(),
            part: self.part.clone(),
            record: None,
        }
    }
}

/// How the diagnosis is written.
#[derive(Args, Debug)]
#[command(after_long_help = DOCTOR_EXAMPLES)]
pub(crate) struct DoctorArgs {
    /// Write one JSON object on one line instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// When a trace reports, and when it ends.
#[derive(Args, Debug)]
pub(crate) struct TimesArgs {
    /// Report each interval [10ms to 24h]; if not given, report once, at the end
    #[arg(long, value_name = "TIME", value_parser = parse_interval, allow_hyphen_values = true)]
    pub(crate) interval: Option<Duration>,
    /// Exit after this time; if not given, run until Ctrl-C, which prints what was gathered
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,
}

impl TimesArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        interval_within(self.interval, self.duration)
    }

    /// What the daemon's loop is to do.
    pub(crate) fn schedule(&self) -> Schedule {
        Schedule {
            interval: self.interval,
            duration: self.duration,
            on_alarm: true,
        }
    }
}

/// The options that choose a [`Format`].
#[derive(Args, Debug)]
pub(crate) struct FormatArgs {
    /// Write one JSON object per report, each on one line, instead of text
    #[arg(long)]
    json: bool,
    /// Write comma-separated values with one header line instead of text
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

impl FormatArgs {
    /// The format chosen.
    pub(crate) fn chosen(&self) -> Format {
        match (self.json, self.csv) {
            (true, _) => Format::Json,
            (_, true) => Format::Csv,
            _ => Format::Text,
        }
    }
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For a reader.
    Text,
    /// JSON Lines.
    Json,
    /// Comma-separated values.
    Csv,
}

/// From the resolution of the clock to what is longer than any wait.
pub(super) fn parse_long(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write for example 1ms"))?;
    if (Duration::from_micros(1)..=Duration::from_mins(1)).contains(&parsed) {
        return Ok(parsed);
    }
    Err("must be between 1us and 1m; write for example 1ms".to_owned())
}

pub(super) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a whole number; write for example 10".to_owned()),
    }
}

pub(super) fn interval_within(
    interval: Option<Duration>,
    duration: Option<Duration>,
) -> Option<String> {
    let (interval, duration) = (interval?, duration?);
    (interval > duration).then(|| {
        format!(
            "the interval of {} is longer than the whole duration of {}: shorten '--interval' or \
             lengthen '--duration'",
            humantime::format_duration(interval),
            humantime::format_duration(duration),
        )
    })
}
