//! `hostler trend`: what the host, a group or an agent did in the past.

use std::time::Duration;

use hostler_daemon::history::{History, Series};
use hostler_decide::{
    measures::{MEASURES, Measure},
    samples::Scope,
};

use super::past;
use crate::{
    args::{AgentPattern, Format, TrendArgs, selects},
    failure::Failure,
    output::{self, Stdout},
    render::{trend_csv, trend_json, trend_text, trend_width},
    report::TrendReport,
};

/// Parts where no terminal says how many there is room for.
const PARTS: usize = 60;

/// Trends that are shown as text: more would be a list, and `hostler report` makes that.
const MOST_AS_TEXT: usize = 20;

/// Series that are read at a time.
const AT_A_TIME: usize = 32;

/// When a series' last hour began is known; it may have ended that much later.
const HOUR_MS: u64 = 3_600_000;

pub(crate) fn run(args: &TrendArgs, stdout: Stdout) -> Result<(), Failure> {
    let (history, from_ms, to_ms) = past::open(&args.past, Duration::from_hours(1))?;
    let format = args.format.chosen();
    let (width, _) = stdout.size();
    let parts = match (args.parts, format) {
        (Some(parts), _) => parts.into(),
        (None, Format::Text) => trend_width(width),
        (None, _) => PARTS,
    };
    let mut series = selected(&history, &args.names, from_ms, to_ms)?;
    let mut left_out = 0;
    if format == Format::Text && series.len() > MOST_AS_TEXT {
        left_out = series.len() - MOST_AS_TEXT;
        series.truncate(MOST_AS_TEXT);
    }
    let empty = history.trend(from_ms, to_ms, parts)?;
    let mut is_first = true;
    // A few at a time: of thousands, all samples of a day would be more than a command should hold.
    for series in series.chunks(AT_A_TIME) {
        let trends = history.trends(series, &empty)?;
        for (series, trend) in series.iter().cloned().zip(trends) {
            let mut report = TrendReport {
                series,
                trend,
                measures: MEASURES.map(|(measure, _)| measure).to_vec(),
            };
            report.measures = measures(&report, &args.measures);
            let text = match format {
                Format::Json => trend_json(&report),
                Format::Csv => trend_csv(&report, is_first),
                Format::Text => {
                    let between = if is_first { "" } else { "\n" };
                    format!("{between}{}", trend_text(&report, width, stdout.color))
                }
            };
            is_first = false;
            output::write_only(&text)?;
        }
    }
    if left_out > 0 {
        output::write_only(&format!("\n… and {left_out} more of these names\n"))?;
    }
    Ok(())
}

/// Those that are asked for, or all that tell anything.
fn measures(report: &TrendReport, asked: &[Measure]) -> Vec<Measure> {
    if !asked.is_empty() {
        return asked.to_vec();
    }
    let all = report.measures.iter().copied();
    all.filter(|measure| report.tells(*measure)).collect()
}

/// The host, or the groups and agents that are named and were there.
fn selected(
    history: &History,
    names: &[AgentPattern],
    from_ms: u64,
    to_ms: u64,
) -> Result<Vec<Series>, Failure> {
    let all = history.series()?;
    let is_named = |series: &Series| match series.scope {
        Scope::Host => names.is_empty(),
        Scope::Group | Scope::Agent => !names.is_empty() && selects(names, series.title()),
    };
    let (there, gone): (Vec<Series>, Vec<Series>) = (all.into_iter())
        .filter(is_named)
        .partition(|series| series.first_ms < to_ms && from_ms < series.last_ms + 2 * HOUR_MS);
    if !there.is_empty() {
        return Ok(there);
    }
    let patterns: Vec<&str> = names.iter().map(AgentPattern::as_str).collect();
    let sentence = format!("no group or agent matches '{}'", patterns.join("', '"));
    let hint = match gone.first() {
        Some(series) => format!(
            "{} was there, but not in that time.",
            crate::render::printable(series.title())
        ),
        None => "`hostler report` lists those that did most.".to_owned(),
    };
    Err(Failure::Usage { sentence, hint })
}
