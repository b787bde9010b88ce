//! A fleet of agents that begins spread over the nodes, each with its memory on another one: what becomes of
//! it beside a daemon that acts.

use std::{
    thread,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    Test,
    changing::{Daemon, affinities, told},
    guest::{Balancing, Guest},
    holder::Holder,
    placement::{anonymous_bytes, by_node},
};

pub(crate) const TESTS: &[Test] = &[(
    "a_fleet_that_begins_spread_and_remote_ends_together_and_even",
    a_fleet_that_begins_spread_and_remote_ends_together_and_even,
)];

/// Where it takes too long to run each time.
pub(crate) fn lack(guest: &Guest) -> Option<(&'static str, String)> {
    let (name, _) = TESTS[0];
    let is_elsewhere = guest.nodes.len() < 4 && !guest.is_asked_for;
    is_elsewhere.then(|| {
        let reason = format!("it takes minutes; by name: cargo xtask vm --test {name}");
        (name, reason)
    })
}

/// Agents, each busy for an eighth of a CPU: emulated ones can do no more beside the daemon.
const AGENTS: usize = 8;

/// Pages that each of them holds: 2 MiB.
const PAGES: usize = 512;

/// How long it may take until the last one is where it belongs. Canaries go first, and those against whom
/// others are held go last.
const PATIENCE: Duration = Duration::from_mins(6);

/// How long is measured.
const MEASURED: &str = "20s";

/// A fleet, spread as badly as can be: of each agent the threads that wake each other are on two nodes, and
/// its memory lies on a third one, if there is one.
fn fleet(guest: &Guest) -> Vec<Holder> {
    let nodes = &guest.nodes;
    let cpu = |node: usize, number: usize| nodes[node % nodes.len()][number % 2];
    let agent = |number: usize| {
        let mut agent = Holder::start(&format!("fleet-{number}"), PAGES);
        agent.tell(&format!("run-on {}", cpu(number + 2, 0)));
        agent.tell("touch");
        let (one, other) = (cpu(number, number), cpu(number + 1, number));
        agent.tell(&format!("work-on {one} {other}"));
        agent.tell("run-anywhere");
        agent
    };
    (0..AGENTS).map(agent).collect()
}

/// What the fleet does for a while, by the daemon's measure.
struct Seen {
    /// Of each agent, its run time by node, in ns.
    run_ns: Vec<Vec<u64>>,
    /// Run time of all of them by node, in ns. The daemon is left out, to whom an emulated CPU is slow.
    load_ns: Vec<u64>,
    /// Wake-ups from another node of the fleet's agents, and all of theirs.
    node_wakes: (u64, u64),
}

impl Seen {
    fn now(guest: &Guest, daemon: &Daemon, fleet: &[Holder]) -> Self {
        let report = |words: &[&str]| -> Value {
            let told = daemon.asked(&[words, &["--json", "--duration", MEASURED]].concat());
            serde_json::from_str(&told).expect("a report")
        };
        let (shape, wakes) = thread::scope(|scope| {
            let shape = scope.spawn(|| report(&["topology"]));
            let wakes = report(&["trace", "wakes"]);
            (shape.join().expect("it reports"), wakes)
        });
        let agents = shape["agents"].as_array().expect("a list");
        let is_of_fleet = |name: &Value| fleet.iter().any(|agent| *name == agent.name);
        let run_ns = |agent: &Value| by_node(guest, agent, "on_node_ns");
        // In the fleet's order.
        let own = fleet
            .iter()
            .filter_map(|own| agents.iter().find(|agent| agent["name"] == own.name));
        let edges = wakes["wakes"].as_array().expect("a list");
        let own_edges = edges.iter().filter(|edge| is_of_fleet(&edge["woken"]));
        let sum = |what: &str| {
            own_edges
                .clone()
                .filter_map(|edge| edge[what].as_u64())
                .sum()
        };
        let run_ns: Vec<Vec<u64>> = own.map(run_ns).collect();
        let load_ns = (0..guest.nodes.len())
            .map(|node| run_ns.iter().map(|by_node| by_node[node]).sum())
            .collect();
        Self {
            run_ns,
            load_ns,
            node_wakes: (sum("node_wakes"), sum("wakes")),
        }
    }

    /// Wake-ups from another node, as a part of all.
    fn crossing(&self) -> f64 {
        let (node_wakes, wakes) = self.node_wakes;
        node_wakes as f64 / wakes.max(1) as f64
    }
}

/// The part of an amount that is on a node.
fn part_at(amounts: &[u64], node: usize) -> f64 {
    amounts[node] as f64 / amounts.iter().sum::<u64>().max(1) as f64
}

fn all_are_placed(guest: &Guest, fleet: &[Holder]) -> bool {
    let is_placed = |agent: &Holder| {
        let cpus = affinities(agent);
        guest
            .nodes
            .iter()
            .any(|node| cpus.iter().all(|(_, cpus)| cpus == node))
    };
    fleet.iter().all(is_placed)
}

fn a_fleet_that_begins_spread_and_remote_ends_together_and_even(guest: &Guest) {
    let _off = Balancing::set(false);
    let fleet = fleet(guest);
    let daemon = Daemon::start("advise");
    let before = Seen::now(guest, &daemon, &fleet);
    assert!(before.crossing() > 0.1, "{:?}", before.node_wakes);
    assert!(before.node_wakes.1 > 0 && before.run_ns.len() == AGENTS);
    daemon.reload_with("act");
    let began = Instant::now();
    while !all_are_placed(guest, &fleet) {
        let is_too_late = began.elapsed() > PATIENCE;
        assert!(!is_too_late, "{}", told(&daemon.journal));
        thread::sleep(Duration::from_secs(1));
    }
    println!("all are placed after {:?}", began.elapsed());
    let after = Seen::now(guest, &daemon, &fleet);
    // Both where its threads may run: one node, as all are placed.
    let home = |agent: &Holder| {
        let (_, cpus) = affinities(agent).remove(0);
        guest.nodes.iter().position(|node| *node == cpus)
    };
    let homes: Vec<usize> = fleet.iter().filter_map(home).collect();
    assert_eq!(homes.len(), AGENTS);
    let memory = fleet.iter().zip(&homes);
    let memory: Vec<f64> = memory
        .map(|(agent, &home)| part_at(&anonymous_bytes(guest, agent.pid()), home))
        .collect();
    let run = after.run_ns.iter().zip(&homes);
    let run: Vec<f64> = run.map(|(ns, &home)| part_at(ns, home)).collect();
    println!("memory {memory:.2?}\nrun time {run:.2?}");
    println!(
        "loads {:?} ms, before {:?}",
        after
            .load_ns
            .iter()
            .map(|ns| ns / 1_000_000)
            .collect::<Vec<_>>(),
        before
            .load_ns
            .iter()
            .map(|ns| ns / 1_000_000)
            .collect::<Vec<_>>()
    );
    println!(
        "wake-ups from another node {:?}, before {:?}",
        after.node_wakes, before.node_wakes
    );
    assert!(memory.iter().all(|part| *part >= 0.9), "{memory:?}");
    assert!(
        run.len() == AGENTS && run.iter().all(|part| *part >= 0.9),
        "{run:?}"
    );
    let (least, most) = (after.load_ns.iter().min(), after.load_ns.iter().max());
    let (least, most) = (*least.expect("nodes"), *most.expect("nodes"));
    assert!(most as f64 <= 1.17 * least as f64, "{:?}", after.load_ns);
    assert!(
        after.node_wakes.1 > 0 && after.crossing() <= 0.3 * before.crossing(),
        "{:?}, before {:?}",
        after.node_wakes,
        before.node_wakes
    );
    println!("{}", told(&daemon.journal));
    daemon.end(Signal::SIGTERM);
    let all: Vec<usize> = guest.nodes.iter().flatten().copied().collect();
    let mut cpus = fleet.iter().flat_map(affinities);
    assert!(cpus.all(|(_, cpus)| cpus == all), "not all is as it was");
}
