//! The signals of every kind side by side, one line for each agent.

use hostler_decide::{durations::Durations, peers::PeerCounts, window::RunQueueWindow};
use serde::Serialize;

use crate::report::{AllReport, AllRow};

use super::{
    losses::footer,
    machine::{csv, rows_json},
    paint::Paint,
    pressure::{PressureJson, ReclaimJson},
    rtt::{RowJson as PeerJson, row_json as peer_json},
    table::{Column, Table},
    units::{NONE, bytes, compact_count, count, duration, duration_or_none, percent_of_time},
};

/// The report as text, its last line's end included.
pub(crate) fn all_text(report: &AllReport, width: usize, top: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let length_ns = report.length_ns();
    let length = duration(length_ns);
    if report.rows.is_empty() {
        return format!("No agent did anything in {length}.\n") + &footer(&report.losses);
    }
    let mut table = Table::new(&[
        Column::name("AGENT"),
        Column::number("CPU %"),
        Column::number("WAITED"),
        Column::number("WAIT P99"),
        Column::number("BLK I/O").expendable(6),
        Column::number("MAJOR").expendable(1),
        Column::number("MINOR").expendable(3),
        Column::number("ROUND TRIPS").expendable(5),
        Column::number("RTT P50").expendable(4),
        Column::number("RTT P99"),
        Column::number("RESENT").expendable(2),
        Column::number("MEM %").expendable(7),
        Column::number("MEMORY").expendable(8),
    ]);
    for row in report.rows.iter().take(top) {
        table.add(cells(row, length_ns));
    }
    let title = format!(
        "{} {} in {length}",
        count(report.rows.len() as u64),
        if report.rows.len() == 1 {
            "agent"
        } else {
            "agents"
        }
    );
    let mut text = format!("{}\n\n", paint.strong(title));
    let left_out = report.rows.len().saturating_sub(top);
    text.push_str(&table.text(width, paint, left_out, "agents"));
    text + &footer(&report.losses)
}

fn cells(row: &AllRow, length_ns: u64) -> [String; 13] {
    let window = &row.window;
    let rtt = row.round_trips();
    let polled = window.polled();
    let lost = polled.pressure.filter(|_| polled.length_ns > 0);
    [
        row.agent.name.to_string(),
        percent_of_time(window.on_cpu_ns(), length_ns),
        duration(window.wait_ns()),
        duration_or_none(window.waits().quantile_ns(0.99)),
        duration(blocked_io_ns(window)),
        compact_count(window.faults.major),
        compact_count(window.faults.minor),
        compact_count(rtt.total()),
        duration_or_none(rtt.quantile_ns(0.5)),
        duration_or_none(rtt.quantile_ns(0.99)),
        compact_count(
            row.peers
                .iter()
                .map(|peer| peer.window.counts.retransmitted)
                .sum(),
        ),
        lost.map_or(NONE.to_owned(), |lost| {
            percent_of_time(lost.memory.some_us * 1_000, polled.length_ns)
        }),
        polled
            .memory
            .map_or(NONE.to_owned(), |(amounts, _)| bytes(amounts.current_bytes)),
    ]
}

fn blocked_io_ns(window: &RunQueueWindow) -> u64 {
    window
        .ledger
        .spent_ns(hostler_common::ledger::state::BLOCKED_IO)
}

impl AllRow {
    /// Round trips with all peers.
    fn round_trips(&self) -> Durations {
        let mut all = Durations::default();
        for peer in &self.peers {
            all.add(&peer.window.round_trip);
        }
        all
    }
}

#[derive(Serialize)]
struct RowJson<'a> {
    name: &'a str,
    group: &'a str,
    /// `agent` or `system`.
    kind: &'static str,
    /// Threads at the end of the window.
    threads: u64,
    on_cpu_ns: u64,
    wait_ns: u64,
    wait_p50_ns: Option<u64>,
    wait_p99_ns: Option<u64>,
    blocked_io_ns: u64,
    read_bytes: u64,
    written_bytes: u64,
    minor_faults: u64,
    major_faults: u64,
    oom_kills: u64,
    /// As in the report `rtt`, less the agent's name.
    peers: Vec<PeerJson<'a>>,
    /// Between the agent's own readings; `null` if it was not read twice.
    polled: Option<PolledJson>,
}

#[derive(Serialize)]
struct PolledJson {
    over_ns: u64,
    pressure: Option<PressureJson>,
    memory_bytes: Option<u64>,
    swap_bytes: Option<u64>,
    reclaim: Option<ReclaimJson>,
}

fn row_json(row: &AllRow) -> RowJson<'_> {
    let window = &row.window;
    let waits = window.waits();
    let polled = window.polled();
    let amounts = polled.memory.map(|(amounts, _)| amounts);
    RowJson {
        name: &row.agent.name,
        group: &row.agent.group,
        kind: row.agent.kind.as_str(),
        threads: window.ledger.threads,
        on_cpu_ns: window.on_cpu_ns(),
        wait_ns: window.wait_ns(),
        wait_p50_ns: waits.quantile_ns(0.5),
        wait_p99_ns: waits.quantile_ns(0.99),
        blocked_io_ns: blocked_io_ns(window),
        read_bytes: window.block_io.read_bytes,
        written_bytes: window.block_io.written_bytes,
        minor_faults: window.faults.minor,
        major_faults: window.faults.major,
        oom_kills: window.oom_kills,
        peers: row.peers.iter().map(peer_json).collect(),
        polled: (polled.length_ns > 0).then(|| PolledJson {
            over_ns: polled.length_ns,
            pressure: polled.pressure.map(Into::into),
            memory_bytes: amounts.map(|amounts| amounts.current_bytes),
            swap_bytes: amounts.map(|amounts| amounts.swap_bytes),
            reclaim: polled.memory.map(|(_, pages)| pages.into()),
        }),
    }
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn all_json(report: &AllReport) -> String {
    let window = [report.from_ns, report.to_ns];
    rows_json(
        "all",
        window,
        report.rows.iter().map(row_json),
        report.losses,
    )
}

/// The report as CSV, after a line of titles in the first one; peers are added up.
pub(crate) fn all_csv(report: &AllReport, is_first: bool) -> String {
    let titles = [
        "from_ns",
        "to_ns",
        "name",
        "group",
        "threads",
        "on_cpu_ns",
        "wait_ns",
        "wait_p50_ns",
        "wait_p99_ns",
        "blocked_io_ns",
        "minor_faults",
        "major_faults",
        "round_trips",
        "rtt_p50_ns",
        "rtt_p99_ns",
        "retransmitted_segments",
        "sent_bytes",
        "received_bytes",
        "memory_some_us",
        "memory_over_ns",
        "memory_bytes",
    ];
    let or_empty =
        |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let rows = report.rows.iter().map(|row| {
        let (window, rtt) = (&row.window, row.round_trips());
        let waits = window.waits();
        let polled = window.polled();
        let sum = |count: fn(&PeerCounts) -> u64| {
            let counts = row.peers.iter().map(|peer| count(&peer.window.counts));
            counts.sum::<u64>().to_string()
        };
        [
            report.from_ns.to_string(),
            report.to_ns.to_string(),
            row.agent.name.to_string(),
            row.agent.group.to_string(),
            window.ledger.threads.to_string(),
            window.on_cpu_ns().to_string(),
            window.wait_ns().to_string(),
            or_empty(waits.quantile_ns(0.5)),
            or_empty(waits.quantile_ns(0.99)),
            blocked_io_ns(window).to_string(),
            window.faults.minor.to_string(),
            window.faults.major.to_string(),
            rtt.total().to_string(),
            or_empty(rtt.quantile_ns(0.5)),
            or_empty(rtt.quantile_ns(0.99)),
            sum(|counts| counts.retransmitted),
            sum(|counts| counts.sent_bytes),
            sum(|counts| counts.received_bytes),
            or_empty(polled.pressure.map(|lost| lost.memory.some_us)),
            polled.length_ns.to_string(),
            or_empty(polled.memory.map(|(amounts, _)| amounts.current_bytes)),
        ]
    });
    csv(titles, is_first, rows)
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests;
