//! The options of `hostler trend` and `hostler report`: what of the past is looked at.

use std::{path::PathBuf, time::Duration};

use clap::{
    Args, ValueHint,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use hostler_decide::measures::{MEASURES, Measure};

use super::{AgentPattern, options::FormatArgs, source::parse_time_of_day};

const TREND_EXAMPLES: &str = "\
Examples:
  hostler trend                              the host in the last hour
  hostler trend agents/coder --last 24h      an agent
  hostler trend coders --measure wait_p99    one measure of a group, in full
  hostler trend --from '2026-11-26 02:00' --to '2026-11-26 04:00'
  hostler trend '*mcp*' --csv > mcp.csv      for a spreadsheet";

pub(super) const TREND_HELP: &str = "\
Plot what the host, a group or an agent did in the past

The daemon keeps a history on this host, and this reads it, also while the daemon runs or when it does \
not. A name may be that of a group or of an agent, or a pattern; without one, it is the host. The parts \
of a plot are as long as the history tells them apart: seconds for the last quarter of an hour, minutes \
for two days, hours for 90 days, if the configuration does not say otherwise.";

const REPORT_EXAMPLES: &str = "\
Examples:
  hostler report                        the last day, readable
  hostler report --last 7days --html week.html
  hostler report --by memory --top 25   who had most memory
  hostler report --json | jq .agents[0] for a program";

pub(super) const REPORT_HELP: &str = "\
Say what happened on this host: its trends, its groups, and the agents that did most

It is made of the history that the daemon keeps. With --html it is one page with plots, which needs \
nothing else to be looked at.";

/// From when to when, and where the history is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Time")]
pub(crate) struct PastArgs {
    /// So much of the past; if not given, the last hour of a trend, and the last day of a report
    #[arg(long, value_name = "TIME", value_parser = parse_span, conflicts_with_all = ["from", "to"])]
    pub(crate) last: Option<Duration>,
    /// From this time of day on, in UTC, as 2026-11-26T14:03:00Z or '2026-11-26 14:03'
    #[arg(long, value_name = "TIME", value_parser = parse_time_of_day)]
    pub(crate) from: Option<u64>,
    /// Up to this time of day; up to now if not given
    #[arg(long, value_name = "TIME", value_parser = parse_time_of_day, requires = "from")]
    pub(crate) to: Option<u64>,
    /// The folder of the history; if not given, that of /etc/hostler/hostler.toml, or /var/lib/hostler
    #[arg(long, value_name = "FOLDER", env = "HOSTLER_HISTORY", value_hint = ValueHint::DirPath)]
    pub(crate) history: Option<PathBuf>,
}

/// What to plot.
#[derive(Args, Debug)]
#[command(after_long_help = TREND_EXAMPLES)]
pub(crate) struct TrendArgs {
    /// Groups and agents, by name or pattern; the host if none is given
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<AgentPattern>,
    /// Only this measure; may be given several times
    #[arg(short, long = "measure", value_name = "MEASURE", value_parser = measure())]
    pub(crate) measures: Vec<Measure>,
    /// So many parts; as many as the terminal has room for, or 60, if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) parts: Option<u16>,
    /// When.
    #[command(flatten)]
    pub(crate) past: PastArgs,
    /// Text, JSON or CSV.
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// What to report.
#[derive(Args, Debug)]
#[command(after_long_help = REPORT_EXAMPLES)]
pub(crate) struct ReportArgs {
    /// What agents and groups are ranked by
    #[arg(long, value_name = "MEASURE", default_value = "waiting", value_parser = measure())]
    pub(crate) by: Measure,
    /// So many agents, at most 1000
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) top: u16,
    /// When.
    #[command(flatten)]
    pub(crate) past: PastArgs,
    /// Write one page with plots into FILE; "-" is standard output
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "json")]
    pub(crate) html: Option<PathBuf>,
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A measure by its name, with what each means.
fn measure() -> impl TypedValueParser<Value = Measure> {
    let names = MEASURES.map(|(measure, name)| PossibleValue::new(name).help(measure.meaning()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Measure>())
}

/// How much of the past: longer than 0, at most 1,000 days.
fn parse_span(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_hours(24 * 1_000);
    let span = humantime::parse_duration(text.trim())
        .map_err(|_| "not a time; write for example 1h, 90m or 7days".to_owned())?;
    if span < Duration::from_secs(1) || span > LONGEST {
        return Err("must be from 1s to 1000days, for example 24h".to_owned());
    }
    Ok(span)
}
