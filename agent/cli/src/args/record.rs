//! The options of `hostler record` and `hostler replay`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueHint};

use super::{
    AgentPattern,
    options::{AGENT_LONG_HELP, PeerArgs, interval_within, parse_long},
    source::PartArgs,
    time_span::{parse_duration, parse_interval},
};

const RECORD_EXAMPLES: &str = "\
Examples:
  hostler record night.rec                     until Ctrl-C
  hostler record load.rec --duration 10m --peer model=203.0.113.7:443
  hostler explain agents/coder --from load.rec --at +90s --duration 30s
  hostler trace runq --from load.rec --interval 1m";

pub(super) const RECORD_HELP: &str = "\
Record all signals of all agents

Reads this host once a second and writes each reading into FILE, from which most commands report \
with --from just as they would have on the host: waits for a CPU and who caused them, ledgers, page \
faults, TCP round trips, pressure and pools. Nothing is rounded. What costs more than that is recorded \
where it is asked for.

The file tells what runs on this host; only its owner can read it. Whatever is cut or damaged in it is \
found; `--lenient` reads what comes before that, also while it is still being written.";

/// What to record, and where.
#[derive(Args, Debug)]
#[command(after_long_help = RECORD_EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option")]
pub(crate) struct RecordArgs {
    /// The recording to write
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Replace FILE if it is there
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Stop after this time; if not given, run until Ctrl-C
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,
    /// The shortest wait that is laid to somebody
    #[arg(long, value_name = "TIME", value_parser = parse_long, default_value = "1ms")]
    pub(crate) long: Duration,
    /// Also record each of these waits, as far as they come at no more than 200 a second and CPU
    #[arg(long)]
    pub(crate) events: bool,
    /// Also record waits by CPU, for `trace runq --group-by cpu` and `node`
    #[arg(long)]
    pub(crate) cpus: bool,
    /// Also record who wakes whom, for `trace wakes`
    #[arg(long)]
    pub(crate) wakes: bool,
    /// Also record how long page faults take, where the kernel allows it
    #[arg(long)]
    pub(crate) fault_latency: bool,
    /// Who is at the other end of sockets.
    #[command(flatten)]
    pub(crate) peers: PeerArgs,
}

const REPLAY_EXAMPLES: &str = "\
Examples:
  hostler replay load.rec                  all of it in one table
  hostler replay load.rec --speed 10       watch it, ten times as fast
  hostler replay load.rec --at +1m --interval 10s --agent '*coder*'";

pub(super) const REPLAY_HELP: &str = "\
Show a recording as the live view would have shown the host

Without --interval and --speed one table shows all of it. Whatever else Hostler reports of a host it \
reports of a recording, too: see --from of the other commands.";

/// What to show of a recording, and how.
#[derive(Args, Debug)]
#[command(after_long_help = REPLAY_EXAMPLES)]
pub(crate) struct ReplayArgs {
    /// The recording to show
    #[arg(value_name = "RECORDING", value_hint = ValueHint::FilePath)]
    pub(crate) recording: PathBuf,
    /// Only agents whose name matches the pattern; may be given several times
    #[arg(long = "agent", value_name = "GLOB", long_help = AGENT_LONG_HELP)]
    pub(crate) agents: Vec<AgentPattern>,
    /// Time between two views [10ms to 24h]; if not given, 1s with --speed
    #[arg(long, value_name = "TIME", value_parser = parse_interval, allow_hyphen_values = true)]
    pub(crate) interval: Option<Duration>,
    /// Stop after this time of the recording
    #[arg(long, value_name = "TIME", value_parser = parse_duration, allow_hyphen_values = true)]
    pub(crate) duration: Option<Duration>,
    /// Show it so many times as fast as it was recorded; if not given, as fast as can be
    #[arg(long, value_name = "TIMES", value_parser = parse_speed)]
    pub(crate) speed: Option<f64>,
    /// Which part of it.
    #[command(flatten)]
    pub(crate) part: PartArgs,
}

impl ReplayArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        interval_within(self.interval, self.duration)
    }
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.01..=1e6).contains(&speed) => Ok(speed),
        _ => Err("must be a number between 0.01 and 1000000, for example 10".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_that_makes_sense() {
        assert_eq!(parse_speed("10"), Ok(10.0));
        for text in ["0", "-1", "nan", "inf", "fast"] {
            assert!(parse_speed(text).is_err(), "{text}");
        }
    }
}
