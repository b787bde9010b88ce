//! What happened on a host, as text and JSON; as a page it is in [`html`].

mod html;
mod plot;

use std::collections::BTreeMap;

use hostler_decide::{
    measures::{MEASURES, Measure},
    samples::Sample,
};
use serde::Serialize;

pub(crate) use self::html::past_html;
use super::{
    chart::chart,
    foreign::printable,
    machine::json_line,
    measured::{measured, span},
    paint::Paint,
    table::{Column, Table},
    trend::trend_text,
};
use crate::report::{PastReport, Total};

/// What is shown of each group and agent, with titles.
const COLUMNS: [(Measure, &str); 8] = [
    (Measure::Cpu, "CPUS"),
    (Measure::Waiting, "WAITING"),
    (Measure::WaitP99, "WAIT P99"),
    (Measure::BlockedIo, "ON I/O"),
    (Measure::Memory, "MEMORY"),
    (Measure::MajorFaults, "MAJOR"),
    (Measure::RttP99, "RTT P99"),
    (Measure::Sent, "SENT"),
];

/// Columns of the chart beside an agent.
const CHART: usize = 24;

/// The report as text, its last line's end included.
pub(crate) fn past_text(report: &PastReport, width: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let mut text = trend_text(&report.whole, width, color);
    let by = format!("by {}", report.by.meaning());
    text.push_str(&heading("Groups", &by, paint));
    let mut groups = Table::new(&columns("GROUP", false));
    for total in &report.groups {
        let name = total.series.group.clone();
        groups.add([name].into_iter().chain(values(&total.sample)));
    }
    text.push_str(&groups.text(width, paint, report.more_groups, "groups"));
    let by = format!("{by}; each chart is of that, as high as its own most");
    text.push_str(&heading("Agents", &by, paint));
    let mut agents = Table::new(&columns("AGENT", true));
    for (total, trend) in &report.agents {
        let parts = fewer(&trend.values(report.by));
        let most = parts.iter().copied().flatten().fold(0.0, f64::max);
        let line = chart(&parts, most, 1).concat().replace(' ', "\u{2007}");
        let (group, name) = (total.series.group.clone(), total.series.name.clone());
        let names = [name, group, line].into_iter();
        agents.add(names.chain(values(&total.sample)));
    }
    text.push_str(&agents.text(width, paint, report.more_agents, "agents"));
    text
}

fn heading(what: &str, remark: &str, paint: Paint) -> String {
    format!("\n{} {}\n", paint.strong(what), paint.faint(remark))
}

fn columns(first: &'static str, is_agent: bool) -> Vec<Column> {
    let mut columns = vec![Column::name(first)];
    if is_agent {
        columns.push(Column::name("GROUP").expendable(6));
        columns.push(Column::word("OVER TIME").expendable(5));
    }
    for (index, (_, title)) in COLUMNS.into_iter().enumerate() {
        let column = Column::number(title);
        columns.push(match index {
            0..=2 => column,
            3 | 7 => column.expendable(4),
            5 => column.expendable(3),
            6 => column.expendable(2),
            _ => column.expendable(1),
        });
    }
    columns
}

fn values(sample: &Sample) -> [String; COLUMNS.len()] {
    COLUMNS.map(|(measure, _)| measured(measure, measure.of(sample)))
}

/// At most as many parts as a chart has columns: of several, the highest.
fn fewer(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let together = values.len().div_ceil(CHART).max(1);
    let parts = values.chunks(together);
    parts
        .map(|part| part.iter().copied().flatten().reduce(f64::max))
        .collect()
}

#[derive(Serialize)]
struct PastJson<'a> {
    /// Always `past`.
    report: &'static str,
    host: &'a str,
    /// From when to when, in ms since 1970.
    from_ms: u64,
    to_ms: u64,
    /// What groups and agents are ranked by.
    by: &'static str,
    /// The host over the whole span, by measure; `null` where nothing is known.
    whole: BTreeMap<&'static str, Option<f64>>,
    groups: Vec<TotalJson<'a>>,
    more_groups: usize,
    agents: Vec<TotalJson<'a>>,
    more_agents: usize,
}

#[derive(Serialize)]
struct TotalJson<'a> {
    group: &'a str,
    name: &'a str,
    measures: BTreeMap<&'static str, Option<f64>>,
}

impl<'a> TotalJson<'a> {
    fn of(total: &'a Total) -> Self {
        Self {
            group: &total.series.group,
            name: &total.series.name,
            measures: by_measure(&total.sample),
        }
    }
}

/// The report as one JSON object on one line, its end included.
pub(crate) fn past_json(report: &PastReport) -> String {
    let trend = &report.whole.trend;
    json_line(&PastJson {
        report: "past",
        host: &report.host,
        from_ms: trend.from_ms,
        to_ms: trend.to_ms(),
        by: report.by.as_str(),
        whole: by_measure(&trend.whole()),
        groups: report.groups.iter().map(TotalJson::of).collect(),
        more_groups: report.more_groups,
        agents: (report.agents.iter())
            .map(|(total, _)| TotalJson::of(total))
            .collect(),
        more_agents: report.more_agents,
    })
}

fn by_measure(sample: &Sample) -> BTreeMap<&'static str, Option<f64>> {
    let all = MEASURES.iter();
    all.map(|(measure, name)| (*name, measure.of(sample)))
        .collect()
}

/// The title of a page or a report.
fn title(report: &PastReport) -> String {
    let trend = &report.whole.trend;
    let host = printable(&report.host);
    format!("{host}, {}", span(trend.from_ms, trend.to_ms()))
}
