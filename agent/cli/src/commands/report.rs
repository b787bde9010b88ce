//! `hostler report`: what happened on this host.

use std::{cmp::Ordering, fs, path::Path, time::Duration};

use hostler_daemon::history::History;
use hostler_decide::{
    measures::{MEASURES, Measure},
    samples::Scope,
};

use super::past;
use crate::{
    args::ReportArgs,
    failure::Failure,
    output::{self, Stdout},
    render::{past_html, past_json, past_text, trend_width},
    report::{PastReport, Total, TrendReport},
};

/// Parts of a plot in a page.
const PARTS: usize = 200;

/// Series that are read at a time.
const AT_A_TIME: usize = 32;

/// Groups that are shown.
const GROUPS: usize = 25;

pub(crate) fn run(args: &ReportArgs, stdout: Stdout) -> Result<(), Failure> {
    let (history, from_ms, to_ms) = past::open(&args.past, Duration::from_hours(24))?;
    let (width, _) = stdout.size();
    let parts = if args.html.is_some() {
        PARTS
    } else {
        trend_width(width)
    };
    let report = report(&history, (from_ms, to_ms), parts, args)?;
    match &args.html {
        Some(path) if path == Path::new("-") => output::write_only(&past_html(&report)),
        Some(path) => {
            fs::write(path, past_html(&report)).map_err(|source| Failure::File {
                path: path.clone(),
                source,
            })?;
            output::write_only(&format!("written: {}\n", path.display()))
        }
        None if args.json => output::write_only(&past_json(&report)),
        None => output::write_only(&past_text(&report, width, stdout.color)),
    }
}

fn report(
    history: &History,
    (from_ms, to_ms): (u64, u64),
    parts: usize,
    args: &ReportArgs,
) -> Result<PastReport, Failure> {
    let by = args.by;
    let mut totals = history.totals(from_ms, to_ms)?;
    let (mut host, mut groups, mut agents) = (None, Vec::new(), Vec::new());
    for series in history.series()? {
        match (series.scope, totals.remove(&series.number)) {
            (Scope::Host, _) => host = Some(series),
            (Scope::Group, Some(sample)) => groups.push(Total { series, sample }),
            (Scope::Agent, Some(sample)) => agents.push(Total { series, sample }),
            (_, None) => {}
        }
    }
    let host = host.ok_or_else(|| Failure::Usage {
        sentence: format!("{} tells nothing", history.path().display()),
        hint: "the daemon has only just begun it.".to_owned(),
    })?;
    groups.sort_by(|one, other| ranks(by, one, other));
    agents.sort_by(|one, other| ranks(by, one, other));
    let more_groups = groups.len().saturating_sub(GROUPS);
    let top = usize::from(args.top);
    let more_agents = agents.len().saturating_sub(top);
    groups.truncate(GROUPS);
    agents.truncate(top);
    let empty = history.trend(from_ms, to_ms, parts)?;
    let mut all = vec![host];
    all.extend(agents.iter().map(|total| total.series.clone()));
    let mut trends = Vec::with_capacity(all.len());
    for series in all.chunks(AT_A_TIME) {
        trends.extend(history.trends(series, &empty)?);
    }
    let mut trends = (all.into_iter().zip(trends)).map(|(series, trend)| TrendReport {
        series,
        trend,
        measures: MEASURES.map(|(measure, _)| measure).to_vec(),
    });
    let mut whole = trends.next().expect("the host's was asked for");
    let tells: Vec<Measure> = (whole.measures.iter().copied())
        .filter(|measure| whole.tells(*measure))
        .collect();
    whole.measures = tells;
    let agents = agents.into_iter().zip(trends).collect();
    Ok(PastReport {
        host: hostler_observe::host_name(),
        whole,
        by,
        groups,
        agents,
        more_agents,
        more_groups,
    })
}

/// The largest first; of equals, by name.
fn ranks(by: Measure, one: &Total, other: &Total) -> Ordering {
    let value = |total: &Total| by.of(&total.sample).unwrap_or(-1.0);
    let name = |total: &Total| (total.series.group.clone(), total.series.name.clone());
    value(other)
        .total_cmp(&value(one))
        .then_with(|| name(one).cmp(&name(other)))
}
