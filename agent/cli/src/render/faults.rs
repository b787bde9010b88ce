//! Page faults of each agent, as a table.

use hostler_decide::durations::Durations;
use serde::Serialize;

use crate::report::{FaultsReport, FaultsRow};

use super::{
    foreign::printable,
    histogram::one_kind,
    layout::Layout,
    losses::footer,
    machine::{csv, rows_json},
    paint::Paint,
    table::{Column, Table},
    units::{NONE, compact_count, count, duration, duration_or_none},
};

/// The report as text, its last line's end included.
pub(crate) fn faults_text(report: &FaultsReport, layout: Layout) -> String {
    let paint = Paint::new(layout.color);
    let length_ns = report.length_ns();
    let faulting: Vec<&FaultsRow> = report
        .rows
        .iter()
        .filter(|row| !row.faults.is_empty())
        .collect();
    if faulting.is_empty() {
        let length = duration(length_ns);
        return format!("No page faults in {length}.\n") + &footer(&report.losses);
    }
    let mut text = headline(report, &faulting, paint) + "\n\n";
    let left_out = faulting.len().saturating_sub(layout.top);
    let table = if report.latency_refused.is_some() {
        counts_table(&faulting, layout.top, length_ns)
    } else {
        latency_table(&faulting, layout.top, length_ns)
    };
    text.push_str(&table.text(layout.width, paint, left_out, "agents"));
    for row in faulting.iter().take(layout.histograms.min(layout.top)) {
        text.push_str(&block(row, layout.width, paint));
    }
    if let Some(reason) = &report.latency_refused {
        let note = format!("\nHow long faults take is not measured here: {reason}\n");
        text.push_str(&paint.faint(note));
    }
    text + &footer(&report.losses)
}

fn headline(report: &FaultsReport, faulting: &[&FaultsRow], paint: Paint) -> String {
    let (major, minor) = faulting.iter().fold((0, 0), |(major, minor), row| {
        (major + row.faults.major, minor + row.faults.minor)
    });
    paint.strong(format!(
        "{} of {} agents in {}: {} major faults, {} minor ones",
        count(faulting.len() as u64),
        count(report.rows.len() as u64),
        duration(report.length_ns()),
        count(major),
        count(minor)
    ))
}

fn counts_table(rows: &[&FaultsRow], top: usize, length_ns: u64) -> Table {
    let mut table = Table::new(&[
        Column::name("AGENT"),
        Column::number("MAJOR"),
        Column::number("MAJOR/S"),
        Column::number("MINOR"),
        Column::number("MINOR/S"),
        Column::number("BLK I/O").expendable(1),
        Column::number("ON CPU").expendable(2),
        Column::number("THREADS").expendable(3),
    ]);
    for row in rows.iter().take(top) {
        table.add([
            row.name.clone(),
            compact_count(row.faults.major),
            per_second(row.faults.major, length_ns),
            compact_count(row.faults.minor),
            per_second(row.faults.minor, length_ns),
            duration(row.blocked_io_ns),
            duration(row.on_cpu_ns),
            count(row.threads),
        ]);
    }
    table
}

fn latency_table(rows: &[&FaultsRow], top: usize, length_ns: u64) -> Table {
    let mut table = Table::new(&[
        Column::name("AGENT"),
        Column::number("MAJOR"),
        Column::number("MAJOR/S").expendable(4),
        Column::number("P50"),
        Column::number("P99"),
        Column::number("MINOR"),
        Column::number("MINOR/S").expendable(5),
        Column::number("P50"),
        Column::number("P99"),
        Column::number("BLK I/O").expendable(1),
        Column::number("ON CPU").expendable(2),
        Column::number("THREADS").expendable(3),
    ]);
    for row in rows.iter().take(top) {
        let quantile = |of: &Durations, q| duration_or_none(of.quantile_ns(q));
        table.add([
            row.name.clone(),
            compact_count(row.faults.major),
            per_second(row.faults.major, length_ns),
            quantile(&row.latency.major, 0.5),
            quantile(&row.latency.major, 0.99),
            compact_count(row.faults.minor),
            per_second(row.faults.minor, length_ns),
            quantile(&row.latency.minor, 0.5),
            quantile(&row.latency.minor, 0.99),
            duration(row.blocked_io_ns),
            duration(row.on_cpu_ns),
            count(row.threads),
        ]);
    }
    table
}

/// The histograms of a row; empty if nothing was measured of it.
fn block(row: &FaultsRow, width: usize, paint: Paint) -> String {
    let kinds = [
        (&row.latency.major, "major fault"),
        (&row.latency.minor, "minor fault"),
    ];
    let drawn: String = kinds
        .into_iter()
        .filter(|(durations, _)| !durations.is_empty())
        .map(|(durations, what)| one_kind(durations, what, width, paint))
        .collect();
    if drawn.is_empty() {
        return drawn;
    }
    format!("\n{}\n{drawn}", paint.strong(printable(&row.name)))
}

fn per_second(faults: u64, length_ns: u64) -> String {
    if length_ns == 0 {
        return NONE.to_owned();
    }
    let rate = faults as f64 * 1e9 / length_ns as f64;
    if faults > 0 && rate < 10.0 {
        format!("{rate:.1}")
    } else {
        format!("{rate:.0}")
    }
}

#[derive(Serialize)]
struct RowJson<'a> {
    name: &'a str,
    /// Threads at the end of the window.
    threads: u64,
    /// Faults for which the page was in memory, or was made there.
    minor_faults: u64,
    /// Faults that had to wait for storage.
    major_faults: u64,
    /// How long they took; null where that is not measured.
    minor_latency: Option<LatencyJson>,
    major_latency: Option<LatencyJson>,
    /// Time that threads were blocked on block I/O, for faults or otherwise.
    blocked_io_ns: u64,
    /// Time that threads were on CPUs, that of faults included.
    on_cpu_ns: u64,
}

#[derive(Serialize)]
struct LatencyJson {
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
    /// Buckets that hold something: `[start_ns, end_ns, count]`.
    buckets: Vec<[u64; 3]>,
}

impl LatencyJson {
    fn of(durations: &Durations) -> Self {
        Self {
            p50_ns: durations.quantile_ns(0.5),
            p90_ns: durations.quantile_ns(0.9),
            p99_ns: durations.quantile_ns(0.99),
            max_ns: durations.max_ns(),
            buckets: durations
                .buckets()
                .map(|bucket| [bucket.start_ns, bucket.end_ns, bucket.count])
                .collect(),
        }
    }
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn faults_json(report: &FaultsReport) -> String {
    let measured = report.latency_refused.is_none();
    let rows = report.rows.iter().map(|row| RowJson {
        name: &row.name,
        threads: row.threads,
        minor_faults: row.faults.minor,
        major_faults: row.faults.major,
        minor_latency: measured.then(|| LatencyJson::of(&row.latency.minor)),
        major_latency: measured.then(|| LatencyJson::of(&row.latency.major)),
        blocked_io_ns: row.blocked_io_ns,
        on_cpu_ns: row.on_cpu_ns,
    });
    let window = [report.from_ns, report.to_ns];
    rows_json("faults", window, rows, report.losses)
}

/// The report as CSV, after a line of titles in the first one; the fields mean what they mean in
/// JSON.
pub(crate) fn faults_csv(report: &FaultsReport, is_first: bool) -> String {
    let titles = [
        "from_ns",
        "to_ns",
        "name",
        "threads",
        "minor_faults",
        "major_faults",
        "blocked_io_ns",
        "on_cpu_ns",
        "minor_p50_ns",
        "minor_p99_ns",
        "major_p50_ns",
        "major_p99_ns",
    ];
    let quantile = |of: &Durations, q| {
        let ns = of.quantile_ns(q);
        ns.map(|ns| ns.to_string()).unwrap_or_default()
    };
    let rows = report.rows.iter().map(|row| {
        [
            report.from_ns.to_string(),
            report.to_ns.to_string(),
            row.name.clone(),
            row.threads.to_string(),
            row.faults.minor.to_string(),
            row.faults.major.to_string(),
            row.blocked_io_ns.to_string(),
            row.on_cpu_ns.to_string(),
            quantile(&row.latency.minor, 0.5),
            quantile(&row.latency.minor, 0.99),
            quantile(&row.latency.major, 0.5),
            quantile(&row.latency.major, 0.99),
        ]
    });
    csv(titles, is_first, rows)
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_common::histogram::bucket_of;
    use hostler_decide::{
        durations::BucketReadings,
        faults::{FaultLatencyWindow, FaultWindow},
        signal::LossSignal,
    };

    use super::*;

    const LAYOUT: Layout = Layout {
        width: 100,
        color: false,
        top: 20,
        histograms: 1,
    };

    fn durations(lengths_ns: &[u64]) -> Durations {
        let mut readings = BucketReadings::default();
        for &ns in lengths_ns {
            readings.0[bucket_of(ns)] += 1;
        }
        readings.since(&BucketReadings::default())
    }

    fn report() -> FaultsReport {
        let row = |name: &str, minor, major| FaultsRow {
            name: name.to_owned(),
            threads: 4,
            faults: FaultWindow { minor, major },
            latency: FaultLatencyWindow::default(),
            blocked_io_ns: major * 90_000,
            on_cpu_ns: 1_200_000_000,
        };
        FaultsReport {
            from_ns: 5_000_000_000,
            to_ns: 15_000_000_000,
            rows: vec![
                row("agents/coder", 1_204_000, 812),
                row("agents/\u{1b}[2Jplanner", 37, 0),
                row("sleeper", 0, 0),
            ],
            latency_refused: Some("the kernel said no".to_owned()),
            losses: LossSignal::default(),
        }
    }

    #[test]
    fn who_faulted_is_shown_with_counts_and_rates() {
        expect![[r#"
            2 of 3 agents in 10.0 s: 812 major faults, 1,204,037 minor ones

            AGENT                    MAJOR  MAJOR/S   MINOR  MINOR/S  BLK I/O  ON CPU  THREADS
            agents/coder               812       81  1.20 M   120400  73.1 ms  1.20 s        4
            agents/\u{1b}[2Jplanner      0        0      37      3.7     0 ns  1.20 s        4

            How long faults take is not measured here: the kernel said no
        "#]]
        .assert_eq(&faults_text(&report(), LAYOUT));
    }

    #[test]
    fn where_it_is_measured_how_long_faults_take_that_is_shown_and_drawn() {
        let mut report = report();
        report.latency_refused = None;
        report.rows[0].latency = FaultLatencyWindow {
            minor: durations(&[700, 800, 900, 1_500]),
            major: durations(&[90_000, 120_000]),
        };
        expect![[r#"
            2 of 3 agents in 10.0 s: 812 major faults, 1,204,037 minor ones

            AGENT                    MAJOR      P50     P99   MINOR     P50      P99  BLK I/O  ON CPU  THREADS
            agents/coder               812  90.1 µs  123 µs  1.20 M  832 ns  1.54 µs  73.1 ms  1.20 s        4
            agents/\u{1b}[2Jplanner      0        –       –      37       –        –     0 ns  1.20 s        4

            agents/coder
                 major fault    count
                 66 – 131 µs        2  █████████████████████████████████████████████████████████████████████████
                 minor fault    count
               512 ns – 1 µs        3  █████████████████████████████████████████████████████████████████████████
                    1 – 2 µs        1  ████████████████████████▍
        "#]].assert_eq(&faults_text(&report, LAYOUT));
        let json = faults_json(&report);
        assert!(json.contains(r#""minor_latency":{"p50_ns":"#), "{json}");
    }

    #[test]
    fn without_a_fault_there_is_no_table() {
        let mut report = report();
        report.rows.drain(..2);
        let text = faults_text(&report, LAYOUT);
        assert!(text.starts_with("No page faults in 10.0 s."), "{text}");
    }

    #[test]
    fn json_and_csv_hold_also_those_who_did_not_fault() {
        assert_eq!(faults_json(&report()).matches("\"name\"").count(), 3);
        let csv = faults_csv(&report(), true);
        assert_eq!(csv.lines().count(), 4);
        assert!(
            csv.lines()
                .last()
                .is_some_and(|line| line.contains("sleeper,4,0,0,0,"))
        );
    }
}
