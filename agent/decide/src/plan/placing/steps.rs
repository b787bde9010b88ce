//! The seats that were found, as steps: who goes where, why, and by what one will see whether it helped.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::placement::MAX_NODES;

use super::{
    caches::Choices,
    ns,
    problem::{Cast, number},
    search::home,
    seats::{Prospect, Seat, Seats},
    whole,
};
use crate::{
    plan::{Action, Check, Companion, Crowding, Memory, Peer, Step, Undo, Why},
    topology::Topology,
};

/// Windows after a step before it is judged: one alone may be a turn of the agent's.
const WINDOWS: u32 = 2;

/// How much worse than its peer an agent may do, in percent: what windows differ by anyway.
const TOLERANCE_PERCENT: u32 = 5;

/// Whose demand is so many times another's is not like it.
const ALIKE: f64 = 3.0;

/// Fewer wake-ups a second are no reason for anything.
const LEAST_WAKES_PER_S: f64 = 1.0;

/// What a node loses by its load is no reason for anything below this, in CPUs.
const LEAST_CROWDING: f64 = 1e-3;

/// The steps by which members take their seats, that which gains most first.
pub(super) fn write(
    seats: &Seats,
    caches: &Choices,
    cast: &Cast,
    topology: &Topology,
) -> Vec<Step> {
    let writer = Writer {
        seats,
        before: Seats::as_is(seats.problem),
        caches,
        cast,
        topology,
        cpus: cpus_by_node(topology),
    };
    let members = 0..seats.problem.members.len();
    let (moved, stayers): (Vec<usize>, Vec<usize>) = members
        .filter(|&member| seats.problem.members[member].may_move)
        .partition(|member| seats.seat(*member) != Seat::AsIs || caches.contains_key(member));
    let peers = Peers::of(seats, cast, &stayers);
    let mut steps: Vec<Step> = moved
        .iter()
        .map(|&member| writer.step(member, &peers))
        .collect();
    steps.sort_by(|left, right| {
        let most_first = right.gain_ns.cmp(&left.gain_ns);
        most_first.then(left.agent.id.cmp(&right.agent.id))
    });
    steps
}

fn cpus_by_node(topology: &Topology) -> Vec<Vec<(u32, Option<u32>)>> {
    let mut by_node = vec![Vec::new(); MAX_NODES];
    for (&cpu, place) in &topology.cpus {
        by_node[place.node as usize].push((cpu, place.l3));
    }
    by_node
}

/// What steps are written from.
struct Writer<'a> {
    seats: &'a Seats<'a>,
    /// Where members ran lately.
    before: Seats<'a>,
    caches: &'a Choices,
    cast: &'a Cast<'a>,
    topology: &'a Topology,
    /// The CPUs of each node, with their caches.
    cpus: Vec<Vec<(u32, Option<u32>)>>,
}

impl Writer<'_> {
    fn step(&self, member: usize, peers: &Peers) -> Step {
        let seats = self.seats;
        let (recent, row) = (self.cast[member], &seats.problem.members[member]);
        let cache = self.caches.get(&member);
        let by_cache = cache.map_or(0.0, |&(_, gain)| gain);
        let gain = Prospect::of(seats, member).change(Seat::AsIs) + by_cache;
        let price_s = match seats.seat(member) {
            Seat::On(node) => row.price_s(row.memory[node]),
            Seat::AsIs | Seat::Across(_) => row.price_s(1.0),
        };
        Step {
            agent: Arc::clone(&recent.agent),
            action: self.action(member, cache.map(|&(l3, _)| l3)),
            undo: Undo::release(recent.anonymous_bytes()),
            why: self.why(member),
            gain_ns: ns(gain),
            price_ns: ns(price_s),
            check: Check {
                peer: peers.of_member(member, seats, self.cast),
                windows: WINDOWS,
                tolerance_percent: TOLERANCE_PERCENT,
            },
        }
    }

    fn action(&self, member: usize, l3: Option<u32>) -> Action {
        let seats = self.seats;
        let row = &seats.problem.members[member];
        let (nodes, memory_bytes) = match seats.seat(member) {
            Seat::On(node) => (
                vec![node],
                row.memory_bytes * (1.0 - row.memory[node]).max(0.0),
            ),
            Seat::AsIs => (vec![home(seats, member)], 0.0),
            Seat::Across(span) => {
                let run = seats.problem.spans[span];
                let nodes = (0..run.len()).filter(|&node| run[node] > 0.0);
                (nodes.collect(), 0.0)
            }
        };
        let cpus = nodes.iter().flat_map(|&node| &self.cpus[node]);
        let cpus = cpus.filter(|(_, cache)| l3.is_none() || *cache == l3);
        let mut cpus: Vec<u32> = cpus.map(|&(cpu, _)| cpu).collect();
        cpus.sort_unstable();
        Action::Place {
            cpus,
            nodes: nodes.into_iter().map(number).collect(),
            l3,
            memory_bytes: whole(memory_bytes),
        }
    }

    fn why(&self, member: usize) -> Why {
        let row = &self.seats.problem.members[member];
        let main = home(&self.before, member);
        Why {
            demand_ns: ns(row.demand),
            main_node: number(main),
            main_percent: percent(row.run[main]),
            memory: self.memory(member, main),
            companion: self.companion(member),
            crowding: self.crowding(member, main),
        }
    }

    fn memory(&self, member: usize, main: usize) -> Option<Memory> {
        let row = &self.seats.problem.members[member];
        if row.memory_bytes <= 0.0 {
            return None;
        }
        let node = (0..row.memory.len()).fold(main, |most, node| {
            if row.memory[node] > row.memory[most] {
                node
            } else {
                most
            }
        });
        Some(Memory {
            bytes: whole(row.memory_bytes),
            node: number(node),
            percent: percent(row.memory[node]),
            distance: self.topology.distance(number(main), number(node)),
        })
    }

    /// With whom it has most to do, itself included, if that has to do with where it should be.
    fn companion(&self, member: usize) -> Option<Companion> {
        let problem = self.seats.problem;
        let own = (None, problem.members[member].own_wakes);
        let others = problem.neighbours(member).iter();
        let others = others.map(|&(other, per_s)| (Some(other), per_s));
        let (other, per_s) = others.fold(own, |most, now| if now.1 > most.1 { now } else { most });
        let crossing = |seats: &Seats| {
            let run = seats.run(member, seats.seat(member));
            percent(1.0 - seats.together(&run, other.unwrap_or(member)))
        };
        let (now, then) = (crossing(&self.before), crossing(self.seats));
        let goes_along = other.is_some_and(|other| self.seats.seat(other) != Seat::AsIs);
        (per_s >= LEAST_WAKES_PER_S && (now > then || goes_along)).then(|| Companion {
            name: other.map(|other| self.cast[other].agent.name.to_string()),
            per_s: whole(per_s),
            crossing_percent: now,
            crossing_percent_then: then,
        })
    }

    /// Whether it leaves a node that has more to do than its part.
    fn crowding(&self, member: usize, main: usize) -> Option<Crowding> {
        let problem = self.seats.problem;
        let busy = self.before.demand(main) / problem.cpus[main];
        let leaves = home(self.seats, member) != main;
        let is_crowded = busy > problem.fair && self.before.load_loss(main) > LEAST_CROWDING;
        (leaves && is_crowded).then(|| Crowding {
            node: number(main),
            busy_percent: percent(busy),
            host_percent: percent(problem.fair),
        })
    }
}

/// Agents that stay where they are, by group and demand.
struct Peers {
    by_group: BTreeMap<Arc<str>, Vec<(f64, usize)>>,
    all: Vec<(f64, usize)>,
}

impl Peers {
    fn of(seats: &Seats, cast: &Cast, stayers: &[usize]) -> Self {
        let mut all: Vec<(f64, usize)> = stayers
            .iter()
            .map(|&member| (seats.problem.members[member].demand, member))
            .collect();
        all.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let mut by_group: BTreeMap<Arc<str>, Vec<(f64, usize)>> = BTreeMap::new();
        for &row in &all {
            let group = Arc::clone(&cast[row.1].agent.group);
            by_group.entry(group).or_default().push(row);
        }
        Self { by_group, all }
    }

    /// Who is most like a member: of its group, or else of all, the one with the nearest demand.
    fn of_member(&self, member: usize, seats: &Seats, cast: &Cast) -> Option<Peer> {
        let demand = seats.problem.members[member].demand;
        let own = self.by_group.get(&cast[member].agent.group);
        let found = own
            .and_then(|group| nearest(group, demand))
            .or_else(|| nearest(&self.all, demand))?;
        let agent = &cast[found].agent;
        Some(Peer {
            id: agent.id,
            name: Arc::clone(&agent.name),
        })
    }
}

/// Of rows in the order of their demand, the one with the nearest, if it is alike at all.
fn nearest(rows: &[(f64, usize)], demand: f64) -> Option<usize> {
    let after = rows.partition_point(|row| row.0 < demand);
    let around = after.saturating_sub(1)..rows.len().min(after + 1);
    let distance = |row: &(f64, usize)| (row.0 - demand).abs();
    let best = rows[around]
        .iter()
        .min_by(|left, right| distance(left).total_cmp(&distance(right)))?;
    let is_alike = best.0 <= demand * ALIKE && demand <= best.0 * ALIKE;
    is_alike.then_some(best.1)
}

fn percent(part: f64) -> u32 {
    u32::try_from(whole(part * 100.0)).unwrap_or(u32::MAX)
}
