//! What a series did over time.

use std::{collections::BTreeMap, time::Duration};

use hostler_daemon::{history::Series, instants::instant};
use hostler_decide::{measures::Measure, samples::Scope};
use humantime::format_duration;
use serde::Serialize;

use super::{
    chart::chart,
    foreign::printable,
    machine::{csv, json_line},
    measured::{measured, span},
    paint::Paint,
    table::{Column, Table},
};
use crate::report::TrendReport;

/// Lines of the chart of a single measure.
const HEIGHT: usize = 8;

/// What stands beside the chart of each measure takes so many columns.
const BESIDE: usize = 62;

/// Columns that a chart has in a terminal of this width.
pub(crate) fn trend_width(width: usize) -> usize {
    width.saturating_sub(BESIDE).clamp(12, 240)
}

/// The trend as text, its last line's end included.
pub(crate) fn trend_text(report: &TrendReport, width: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let trend = &report.trend;
    let part = format_duration(Duration::from_millis(trend.part_ms));
    let title = paint.strong(printable(report.series.title()));
    let mut text = format!("{title}{}\n", paint.faint(beside(&report.series)));
    let time = span(trend.from_ms, trend.to_ms());
    text.push_str(&paint.faint(format!("{time}, {part} a column\n")));
    match &report.measures[..] {
        [] => text.push_str("It did nothing in that time.\n"),
        [measure] => text.push_str(&in_full(report, *measure, paint)),
        measures => text.push_str(&table(report, measures, width, paint)),
    }
    text
}

fn beside(series: &Series) -> String {
    match series.scope {
        Scope::Host => String::new(),
        Scope::Group => "  a group".to_owned(),
        Scope::Agent => format!("  an agent of {}", printable(&series.group)),
    }
}

fn most(values: &[Option<f64>]) -> Option<f64> {
    values.iter().copied().flatten().reduce(f64::max)
}

/// One measure, high enough to be read.
fn in_full(report: &TrendReport, measure: Measure, paint: Paint) -> String {
    let values = report.values(measure);
    let most = most(&values);
    let mut text = format!("{measure}: {}\n", measure.meaning());
    let lines = chart(&values, most.unwrap_or(0.0), HEIGHT);
    let labels = [
        most.map(|_| most.unwrap_or(0.0)),
        most.map(|most| most / 2.0),
    ];
    for (index, line) in lines.iter().enumerate() {
        let label = match index {
            0 => measured(measure, labels[0]),
            index if index == HEIGHT / 2 => measured(measure, labels[1]),
            _ => String::new(),
        };
        let axis = paint.faint(format!("{label:>10} │"));
        text.push_str(&[&axis, " ", line.trim_end(), "\n"].concat());
    }
    let summary = summary(report, measure, &values);
    let said = [" least ", ", in all ", ", most ", ", last "];
    let said: String = said
        .into_iter()
        .zip(summary)
        .map(|(word, value)| [word, &value].concat())
        .collect();
    text.push_str(&paint.faint(format!("{:>11}{said}\n", "")));
    text
}

fn summary(report: &TrendReport, measure: Measure, values: &[Option<f64>]) -> [String; 4] {
    let known = || values.iter().copied().flatten();
    let whole = measure.of(&report.trend.whole());
    [
        known().reduce(f64::min),
        whole,
        known().reduce(f64::max),
        known().last(),
    ]
    .map(|value| measured(measure, value))
}

fn table(report: &TrendReport, measures: &[Measure], width: usize, paint: Paint) -> String {
    let mut table = Table::new(&[
        Column::word("MEASURE"),
        Column::word(""),
        Column::number("LEAST"),
        Column::number("IN ALL"),
        Column::number("MOST"),
        Column::number("LAST"),
    ]);
    for &measure in measures {
        let values = report.values(measure);
        // Spaces at its end are part of a chart.
        let line = chart(&values, most(&values).unwrap_or(0.0), 1).concat();
        let line = line.replace(' ', "\u{2007}");
        let first = [measure.to_string(), line].into_iter();
        table.add(first.chain(summary(report, measure, &values)));
    }
    table.text(width, paint, 0, "measures")
}

#[derive(Serialize)]
struct TrendJson<'a> {
    /// Always `trend`.
    report: &'static str,
    /// `host`, `group` or `agent`.
    scope: &'static str,
    /// The group, or the agent's; empty of the host.
    group: &'a str,
    /// The agent; else empty.
    name: &'a str,
    /// When it begins, in ms since 1970.
    from_ms: u64,
    /// How long each part is.
    part_ms: u64,
    /// By measure, a value for each part; `null` where nothing is known.
    measures: BTreeMap<&'static str, Vec<Option<f64>>>,
}

/// The trend as one JSON object on one line, its end included.
pub(crate) fn trend_json(report: &TrendReport) -> String {
    let measures = report.measures.iter();
    json_line(&TrendJson {
        report: "trend",
        scope: report.series.scope.as_str(),
        group: &report.series.group,
        name: &report.series.name,
        from_ms: report.trend.from_ms,
        part_ms: report.trend.part_ms,
        measures: measures
            .map(|measure| (measure.as_str(), report.values(*measure)))
            .collect(),
    })
}

/// The trend as CSV, a line for each measure of each part of which something is known, after a line of
/// titles if it is the first.
pub(crate) fn trend_csv(report: &TrendReport, is_first: bool) -> String {
    const TITLES: [&str; 7] = [
        "time", "length_s", "scope", "group", "name", "measure", "value",
    ];
    let (series, trend) = (&report.series, &report.trend);
    let rows = report.measures.iter().flat_map(|measure| {
        let values = report.values(*measure).into_iter().enumerate();
        values.filter_map(move |(part, value)| {
            Some([
                instant(trend.begins_ms(part)),
                (trend.part_ms / 1_000).to_string(),
                series.scope.as_str().to_owned(),
                series.group.clone(),
                series.name.clone(),
                measure.to_string(),
                value?.to_string(),
            ])
        })
    });
    csv(TITLES, is_first, rows)
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_daemon::history::{Point, Trend};
    use hostler_decide::samples::{Numbers, Sample};

    use super::*;

    fn report(measures: &[Measure]) -> TrendReport {
        let from_ms = 1_764_165_780_000;
        let mut trend = Trend::new(from_ms, from_ms + 600_000, 10);
        for (part, on_cpu_us) in [(0, 0), (1, 6_000_000), (3, 120_000_000), (9, 30_000_000)] {
            let numbers = Numbers {
                length_us: 60_000_000,
                on_cpu_us,
                memory_bytes: 1 << 30,
                ..Numbers::default()
            };
            let mut sample = Sample {
                numbers,
                ..Sample::default()
            };
            for _ in 0..part {
                sample.waits.count(on_cpu_us);
            }
            trend.add(&Point {
                at_ms: from_ms + part * 60_000,
                sample,
            });
        }
        TrendReport {
            series: Series {
                number: 70_000,
                scope: Scope::Agent,
                group: "agents".to_owned(),
                name: "agents/co\u{1b}der".to_owned(),
                first_ms: from_ms,
                last_ms: from_ms,
            },
            trend,
            measures: measures.to_vec(),
        }
    }

    #[test]
    fn measures_are_lines_with_what_they_were_at_the_least_and_at_the_most() {
        let report = report(&[Measure::Cpu, Measure::WaitP99, Measure::Memory]);
        expect![[r#"
            agents/co\u{1b}der  an agent of agents
            2025-11-26 14:03:00 to 14:13:00 UTC, 1m a column
            MEASURE                 LEAST   IN ALL     MOST     LAST
            cpu       ▁▁ █     ▂        0     0.65     2.00     0.50
            wait_p99   ▁ █     ▂  6.29 ms   126 ms   126 ms  31.5 ms
            memory    ██ █     █  1.0 GiB  1.0 GiB  1.0 GiB  1.0 GiB
        "#]]
        .assert_eq(&trend_text(&report, 100, false));
    }

    #[test]
    fn a_single_measure_is_drawn_in_full() {
        expect![[r#"
            agents/co\u{1b}der  an agent of agents
            2025-11-26 14:03:00 to 14:13:00 UTC, 1m a column
            cpu: CPUs used
                  2.00 │    █
                       │    █
                       │    █
                       │    █
                  1.00 │    █
                       │    █
                       │    █     █
                       │ ▁▃ █     █
                        least 0, in all 0.65, most 2.00, last 0.50
        "#]]
        .assert_eq(&trend_text(&report(&[Measure::Cpu]), 100, false));
    }

    #[test]
    fn in_json_each_part_has_its_place_and_in_csv_those_of_which_something_is_known() {
        let report = report(&[Measure::Cpu]);
        expect![[r#"
            {"report":"trend","scope":"agent","group":"agents","name":"agents/co\u001bder","from_ms":1764165780000,"part_ms":60000,"measures":{"cpu":[0.0,0.1,null,2.0,null,null,null,null,null,0.5]}}
        "#]].assert_eq(&trend_json(&report));
        expect![[r#"
            time,length_s,scope,group,name,measure,value
            2025-11-26T14:03:00Z,60,agent,agents,agents/co\u{1b}der,cpu,0
            2025-11-26T14:04:00Z,60,agent,agents,agents/co\u{1b}der,cpu,0.1
            2025-11-26T14:06:00Z,60,agent,agents,agents/co\u{1b}der,cpu,2
            2025-11-26T14:12:00Z,60,agent,agents,agents/co\u{1b}der,cpu,0.5
        "#]]
        .assert_eq(&trend_csv(&report, true));
    }
}
