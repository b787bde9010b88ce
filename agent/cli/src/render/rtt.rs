//! TCP round trips of each agent and peer, as a table with histograms.

use hostler_decide::durations::Durations;
use serde::Serialize;

use crate::report::{RttReport, RttRow};

use super::{
    foreign::printable,
    histogram::one_kind,
    layout::Layout,
    losses::footer,
    machine::{csv, rows_json},
    paint::Paint,
    table::{Column, Table},
    units::{NONE, bytes, compact_count, count, duration, duration_or_none},
};

/// The report as text, its last line's end included.
pub(crate) fn rtt_text(report: &RttReport, layout: Layout) -> String {
    let paint = Paint::new(layout.color);
    let length = duration(report.length_ns());
    if report.rows.is_empty() {
        return format!("No TCP socket was used in {length}.\n") + &footer(&report.losses);
    }
    let mut table = Table::new(&[
        Column::name("AGENT"),
        Column::word("PEER"),
        Column::number("ROUND TRIPS"),
        Column::number("P50"),
        Column::number("P99"),
        Column::number("SMOOTHED").expendable(3),
        Column::number("MIN").expendable(6),
        Column::number("RESENT"),
        Column::number("DROPPED").expendable(5),
        Column::number("SENT").expendable(2),
        Column::number("RECEIVED").expendable(1),
        Column::number("CONNECTS").expendable(4),
        Column::number("CONNECT P50").expendable(7),
        Column::number("IN VAIN").expendable(8),
        Column::number("OPEN").expendable(9),
    ]);
    for row in report.rows.iter().take(layout.top) {
        table.add(cells(row));
    }
    let mut text = headline(report, paint) + "\n";
    let left_out = report.rows.len().saturating_sub(layout.top);
    text.push_str(&table.text(layout.width, paint, left_out, "pairs"));
    for row in report.rows.iter().take(layout.histograms.min(layout.top)) {
        text.push_str(&block(row, layout.width, paint));
    }
    text + &footer(&report.losses)
}

fn headline(report: &RttReport, paint: Paint) -> String {
    let sum = |count: fn(&RttRow) -> u64| report.rows.iter().map(count).sum::<u64>();
    let headline = format!(
        "{} round trips in {}: {} sent, {} received, {} segments sent again",
        count(sum(|row| row.window.round_trip.total())),
        duration(report.length_ns()),
        bytes(sum(|row| row.window.counts.sent_bytes)),
        bytes(sum(|row| row.window.counts.received_bytes)),
        count(sum(|row| row.window.counts.retransmitted)),
    );
    format!("{}\n", paint.strong(headline))
}

fn cells(row: &RttRow) -> [String; 15] {
    let window = &row.window;
    let counts = window.counts;
    let quantile = |of: &Durations, q| duration_or_none(of.quantile_ns(q));
    [
        row.agent.clone(),
        row.peer.clone(),
        compact_count(window.round_trip.total()),
        quantile(&window.round_trip, 0.5),
        quantile(&window.round_trip, 0.99),
        microseconds(window.smoothed_rtt_us),
        microseconds(window.min_rtt_us),
        compact_count(counts.retransmitted),
        compact_count(counts.dropped),
        bytes(counts.sent_bytes),
        bytes(counts.received_bytes),
        compact_count(counts.connected + counts.accepted),
        quantile(&window.connect, 0.5),
        compact_count(counts.not_connected),
        compact_count(window.open),
    ]
}

fn microseconds(us: u32) -> String {
    if us == 0 {
        NONE.to_owned()
    } else {
        duration(u64::from(us) * 1_000)
    }
}

/// The histogram of a row's round trips; empty if it had none.
fn block(row: &RttRow, width: usize, paint: Paint) -> String {
    if row.window.round_trip.is_empty() {
        return String::new();
    }
    let name = printable(&row.agent);
    format!(
        "\n{}  {}\n{}",
        paint.strong(&name),
        paint.faint(&row.peer),
        one_kind(&row.window.round_trip, "round trip", width, paint),
    )
}

/// One agent and one of those that it talked to.
#[derive(Serialize)]
pub(super) struct RowJson<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    agent: &'a str,
    /// A name given with `--peer`, or `loopback`, `host`, `lan`, `wan`, `nobody`.
    peer: &'a str,
    round_trips: u64,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    max_ns: Option<u64>,
    mean_rtt_us: Option<f64>,
    /// As of the last round trip; 0 if there never was one.
    smoothed_rtt_us: u32,
    /// The shortest that the kernel remembers.
    min_rtt_us: u32,
    sent_bytes: u64,
    received_bytes: u64,
    retransmitted_segments: u64,
    dropped_segments: u64,
    connected: u64,
    connect_p50_ns: Option<u64>,
    connect_p99_ns: Option<u64>,
    not_connected: u64,
    accepted: u64,
    closed: u64,
    /// At the end of the window.
    open: u64,
    /// Buckets that hold something: `[start_ns, end_ns, count]`.
    round_trip_buckets: Vec<[u64; 3]>,
}

/// A row as JSON has it; without the agent's name if that is empty.
pub(super) fn row_json(row: &RttRow) -> RowJson<'_> {
    let window = &row.window;
    let counts = window.counts;
    RowJson {
        agent: &row.agent,
        peer: &row.peer,
        round_trips: window.round_trip.total(),
        p50_ns: window.round_trip.quantile_ns(0.5),
        p90_ns: window.round_trip.quantile_ns(0.9),
        p99_ns: window.round_trip.quantile_ns(0.99),
        max_ns: window.round_trip.max_ns(),
        mean_rtt_us: window.mean_rtt_us(),
        smoothed_rtt_us: window.smoothed_rtt_us,
        min_rtt_us: window.min_rtt_us,
        sent_bytes: counts.sent_bytes,
        received_bytes: counts.received_bytes,
        retransmitted_segments: counts.retransmitted,
        dropped_segments: counts.dropped,
        connected: counts.connected,
        connect_p50_ns: window.connect.quantile_ns(0.5),
        connect_p99_ns: window.connect.quantile_ns(0.99),
        not_connected: counts.not_connected,
        accepted: counts.accepted,
        closed: counts.closed,
        open: window.open,
        round_trip_buckets: window
            .round_trip
            .buckets()
            .map(|bucket| [bucket.start_ns, bucket.end_ns, bucket.count])
            .collect(),
    }
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn rtt_json(report: &RttReport) -> String {
    let window = [report.from_ns, report.to_ns];
    rows_json(
        "rtt",
        window,
        report.rows.iter().map(row_json),
        report.losses,
    )
}

/// The report as CSV, after a line of titles in the first one; the fields mean what they mean in
/// JSON.
pub(crate) fn rtt_csv(report: &RttReport, is_first: bool) -> String {
    let titles = [
        "from_ns",
        "to_ns",
        "agent",
        "peer",
        "round_trips",
        "p50_ns",
        "p90_ns",
        "p99_ns",
        "max_ns",
        "smoothed_rtt_us",
        "min_rtt_us",
        "sent_bytes",
        "received_bytes",
        "retransmitted_segments",
        "dropped_segments",
        "connected",
        "connect_p50_ns",
        "not_connected",
        "accepted",
        "closed",
        "open",
    ];
    let or_empty = |ns: Option<u64>| ns.map(|ns| ns.to_string()).unwrap_or_default();
    let rows = report.rows.iter().map(row_json).map(|row| {
        [
            report.from_ns.to_string(),
            report.to_ns.to_string(),
            row.agent.to_owned(),
            row.peer.to_owned(),
            row.round_trips.to_string(),
            or_empty(row.p50_ns),
            or_empty(row.p90_ns),
            or_empty(row.p99_ns),
            or_empty(row.max_ns),
            row.smoothed_rtt_us.to_string(),
            row.min_rtt_us.to_string(),
            row.sent_bytes.to_string(),
            row.received_bytes.to_string(),
            row.retransmitted_segments.to_string(),
            row.dropped_segments.to_string(),
            row.connected.to_string(),
            or_empty(row.connect_p50_ns),
            row.not_connected.to_string(),
            row.accepted.to_string(),
            row.closed.to_string(),
            row.open.to_string(),
        ]
    });
    csv(titles, is_first, rows)
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_decide::{
        peers::{PeerCounts, PeerWindow},
        signal::LossSignal,
    };

    use super::*;
    use crate::render::samples::durations;

    fn report() -> RttReport {
        let row = |agent: &str, peer: &str, round_trips, typical_ns, retransmitted| RttRow {
            agent: agent.to_owned(),
            peer: peer.to_owned(),
            window: PeerWindow {
                counts: PeerCounts {
                    rtt_us: 4_000,
                    sent_bytes: 120_000,
                    received_bytes: 3_400_000,
                    retransmitted,
                    connected: 4,
                    ..PeerCounts::default()
                },
                smoothed_rtt_us: 31_000,
                min_rtt_us: 29_400,
                open: 2,
                round_trip: durations(round_trips, typical_ns),
                connect: durations(64, typical_ns),
            },
        };
        RttReport {
            from_ns: 5_000_000_000,
            to_ns: 15_000_000_000,
            rows: vec![
                row("agents/coder", "model", 900, 31_000_000, 3),
                row("agents/\u{1b}[2Jplanner", "loopback", 90, 41_000, 0),
            ],
            losses: LossSignal::default(),
        }
    }

    fn layout(width: usize, histograms: usize) -> Layout {
        Layout {
            width,
            color: false,
            top: 20,
            histograms,
        }
    }

    #[test]
    fn each_agent_and_peer_has_a_line_and_the_first_a_histogram() {
        expect![[r#"
            1,203 round trips in 10.0 s: 234.4 KiB sent, 6.5 MiB received, 3 segments sent again

            AGENT                    PEER      ROUND TRIPS      P50     P99  RESENT       SENT  RECEIVED
            agents/coder             model           1,112  31.5 ms  185 ms       3  117.2 KiB   3.2 MiB
            agents/\u{1b}[2Jplanner  loopback           91  45.1 µs  164 µs       0  117.2 KiB   3.2 MiB

            agents/coder  model
                  round trip    count
                2.1 – 4.2 ms        3  ▌
                4.2 – 8.4 ms       35  █████▊
                 8.4 – 17 ms      154  █████████████████████████▏
                  17 – 34 ms      448  █████████████████████████████████████████████████████████████████████████
                  34 – 67 ms      364  ███████████████████████████████████████████████████████████▍
                 67 – 134 ms       90  ██████████████▊
                134 – 268 ms       18  ███
        "#]].assert_eq(&rtt_text(&report(), layout(100, 1)));
    }

    #[test]
    fn a_wide_terminal_shows_all_columns() {
        expect![[r#"
            1,203 round trips in 10.0 s: 234.4 KiB sent, 6.5 MiB received, 3 segments sent again

            AGENT                    PEER      ROUND TRIPS      P50     P99  SMOOTHED      MIN  RESENT  DROPPED       SENT  RECEIVED  CONNECTS  CONNECT P50  IN VAIN  OPEN
            agents/coder             model           1,112  31.5 ms  185 ms   31.0 ms  29.4 ms       3        0  117.2 KiB   3.2 MiB         4      31.5 ms        0     2
            agents/\u{1b}[2Jplanner  loopback           91  45.1 µs  164 µs   31.0 ms  29.4 ms       0        0  117.2 KiB   3.2 MiB         4      45.1 µs        0     2
        "#]].assert_eq(&rtt_text(&report(), layout(190, 0)));
    }

    #[test]
    fn without_a_socket_there_is_no_table() {
        let mut report = report();
        report.rows.clear();
        let text = rtt_text(&report, layout(100, 3));
        assert!(
            text.starts_with("No TCP socket was used in 10.0 s."),
            "{text}"
        );
    }

    #[test]
    fn json_and_csv_hold_every_row() {
        assert_eq!(rtt_json(&report()).matches("\"agent\"").count(), 2);
        assert_eq!(rtt_csv(&report(), true).lines().count(), 3);
    }
}
