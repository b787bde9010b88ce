//! Page faults of each agent, as a table.

use serde::Serialize;

use crate::report::{FaultsReport, FaultsRow};

use super::{
    losses::footer,
    machine::{csv, rows_json},
    paint::Paint,
    table::{Column, Table},
    units::{NONE, compact_count, count, duration},
};

/// The report as text, its last line's end included.
pub(crate) fn faults_text(report: &FaultsReport, width: usize, top: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let length_ns = report.length_ns();
    let length = duration(length_ns);
    let faulting: Vec<&FaultsRow> = report
        .rows
        .iter()
        .filter(|row| !row.faults.is_empty())
        .collect();
    if faulting.is_empty() {
        return format!("No page faults in {length}.\n") + &footer(&report.losses);
    }
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
    for row in faulting.iter().take(top) {
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
    let (major, minor) = faulting.iter().fold((0, 0), |(major, minor), row| {
        (major + row.faults.major, minor + row.faults.minor)
    });
    let title = format!(
        "{} of {} agents in {length}: {} major faults, {} minor ones",
        count(faulting.len() as u64),
        count(report.rows.len() as u64),
        count(major),
        count(minor)
    );
    let mut text = paint.strong(title) + "\n\n";
    let left_out = faulting.len().saturating_sub(top);
    text.push_str(&table.text(width, paint, left_out, "agents"));
    text + &footer(&report.losses)
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
    /// Time that threads were blocked on block I/O, for faults or otherwise.
    blocked_io_ns: u64,
    /// Time that threads were on CPUs, that of faults included.
    on_cpu_ns: u64,
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn faults_json(report: &FaultsReport) -> String {
    let rows = report.rows.iter().map(|row| RowJson {
        name: &row.name,
        threads: row.threads,
        minor_faults: row.faults.minor,
        major_faults: row.faults.major,
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
    ];
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
        ]
    });
    csv(titles, is_first, rows)
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_decide::{faults::FaultWindow, signal::LossSignal};

    use super::*;

    fn report() -> FaultsReport {
        let row = |name: &str, minor, major| FaultsRow {
            name: name.to_owned(),
            threads: 4,
            faults: FaultWindow { minor, major },
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
        "#]]
        .assert_eq(&faults_text(&report(), 100, 20, false));
    }

    #[test]
    fn without_a_fault_there_is_no_table() {
        let mut report = report();
        report.rows.drain(..2);
        let text = faults_text(&report, 100, 20, false);
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
