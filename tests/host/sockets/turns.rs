//! Of an agent's many connections some are asked about their round trips, in turns.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Info, NEEDS, listen, report_after_interrupt, row, talk};
use crate::{
    Need, Test,
    attribution::count,
    host::{Host, start_hostler},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "of_many_connections_two_tell_all_their_round_trips_and_all_tell_their_bytes",
        needs: NEEDS,
        run: of_many_connections_two_tell_all_their_round_trips_and_all_tell_their_bytes,
    },
    Test {
        name: "a_connection_that_talks_takes_the_turn_of_one_that_is_silent",
        needs: &[Need::WritableCgroups, Need::AskedFromOutside],
        run: a_connection_that_talks_takes_the_turn_of_one_that_is_silent,
    },
];

const ROUNDS: u64 = 300;
const BYTES: u64 = 700;

/// Connections that are asked at a time.
const ASKED: u64 = 2;

/// Visits by which the turn has changed: one finds who is silent, one gives the place away, and the
/// order in one visit is anybody's guess.
const VISITS: u32 = 3;
const VISIT: Duration = Duration::from_secs(10);

fn of_many_connections_two_tell_all_their_round_trips_and_all_tell_their_bytes(host: &Host) {
    const MANY: u64 = 6;
    let (servers, clients) = (host.cgroup("server"), host.cgroup("client"));
    let tracer = start_hostler(&["trace", "rtt", "--json"]);
    let server = listen(&servers, &[], "127.0.0.1");
    let mut talking: Vec<_> = (0..MANY)
        .map(|_| talk(&clients, &[], "127.0.0.1", server.number))
        .collect();
    let mut sent = 0;
    for client in &mut talking {
        client.rounds(ROUNDS, BYTES);
        sent += Info::of(&[], client.number).sent_bytes;
    }
    for client in talking {
        client.end();
    }
    let report = report_after_interrupt(tracer);
    for agent in [&clients.name, &servers.name] {
        let row = row(&report, agent, "loopback");
        // Those that were not asked tell of one when they close.
        let told = count(&row, "round_trips");
        let least = ASKED * (ROUNDS * 9 / 10) + MANY - ASKED;
        let most = ASKED * (ROUNDS + 2) + MANY - ASKED;
        assert!(
            (least..=most).contains(&told),
            "{told} is not in {least} to {most}: {row:#}"
        );
        assert_eq!(count(&row, "closed"), MANY, "{row:#}");
    }
    let row = row(&report, &clients.name, "loopback");
    // The end of each side counts as a byte.
    let counted = count(&row, "sent_bytes");
    assert!(
        (sent..=sent + MANY).contains(&counted),
        "{counted}, not {sent}"
    );
    server.end();
}

fn a_connection_that_talks_takes_the_turn_of_one_that_is_silent(host: &Host) {
    let (servers, clients) = (host.cgroup("server"), host.cgroup("client"));
    let tracer = start_hostler(&["trace", "rtt", "--json"]);
    let server = listen(&servers, &[], "127.0.0.1");
    // They take all places, and fall silent.
    let silent: Vec<_> = (0..ASKED)
        .map(|_| talk(&clients, &[], "127.0.0.1", server.number))
        .collect();
    let mut late = talk(&clients, &[], "127.0.0.1", server.number);
    let visited = Instant::now() + (VISITS + 1) * VISIT;
    while Instant::now() < visited {
        late.rounds(1, BYTES);
        thread::sleep(Duration::from_millis(200));
    }
    late.rounds(ROUNDS, BYTES);
    let report = report_after_interrupt(tracer);
    for agent in [&clients.name, &servers.name] {
        let told = count(&row(&report, agent, "loopback"), "round_trips");
        assert!(told >= ROUNDS * 9 / 10, "{told} of {ROUNDS}: {report:#}");
    }
    late.end();
    silent.into_iter().for_each(super::talk::Process::end);
    server.end();
}
