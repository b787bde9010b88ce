use expect_test::expect;
use hostler_decide::{
    peers::{PeerCounts, PeerWindow},
    signal::LossSignal,
};

use super::*;
use crate::{
    render::samples::{durations, report as runq_report},
    report::RttRow,
};

fn report() -> AllReport {
    let peer = |peer: &str, round_trips, typical_ns| RttRow {
        agent: String::new(),
        peer: peer.to_owned(),
        window: PeerWindow {
            counts: PeerCounts {
                sent_bytes: 1_000,
                retransmitted: 2,
                ..PeerCounts::default()
            },
            round_trip: durations(round_trips, typical_ns),
            ..PeerWindow::default()
        },
    };
    let runq = runq_report();
    let rows = runq.rows.into_iter().filter_map(|row| {
        Some(AllRow {
            agent: row.agent?,
            window: row.window,
            peers: vec![peer("loopback", 90, 40_000), peer("model", 20, 31_000_000)],
        })
    });
    AllReport {
        from_ns: runq.from_ns,
        to_ns: runq.to_ns,
        rows: rows.take(3).collect(),
        losses: LossSignal::default(),
    }
}

#[test]
fn each_agent_has_one_line_with_all_its_signals() {
    expect![[r#"
        3 agents in 10.0 s

        AGENT                                                      CPU %   WAITED  WAIT P99  BLK I/O  MAJOR  MINOR  ROUND TRIPS  RTT P50  RTT P99  RESENT  MEM %  MEMORY
        other                                                        0.0  44.3 µs   5.63 µs   900 µs      0      0          106  45.1 µs  54.5 ms       4      –       –
        /kubepods.slice/ku…ds-burstable.slice/pod-3f2a/agent-0017    129   45.7 s   6.82 ms  12.3 ms      0      0          106  45.1 µs  54.5 ms       4      –       –
        … and 1 more agents
    "#]].assert_eq(&all_text(&report(), 160, 2, false));
}

#[test]
fn on_a_narrow_terminal_the_waits_and_round_trips_stay() {
    expect![[r#"
        3 agents in 10.0 s

        AGENT                           CPU %   WAITED  WAIT P99  MAJOR  RTT P99  RESENT
        other                             0.0  44.3 µs   5.63 µs      0  54.5 ms       4
        /kubepods…/pod-3f2a/agent-0017    129   45.7 s   6.82 ms      0  54.5 ms       4
        /kubepods…-77b1/mcp-filesystem  1,853   8.99 s   32.8 µs      0  54.5 ms       4
    "#]]
    .assert_eq(&all_text(&report(), 80, 20, false));
}

#[test]
fn json_holds_each_peer_and_csv_their_sums() {
    let json = all_json(&report());
    assert_eq!(json.matches(r#""peer":"model""#).count(), 3);
    assert!(json.contains(r#""polled":null"#), "{json}");
    let csv = all_csv(&report(), true);
    assert_eq!(csv.lines().count(), 4);
    assert!(csv.contains(",4,2000,0,"), "{csv}");
}

#[test]
fn an_idle_host_has_a_sentence_instead_of_a_table() {
    let mut report = report();
    report.rows.clear();
    let text = all_text(&report, 80, 20, false);
    assert!(
        text.starts_with("No agent did anything in 10.0 s."),
        "{text}"
    );
}
