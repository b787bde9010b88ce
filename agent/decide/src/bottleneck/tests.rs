use std::sync::Arc;

use hostler_common::{
    ledger::STATES,
    pair::{PairKey, relation},
    peer::{PeerKey, class},
};
use proptest::prelude::*;

use super::*;
use crate::{
    identity::Kind,
    peers::{PeerCounts, PeerWindow},
    polled::PolledWindow,
    pressure::{Pressure, Stall},
    signal::{Agent, AgentSource, PairSignal},
};

const MS: u64 = 1_000_000;
const LENGTH_NS: u64 = 1000 * MS;

/// An agent's window with so many ms in each state.
fn spent(ms_by_state: &[(u32, u64)]) -> RunQueueWindow {
    let mut window = RunQueueWindow::default();
    for &(state, ms) in ms_by_state {
        window.ledger.ns[state as usize] = (ms * MS).cast_signed();
    }
    window
}

fn stalled(ms: u64) -> Box<PolledWindow> {
    let stall = Stall {
        some_us: ms * 1000,
        full_us: 0,
    };
    Box::new(PolledWindow {
        length_ns: LENGTH_NS,
        pressure: Some(Pressure {
            memory: stall,
            ..Pressure::default()
        }),
        ..PolledWindow::default()
    })
}

fn judged(window: &RunQueueWindow, around: Around) -> Option<Bottleneck> {
    TimeParts::of(window, around, LENGTH_NS).bottleneck(LENGTH_NS as f64)
}

fn limit(window: &RunQueueWindow, around: Around) -> Option<Limit> {
    judged(window, around).map(|bottleneck| bottleneck.limit)
}

#[test]
fn parts_are_ordered_as_limits_are_numbered() {
    for (number, limit) in Limit::ALL.into_iter().enumerate() {
        assert_eq!(limit as usize, number, "{limit:?}");
    }
}

#[test]
fn what_takes_most_of_an_agent_s_time_is_its_bottleneck() {
    let nothing = Around::default();
    for (state, expected) in [
        (state::ON_CPU, Limit::Computing),
        (state::WAITING_WOKEN, Limit::Cpu),
        (state::WAITING_PREEMPTED, Limit::Cpu),
        (state::THROTTLED, Limit::Quota),
        (state::BLOCKED, Limit::Kernel),
        (state::BLOCKED_IO, Limit::Storage),
    ] {
        let window = spent(&[(state::ON_CPU, 100), (state, 500)]);
        assert_eq!(limit(&window, nothing), Some(expected));
    }
}

#[test]
fn an_agent_that_computes_for_most_of_its_time_is_held_up_by_what_takes_a_quarter() {
    let parts = |waits| {
        spent(&[
            (state::ON_CPU, 1000 - waits),
            (state::WAITING_PREEMPTED, waits),
        ])
    };
    assert_eq!(
        limit(&parts(249), Around::default()),
        Some(Limit::Computing)
    );
    let starved = judged(&parts(250), Around::default()).expect("it is busy");
    assert_eq!(starved.limit, Limit::Cpu);
    assert!((starved.part - 0.25).abs() < 1e-9, "{starved:?}");
}

#[test]
fn who_sleeps_is_not_busy() {
    let window = spent(&[(state::ON_CPU, 5), (state::ASLEEP, 995)]);
    assert_eq!(limit(&window, Around::default()), None);
    assert_eq!(limit(&spent(&[]), Around::default()), None);
}

#[test]
fn waits_are_laid_to_own_threads_as_long_ones_are() {
    let window = spent(&[(state::ON_CPU, 400), (state::WAITING_PREEMPTED, 600)]);
    let around = |own_ms, other_ms| Around {
        own_wait_ns: own_ms * MS,
        other_wait_ns: other_ms * MS,
        round_trip_ns: 0,
    };
    assert_eq!(limit(&window, around(400, 100)), Some(Limit::OwnThreads));
    assert_eq!(limit(&window, around(100, 400)), Some(Limit::Cpu));
    let parts = TimeParts::of(&window, around(300, 100), LENGTH_NS);
    assert!((parts.0[2] - 450.0 * MS as f64).abs() < 1.0, "{parts:?}");
}

#[test]
fn a_stall_for_memory_is_not_told_again_as_storage_or_as_a_fault() {
    let mut window = spent(&[(state::ON_CPU, 100), (state::BLOCKED_IO, 400)]);
    assert_eq!(limit(&window, Around::default()), Some(Limit::Storage));
    for _ in 0..100 {
        window.fault_latency.major.count(4 * MS);
    }
    assert_eq!(limit(&window, Around::default()), Some(Limit::Faults));
    window.polled = Some(stalled(400));
    let parts = TimeParts::of(&window, Around::default(), LENGTH_NS);
    let bottleneck = parts.bottleneck(LENGTH_NS as f64).expect("it is busy");
    assert_eq!(bottleneck.limit, Limit::Memory);
    assert!((bottleneck.part - 0.8).abs() < 0.05, "{parts:?}");
    assert!(
        (parts.sum_ns() - 500.0 * MS as f64).abs() < 1.0,
        "{parts:?}"
    );
}

#[test]
fn minor_faults_are_time_on_a_cpu() {
    let mut window = spent(&[(state::ON_CPU, 500)]);
    for _ in 0..100_000 {
        window.fault_latency.minor.count(4_000);
    }
    let bottleneck = judged(&window, Around::default()).expect("it is busy");
    assert_eq!(bottleneck.limit, Limit::Faults);
    assert!((bottleneck.part - 0.8).abs() < 0.1, "{bottleneck:?}");
}

/// A window of one agent that waited for another one, and talked to a class of peers.
fn window_of_one(own: RunQueueWindow, far: u32) -> (SlotLease, Window) {
    let id = SlotLease {
        slot: 200,
        generation: 1,
    };
    let agent = Agent {
        id,
        name: "coder".into(),
        group: "/".into(),
        kind: Kind::Agent,
        source: AgentSource::Cgroup,
        place: "/".into(),
    };
    let pair = |cause| PairKey {
        waiter: id,
        cause,
        relation: relation::PREEMPTOR,
    };
    let waits = |ms| PairSignal {
        waits: 1,
        wait_ns: ms * MS,
    };
    let peer = PeerKey {
        agent: id,
        peer: far,
        reserved: 0,
    };
    let talked = PeerWindow {
        counts: PeerCounts {
            rtt_us: 700_000,
            ..PeerCounts::default()
        },
        ..PeerWindow::default()
    };
    let window = Window {
        from_ns: 0,
        to_ns: LENGTH_NS,
        agents: [(id, (Arc::new(agent), own))].into(),
        pairs: [(pair(200), waits(30)), (pair(201), waits(10))].into(),
        peers: [(peer, talked)].into(),
        ..Window::default()
    };
    (id, window)
}

#[test]
fn packets_under_way_to_others_while_it_sleeps_are_the_network_s() {
    let own = spent(&[(state::ON_CPU, 100), (state::ASLEEP, 900)]);
    let (_, within) = window_of_one(own.clone(), class::LOOPBACK);
    let (_, computing) = bottlenecks(&within).next().expect("it is busy");
    assert_eq!(computing.limit, Limit::Computing);
    let (id, window) = window_of_one(own, class::WAN);
    let all: Vec<(SlotLease, Bottleneck)> = bottlenecks(&window).collect();
    let [(of, bottleneck)] = all[..] else {
        panic!("not one: {all:?}");
    };
    assert_eq!((of, bottleneck.limit), (id, Limit::Network));
    assert!((bottleneck.part - 0.875).abs() < 1e-9, "{bottleneck:?}");
}

#[test]
fn many_threads_that_sleep_do_not_make_the_network_out_of_packets_that_are_under_way_at_once() {
    // Sixteen threads, of which one computes, and an upload with hundreds of packets under way.
    let window = spent(&[(state::ON_CPU, 1000), (state::ASLEEP, 15_000)]);
    let around = Around {
        round_trip_ns: 40_000 * MS,
        ..Around::default()
    };
    let bottleneck = judged(&window, around).expect("it is busy");
    assert!((bottleneck.part - 0.5).abs() < 1e-9, "{bottleneck:?}");
}

#[test]
fn a_window_tells_own_waits_from_others_by_their_pairs() {
    let (id, window) = window_of_one(spent(&[]), class::LAN);
    let around = Around::all(&window)[&id];
    assert_eq!(
        (around.own_wait_ns, around.other_wait_ns),
        (30 * MS, 10 * MS)
    );
    assert_eq!(around.round_trip_ns, 700 * MS);
}

proptest! {
    #[test]
    fn parts_are_never_negative_nor_more_than_the_time_there_was(
        ms in prop::array::uniform8(0_u64..5_000),
        stall_ms in 0_u64..10_000,
        major in 0_u64..2_000,
        minor in 0_u64..2_000,
        own_ms in 0_u64..5_000,
        other_ms in 0_u64..5_000,
        round_trip_ms in 0_u64..10_000,
    ) {
        let states: Vec<(u32, u64)> = (0_u32..).zip(ms).skip(1).collect();
        prop_assert_eq!(states.len() + 1, STATES);
        let mut window = spent(&states);
        window.polled = Some(stalled(stall_ms));
        for _ in 0..major {
            window.fault_latency.major.count(3 * MS);
        }
        for _ in 0..minor {
            window.fault_latency.minor.count(2 * MS);
        }
        let around = Around {
            own_wait_ns: own_ms * MS,
            other_wait_ns: other_ms * MS,
            round_trip_ns: round_trip_ms * MS,
        };
        let parts = TimeParts::of(&window, around, LENGTH_NS);
        prop_assert!(parts.0.iter().all(|&part| part >= 0.0), "{parts:?}");
        let there_was = window.ledger.total_ns() as f64;
        prop_assert!(parts.sum_ns() <= there_was + 1.0, "{parts:?} of {there_was}");
        if let Some(bottleneck) = parts.bottleneck(LENGTH_NS as f64) {
            prop_assert!((0.0..=1.0).contains(&bottleneck.part), "{bottleneck:?}");
        }
    }
}
