use std::sync::Arc;

use hostler_common::{
    ledger::state,
    peer::{PeerKey, class},
    placement::MAX_NODES,
    slot::SlotLease,
};
use proptest::prelude::*;

use super::{
    clusters, exact,
    problem::{Member, Problem, Shares},
    search,
    seats::{ClusterProspect, Prospect, Seat, Seats},
};
use crate::{
    identity::Kind,
    peers::PeerWindow,
    placement::Placement,
    plan::{Lately, Policy},
    signal::{Agent, AgentSource},
    topology::{CpuPlace, Node, Topology},
    window::{RunQueueWindow, Window},
};

/// Nodes with as many CPUs each, at distance 20, or 30 if they are not next to each other; each with two
/// caches.
fn topology(nodes: u32, cpus: u32) -> Topology {
    let place = |cpu: u32| CpuPlace {
        package: cpu / cpus,
        l3: Some(2 * (cpu / cpus) + (cpu % cpus) / cpus.div_ceil(2)),
        core: cpu,
        node: cpu / cpus,
    };
    let distance = |from: u32, to: u32| match from.abs_diff(to) {
        0 => 10,
        1 => 20,
        _ => 30,
    };
    let node = |from: u32| Node {
        memory_bytes: 1 << 36,
        distances: (0..nodes).map(|to| (to, distance(from, to))).collect(),
    };
    Topology {
        cpus: (0..nodes * cpus).map(|cpu| (cpu, place(cpu))).collect(),
        nodes: (0..nodes).map(|number| (number, node(number))).collect(),
        l3_bytes: vec![32 << 20; 2 * nodes as usize],
    }
}

fn on(node: usize) -> Shares {
    let mut shares = [0.0; MAX_NODES];
    shares[node] = 1.0;
    shares
}

fn member(demand: f64, run: Shares, memory: Shares) -> Member {
    Member {
        demand,
        variance: 0.0,
        run,
        memory,
        memory_bytes: 10_000_000.0,
        threads: 4.0,
        own_wakes: 0.0,
        may_move: true,
    }
}

fn improved(problem: &Problem) -> Seats<'_> {
    let mut seats = Seats::as_is(problem);
    search::improve(&mut seats, &clusters::of(problem));
    seats
}

#[test]
fn an_agent_whose_memory_lies_elsewhere_gets_it_on_one_node() {
    let problem = Problem::new(&topology(2, 4), vec![member(0.5, on(0), on(1))]);
    let seats = improved(&problem);
    // Where its memory is already, nothing need be moved.
    assert_eq!(seats.seat(0), Seat::On(1));
}

#[test]
fn an_agent_that_is_well_placed_stays() {
    let members = vec![member(0.5, on(0), on(0)), member(0.5, on(1), on(1))];
    let problem = Problem::new(&topology(2, 4), members);
    let seats = improved(&problem);
    assert_eq!([seats.seat(0), seats.seat(1)], [Seat::AsIs; 2]);
}

#[test]
fn an_agent_does_not_change_sides_for_next_to_nothing() {
    // Alone on a host but for a little of it that runs on the agent's node.
    let mut host = member(0.02, on(1), on(1));
    host.may_move = false;
    let problem = Problem::new(&topology(2, 2), vec![member(1.0, on(1), on(1)), host]);
    assert_eq!(improved(&problem).seat(0), Seat::AsIs);
}

#[test]
fn who_may_not_be_moved_is_not() {
    let mut fixed = member(0.5, on(0), on(1));
    fixed.may_move = false;
    let problem = Problem::new(&topology(2, 4), vec![fixed]);
    assert_eq!(improved(&problem).seat(0), Seat::AsIs);
}

/// An agent that runs for so many ms of a second, and whose packets are under way for so many.
fn talking(on_cpu_ms: i64, round_trip_ms: u64) -> Lately {
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
    let mut own = RunQueueWindow::default();
    own.ledger.ns[state::ON_CPU as usize] = on_cpu_ms * 1_000_000;
    own.ledger.ns[state::ASLEEP as usize] = 9_000_000_000;
    let mut placement = Placement::default();
    placement.on_cpu_ns[0] = 100_000_000;
    own.placement = Some(Box::new(placement));
    let key = PeerKey {
        agent: id,
        peer: class::WAN,
        reserved: 0,
    };
    let mut peer = PeerWindow::default();
    peer.counts.rtt_us = round_trip_ms * 1000;
    let mut lately = Lately::default();
    lately.follow(&Window {
        to_ns: 1_000_000_000,
        agents: [(id, (Arc::new(agent), own))].into(),
        peers: [(key, peer)].into(),
        ..Window::default()
    });
    lately
}

#[test]
fn an_agent_that_waits_for_packets_most_of_its_time_is_not_moved() {
    let (topology, policy) = (topology(2, 4), Policy::default());
    let stay = |on_cpu_ms, round_trip_ms| {
        let lately = talking(on_cpu_ms, round_trip_ms);
        let plan = crate::plan::plan(&lately, &topology, &policy);
        let staying = plan.staying;
        (staying.waits_elsewhere, staying.well_placed)
    };
    assert_eq!(stay(100, 600), (1, 0));
    assert_eq!(stay(100, 10), (0, 1));
    // It keeps a CPU busy beside that.
    assert_eq!(stay(1_000, 5_000), (0, 1));
}

#[test]
fn what_hardly_runs_is_not_worth_a_move() {
    let problem = Problem::new(&topology(2, 4), vec![member(0.0001, on(0), on(1))]);
    assert_eq!(improved(&problem).seat(0), Seat::AsIs);
}

#[test]
fn agents_that_wake_each_other_come_together() {
    let members = vec![member(0.2, on(0), on(0)), member(0.2, on(1), on(1))];
    let mut problem = Problem::new(&topology(2, 8), members);
    problem.add_wakes([(0, 1, 20_000.0), (1, 0, 20_000.0)].into_iter());
    let seats = improved(&problem);
    assert_eq!(search::home(&seats, 0), search::home(&seats, 1));
}

/// One after the other each would lose more first: they must go together.
#[test]
fn a_pair_goes_together_to_where_its_memory_lies() {
    let members = vec![
        member(0.3, on(0), on(1)),
        member(0.3, on(0), on(1)),
        member(0.6, on(0), on(0)),
    ];
    let mut problem = Problem::new(&topology(2, 4), members);
    problem.add_wakes([(0, 1, 100_000.0)].into_iter());
    let seats = improved(&problem);
    assert_eq!([seats.seat(0), seats.seat(1)], [Seat::On(1); 2]);
    assert_eq!(seats.seat(2), Seat::AsIs);
}

#[test]
fn a_full_node_gives_to_one_with_room() {
    let members = (0..8).map(|_| member(0.9, on(0), on(0))).collect();
    let problem = Problem::new(&topology(2, 4), members);
    let seats = improved(&problem);
    assert!((seats.demand(0) - seats.demand(1)).abs() < 0.01);
}

#[test]
fn agents_on_full_nodes_change_places() {
    // Each node is full, and each agent's memory is on the other one.
    let members = (0..8)
        .map(|number| member(0.85, on(number % 2), on(1 - number % 2)))
        .collect();
    let problem = Problem::new(&topology(2, 4), members);
    let seats = improved(&problem);
    let moved = (0..8).filter(|&member| seats.seat(member) != Seat::AsIs);
    assert_eq!(moved.count(), 8);
    assert!((seats.demand(0) - seats.demand(1)).abs() < 0.01);
}

#[test]
fn an_agent_too_large_for_a_node_spans_near_ones() {
    let mut large = member(6.0, on(3), on(3));
    large.run = [0.0; MAX_NODES];
    large.run[0] = 0.5;
    large.run[3] = 0.5;
    large.memory = [0.0; MAX_NODES];
    large.memory[2] = 0.5;
    large.memory[3] = 0.5;
    let problem = Problem::new(&topology(4, 4), vec![large]);
    let seats = improved(&problem);
    let Seat::Across(span) = seats.seat(0) else {
        panic!("{:?}", seats.seat(0));
    };
    let run = problem.spans[span];
    assert!(run[2] > 0.0 && run[3] > 0.0, "{run:?}");
}

fn shares(nodes: usize) -> impl Strategy<Value = Shares> {
    let whole = (0..nodes).prop_map(on);
    let spread = prop::collection::vec(0_u32..100, nodes).prop_map(|parts| {
        let all: u32 = parts.iter().sum();
        let mut shares = [0.0; MAX_NODES];
        for (share, part) in shares.iter_mut().zip(parts) {
            *share = if all > 0 {
                f64::from(part) / f64::from(all)
            } else {
                0.0
            };
        }
        if all == 0 {
            shares[0] = 1.0;
        }
        shares
    });
    prop_oneof![whole, spread]
}

fn members(nodes: usize, most: usize) -> impl Strategy<Value = Vec<Member>> {
    let one = (
        (1_u32..3_000, 0_u32..1_000, 1_u32..40),
        (shares(nodes), shares(nodes)),
        (0_u32..400_000_000, prop::bool::weighted(0.9)),
        prop_oneof![Just(0_u32), 0_u32..20_000],
    );
    let one = one.prop_map(|(numbers, (run, memory), (bytes, may_move), own_wakes)| {
        let (demand, deviation, threads) = numbers;
        let demand = f64::from(demand) / 1_000.0;
        let deviation = demand * f64::from(deviation) / 1_000.0;
        Member {
            demand,
            variance: deviation * deviation,
            run,
            memory,
            memory_bytes: f64::from(bytes),
            threads: f64::from(threads),
            own_wakes: f64::from(own_wakes),
            may_move,
        }
    });
    prop::collection::vec(one, 1..=most)
}

/// A host with `nodes` nodes of four CPUs and some agents that wake each other.
fn host(nodes: u32, most: usize) -> impl Strategy<Value = Problem> {
    let wakes = prop::collection::vec((0..most, 0..most, 1_u32..50_000), 0..2 * most);
    (members(nodes as usize, most), wakes).prop_map(move |(members, wakes)| {
        let many = members.len();
        let mut problem = Problem::new(&topology(nodes, 4), members);
        let wakes = wakes.into_iter();
        problem.add_wakes(
            wakes.map(|(woken, waker, per_s)| (woken % many, waker % many, f64::from(per_s))),
        );
        problem
    })
}

proptest! {
    #[test]
    fn a_plan_is_never_worse_than_what_is_there(problem in host(4, 40)) {
        let before = Seats::as_is(&problem).total();
        let after = improved(&problem).total();
        prop_assert!(after <= before + 1e-9, "{before} {after}");
    }

    #[test]
    fn what_a_change_is_said_to_do_is_what_it_does(
        problem in host(3, 6),
        moves in prop::collection::vec((0_usize..6, 0_usize..5), 1..12),
    ) {
        let mut seats = Seats::as_is(&problem);
        for (member, to) in moves {
            let member = member % problem.members.len();
            let seat = match to {
                3 => Seat::AsIs,
                4 => Seat::Across(0),
                node => Seat::On(node),
            };
            let before = seats.total();
            let change = Prospect::of(&seats, member).change(seat);
            seats.take(member, seat);
            prop_assert!((seats.total() - before - change).abs() < 1e-9);
        }
    }

    #[test]
    fn what_a_cluster_s_move_is_said_to_do_is_what_it_does(
        problem in host(3, 8),
        moves in prop::collection::vec((0_usize..8, 0_usize..4), 0..8),
        node in 0_usize..3,
    ) {
        let mut seats = Seats::as_is(&problem);
        for (member, to) in moves {
            let seat = if to == 3 { Seat::Across(0) } else { Seat::On(to) };
            seats.take(member % problem.members.len(), seat);
        }
        let cluster: Vec<usize> = (0..problem.members.len()).step_by(2).collect();
        let before = seats.total();
        let change = ClusterProspect::of(&seats, &cluster).change(node);
        for &member in &cluster {
            seats.take(member, Seat::On(node));
        }
        prop_assert!((seats.total() - before - change).abs() < 1e-9);
    }

    #[test]
    fn the_same_host_gives_the_same_seats(problem in host(3, 20)) {
        let [one, other] = [improved(&problem), improved(&problem)];
        for member in 0..problem.members.len() {
            prop_assert_eq!(one.seat(member), other.seat(member));
        }
    }
}

/// Of small hosts, how much of what could be gained is gained. Measured, so that a change to the search
/// that makes it worse is seen.
#[test]
fn most_of_what_could_be_gained_on_a_small_host_is_gained() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    let mut runner = TestRunner::deterministic();
    let hosts = host(3, 5);
    let mut parts: Vec<f64> = Vec::new();
    for _ in 0..300 {
        let tree = hosts.new_tree(&mut runner).expect("a host");
        let problem = tree.current();
        let before = Seats::as_is(&problem).total();
        let possible = before - exact::least(&problem);
        if possible > 1e-3 {
            parts.push((before - improved(&problem).total()) / possible);
        }
    }
    assert!(parts.len() > 100, "{} hosts could be better", parts.len());
    parts.sort_by(f64::total_cmp);
    let mean = parts.iter().sum::<f64>() / parts.len() as f64;
    let twentieth = parts[parts.len() / 20];
    assert!(mean > 0.99, "{mean}");
    assert!(twentieth > 0.96, "{twentieth}");
}
