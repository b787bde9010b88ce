//! What is measured of TCP sockets is what the kernel tells of each of them by `TCP_INFO`.

mod paths;
mod talk;
mod turns;

use std::net::TcpListener;

use nix::sys::signal::Signal;
use serde_json::Value;

pub(crate) use self::paths::TESTS as PATHS;
pub(crate) use self::talk::{Info, listen, run_listener, run_refused, run_talker, talk};
pub(crate) use self::turns::TESTS as TURNS;
use crate::{
    Need, Test,
    attribution::count,
    host::{Host, Running, reports, start_hostler},
    needs,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "round_trips_and_bytes_are_those_of_tcp_info",
        needs: NEEDS,
        run: round_trips_and_bytes_are_those_of_tcp_info,
    },
    Test {
        name: "ipv6_sockets_are_measured_as_well",
        needs: NEEDS,
        run: ipv6_sockets_are_measured_as_well,
    },
    Test {
        name: "a_connection_that_is_older_than_hostler_is_followed_from_then_on",
        needs: NEEDS,
        run: a_connection_that_is_older_than_hostler_is_followed_from_then_on,
    },
    Test {
        name: "a_peer_that_was_given_a_name_has_a_row_of_its_own",
        needs: NEEDS,
        run: a_peer_that_was_given_a_name_has_a_row_of_its_own,
    },
    Test {
        name: "connections_that_nobody_takes_are_counted",
        needs: NEEDS,
        run: connections_that_nobody_takes_are_counted,
    },
];

const NEEDS: &[Need] = &[Need::WritableCgroups, Need::SocketStatistics];

/// A little longer than sockets wait for a visit.
const BETWEEN_VISITS: std::time::Duration = std::time::Duration::from_secs(12);

const ROUNDS: u64 = 300;
const BYTES: u64 = 700;

/// The row of an agent and a peer.
pub(crate) fn row(report: &Value, agent: &str, peer: &str) -> Value {
    let rows = report["rows"].as_array().expect("a report has rows");
    let found = rows
        .iter()
        .find(|row| row["agent"] == agent && row["peer"] == peer);
    found
        .unwrap_or_else(|| panic!("{agent} and {peer} are not in {report:#}"))
        .clone()
}

/// Ends a trace by a signal, as a user does, and takes its only report.
pub(crate) fn report_after_interrupt(mut tracer: Running) -> Value {
    tracer.send(Signal::SIGINT);
    let mut reports = reports(&tracer.wait());
    assert_eq!(reports.len(), 1, "one report at the end");
    reports.remove(0)
}

/// Each way is one acknowledgement, and some may acknowledge two at once.
fn assert_round_trips(row: &Value) {
    let counted = count(row, "round_trips");
    assert!(
        (ROUNDS * 9 / 10..=ROUNDS + 2).contains(&counted),
        "{counted} of {ROUNDS}: {row:#}"
    );
}

/// The kernel's own account of a socket since `before`.
fn assert_is(row: &Value, before: &Info, now: &Info) {
    assert_eq!(count(row, "sent_bytes"), now.sent_bytes - before.sent_bytes);
    assert_eq!(
        count(row, "received_bytes"),
        now.received_bytes - before.received_bytes
    );
    assert_eq!(
        count(row, "retransmitted_segments"),
        now.retransmitted - before.retransmitted
    );
    assert_eq!(count(row, "min_rtt_us"), now.min_rtt_us, "{row:#}");
}

fn talk_over(host: &Host, address: &str) {
    let (servers, clients) = (host.cgroup("server"), host.cgroup("client"));
    let tracer = start_hostler(&["trace", "rtt", "--json"]);
    let server = listen(&servers, &[], address);
    let mut client = talk(&clients, &[], address, server.number);
    client.rounds(ROUNDS, BYTES);
    // The last acknowledgement comes late, and is no round trip if the kernel has sent the segment again to
    // probe for it: then the next visit takes it in.
    std::thread::sleep(BETWEEN_VISITS);
    let [near, far] = [client.number, server.number].map(|port| Info::of(&[], port));
    let report = report_after_interrupt(tracer);
    let nothing = Info::default();
    let client_row = row(&report, &clients.name, "loopback");
    assert_round_trips(&client_row);
    assert_is(&client_row, &nothing, &near);
    assert_eq!(count(&client_row, "smoothed_rtt_us"), near.rtt_us);
    assert_eq!(count(&client_row, "connected"), 1);
    assert!(client_row["connect_p50_ns"].as_u64().is_some());
    let server_row = row(&report, &servers.name, "loopback");
    assert_round_trips(&server_row);
    assert_is(&server_row, &nothing, &far);
    assert_eq!(count(&server_row, "accepted"), 1);
    assert_eq!(count(&server_row, "open"), 1);
    client.end();
    server.end();
}

fn round_trips_and_bytes_are_those_of_tcp_info(host: &Host) {
    talk_over(host, "127.0.0.1");
}

fn ipv6_sockets_are_measured_as_well(host: &Host) {
    talk_over(host, "::1");
}

fn a_connection_that_is_older_than_hostler_is_followed_from_then_on(host: &Host) {
    let (servers, clients) = (host.cgroup("server"), host.cgroup("client"));
    let server = listen(&servers, &[], "127.0.0.1");
    let mut client = talk(&clients, &[], "127.0.0.1", server.number);
    client.rounds(ROUNDS, BYTES);
    let before = [client.number, server.number].map(|port| Info::of(&[], port));
    let tracer = start_hostler(&["trace", "rtt", "--json"]);
    client.rounds(ROUNDS, BYTES);
    let after = [client.number, server.number].map(|port| Info::of(&[], port));
    client.end();
    server.end();
    let report = report_after_interrupt(tracer);
    for (name, before, after) in [
        (&clients.name, &before[0], &after[0]),
        (&servers.name, &before[1], &after[1]),
    ] {
        let row = row(&report, name, "loopback");
        // The last bytes of all are the ends of both sides, which count as one byte each.
        let sent = after.sent_bytes - before.sent_bytes;
        assert!(
            (sent..=sent + 1).contains(&count(&row, "sent_bytes")),
            "{row:#}"
        );
        assert_eq!(count(&row, "closed"), 1, "{row:#}");
        assert_eq!(count(&row, "open"), 0, "{row:#}");
        // By the kernel's word for each from 6.12 on; before, at a visit of all sockets.
        if !needs::has_samples_of_old_sockets() {
            assert_round_trips(&row);
        }
    }
}

fn a_peer_that_was_given_a_name_has_a_row_of_its_own(host: &Host) {
    let (servers, clients) = (host.cgroup("server"), host.cgroup("client"));
    let tools = listen(&servers, &[], "127.0.0.1");
    let named = format!("tools=192.0.2.0/24,127.0.0.1:{}", tools.number);
    let tracer = start_hostler(&["trace", "rtt", "--json", "--peer", &named]);
    let mut client = talk(&clients, &[], "127.0.0.1", tools.number);
    client.rounds(ROUNDS, BYTES);
    let report = report_after_interrupt(tracer);
    assert_round_trips(&row(&report, &clients.name, "tools"));
    // To the server, the client's port is none of those.
    assert_round_trips(&row(&report, &servers.name, "loopback"));
    client.end();
    tools.end();
}

fn connections_that_nobody_takes_are_counted(host: &Host) {
    let clients = host.cgroup("client");
    // A port on which nobody listens, since it was just given to somebody who has left.
    let port = {
        let gone = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        gone.local_addr().expect("it has one").port()
    };
    let tracer = start_hostler(&["trace", "rtt", "--json"]);
    let refused = clients.start_load(&["refused", &port.to_string(), "5"]);
    let output = refused.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let report = report_after_interrupt(tracer);
    let row = row(&report, &clients.name, "nobody");
    assert_eq!(count(&row, "not_connected"), 5, "{row:#}");
    assert_eq!(count(&row, "round_trips"), 0, "{row:#}");
    assert_eq!(count(&row, "open"), 0, "{row:#}");
}
