//! The host in numbers: agents that ran, as rows, with what they need and whom they wake.

use std::collections::BTreeMap;

use hostler_common::{placement::MAX_NODES, slot::SLOTS};

use super::{MARGIN, PAGE_BYTES, PAGE_S, REMOTE_STALL, STEP_S, THREAD_S, WORTH_S};
use crate::{
    plan::{Lately, Policy, Staying, lately::Recent, policy::Leave},
    topology::Topology,
};

/// Parts of something by node; they add up to 1, or to 0 if there is nothing.
pub(super) type Shares = [f64; MAX_NODES];

/// The host in numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct Problem {
    /// Nodes that have CPUs.
    pub(super) nodes: Vec<usize>,
    /// CPUs of each node.
    pub(super) cpus: Shares,
    /// Of each node, the CPUs below each of its last-level caches, by the caches' numbers.
    pub(super) caches: BTreeMap<usize, Vec<(u32, f64)>>,
    /// What a CPU-second on one node loses if all of its memory lies on another, in seconds.
    pub(super) stall: [Shares; MAX_NODES],
    /// Demand of all for each CPU.
    pub(super) fair: f64,
    /// Who ran.
    pub(super) members: Vec<Member>,
    /// Where threads of an agent that is too large for one node may run.
    pub(super) spans: Vec<Shares>,
    /// Of each member, where its neighbours begin; one more at the end.
    pub(super) first_neighbour: Vec<usize>,
    /// Who is woken by or wakes a member, and how often a second.
    pub(super) neighbours: Vec<(usize, f64)>,
}

/// Who waits for such a part of its time for what no place on this host can give stays where it is, unless
/// it keeps a CPU busy beside that: then where its memory lies matters all the same.
const MOST_OF_ITS_TIME: f64 = 0.5;

/// CPUs.
const BUSY_BESIDE: f64 = 1.0;

/// An agent that ran lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Member {
    /// CPUs that it keeps busy.
    pub(super) demand: f64,
    /// The variance of that.
    pub(super) variance: f64,
    /// Where it runs.
    pub(super) run: Shares,
    /// Where its anonymous memory lies; nowhere if that is not known.
    pub(super) memory: Shares,
    /// How much that is, in bytes.
    pub(super) memory_bytes: f64,
    /// Its threads.
    pub(super) threads: f64,
    /// How often its threads wake each other a second.
    pub(super) own_wakes: f64,
    /// Whether it may be moved.
    pub(super) may_move: bool,
}

/// The agents that the members of a problem are.
pub(super) type Cast<'a> = Vec<&'a Recent>;

/// The problem, who is in it, and who stays where it is for other reasons than the problem's.
pub(super) fn of<'a>(
    lately: &'a Lately,
    topology: &Topology,
    policy: &Policy,
) -> (Problem, Cast<'a>, Staying) {
    let mut staying = Staying::default();
    let (mut members, mut cast) = (Vec::new(), Vec::new());
    for recent in lately.agents() {
        let leave = policy.leave_for(&recent.agent);
        let waits_elsewhere = recent.demand() < BUSY_BESIDE
            && recent.bottleneck().is_some_and(|held_up| {
                held_up.limit.is_elsewhere() && held_up.part >= MOST_OF_ITS_TIME
            });
        match leave {
            Leave::System => staying.system += 1,
            Leave::OptedOut => staying.opted_out += 1,
            Leave::Kubelet => staying.kubelet += 1,
            Leave::Resting => staying.resting += 1,
            Leave::Granted if recent.run().is_none() => staying.idle += 1,
            Leave::Granted if waits_elsewhere => staying.waits_elsewhere += 1,
            Leave::Granted => {}
        }
        if let Some(run) = recent.run() {
            let may_move = leave == Leave::Granted && !waits_elsewhere;
            members.push(Member::new(recent, run, may_move));
            cast.push(recent);
        }
    }
    let mut problem = Problem::new(topology, members);
    problem.join(&cast, lately);
    (problem, cast, staying)
}

impl Member {
    fn new(recent: &Recent, run: Shares, may_move: bool) -> Self {
        let bytes = recent.anonymous_bytes().copied().unwrap_or_default();
        let bytes = bytes.map(|bytes| bytes as f64);
        let all: f64 = bytes.iter().sum();
        Self {
            demand: recent.demand(),
            variance: recent.demand_variance(),
            run,
            memory: bytes.map(|bytes| if all > 0.0 { bytes / all } else { 0.0 }),
            memory_bytes: all,
            threads: recent.threads as f64,
            own_wakes: 0.0,
            may_move,
        }
    }

    /// What a move costs once, in seconds, that leaves `kept` of its memory where it is.
    pub(super) fn price_s(&self, kept: f64) -> f64 {
        let pages = self.memory_bytes * (1.0 - kept).max(0.0) / PAGE_BYTES;
        STEP_S + self.threads * THREAD_S + pages * PAGE_S
    }

    /// The same for each second in which it has to pay for itself, and the margin, in CPUs.
    pub(super) fn price(&self, kept: f64) -> f64 {
        self.price_s(kept) / WORTH_S + MARGIN * self.demand
    }
}

impl Problem {
    /// Without wake-ups.
    pub(super) fn new(topology: &Topology, members: Vec<Member>) -> Self {
        let mut cpus = [0.0; MAX_NODES];
        let mut caches: BTreeMap<usize, BTreeMap<u32, f64>> = BTreeMap::new();
        for place in topology.cpus.values() {
            let node = place.node as usize;
            cpus[node] += 1.0;
            if let Some(l3) = place.l3 {
                *caches.entry(node).or_default().entry(l3).or_default() += 1.0;
            }
        }
        let nodes: Vec<usize> = (0..MAX_NODES).filter(|&node| cpus[node] > 0.0).collect();
        let demand: f64 = members.iter().map(|member| member.demand).sum();
        let all_cpus: f64 = cpus.iter().sum();
        Self {
            spans: spans(topology, &nodes, &cpus),
            nodes,
            cpus,
            caches: caches
                .into_iter()
                .map(|(node, caches)| (node, caches.into_iter().collect()))
                .collect(),
            stall: stalls(topology),
            fair: if all_cpus > 0.0 {
                demand / all_cpus
            } else {
                0.0
            },
            first_neighbour: vec![0; members.len() + 1],
            neighbours: Vec::new(),
            members,
        }
    }

    fn join(&mut self, cast: &Cast, lately: &Lately) {
        // Recordings may tell of slots that no kernel has: of those nobody's wake-ups are known.
        let mut members = vec![None; SLOTS as usize];
        for (member, recent) in cast.iter().enumerate() {
            if let Some(place) = members.get_mut(recent.agent.id.slot as usize) {
                *place = Some(member);
            }
        }
        let member_of = |slot: u32| members.get(slot as usize).copied().flatten();
        let edges = lately.wakes().edges().filter_map(|(key, edge)| {
            let woken = member_of(key.woken.slot)?;
            let waker = member_of(key.waker)?;
            let is_there = cast[woken].agent.id == key.woken;
            is_there.then_some((woken, waker, edge.per_s))
        });
        self.add_wakes(edges);
    }

    /// Adds wake-ups: who is woken by whom, and how often a second.
    pub(super) fn add_wakes(&mut self, edges: impl Iterator<Item = (usize, usize, f64)>) {
        let mut pairs: Vec<(usize, usize, f64)> = Vec::new();
        for (woken, waker, per_s) in edges {
            if woken == waker {
                self.members[woken].own_wakes += per_s;
            } else {
                pairs.push((woken, waker, per_s));
                pairs.push((waker, woken, per_s));
            }
        }
        pairs.sort_by_key(|&(one, other, _)| (one, other));
        self.neighbours.clear();
        self.first_neighbour.clear();
        let mut pairs = pairs.into_iter().peekable();
        for member in 0..self.members.len() {
            let first = self.neighbours.len();
            self.first_neighbour.push(first);
            while let Some((_, other, per_s)) = pairs.next_if(|(of, ..)| *of == member) {
                // Both directions of a pair follow each other.
                match self.neighbours[first..].last_mut() {
                    Some((last, sum)) if *last == other => *sum += per_s,
                    _ => self.neighbours.push((other, per_s)),
                }
            }
        }
        self.first_neighbour.push(self.neighbours.len());
    }

    /// Who wakes a member or is woken by it, and how often a second.
    pub(super) fn neighbours(&self, member: usize) -> &[(usize, f64)] {
        &self.neighbours[self.first_neighbour[member]..self.first_neighbour[member + 1]]
    }
}

/// What distances cost.
fn stalls(topology: &Topology) -> [Shares; MAX_NODES] {
    let mut stalls = [[0.0; MAX_NODES]; MAX_NODES];
    for &from in topology.nodes.keys() {
        for &to in topology.nodes.keys() {
            let further = topology.distance(from, to).saturating_sub(10) as f64 / 10.0;
            stalls[from as usize][to as usize] = REMOTE_STALL * further;
        }
    }
    stalls
}

/// How much of an agent would run on each node of several: each node with its nearest ones, two, three and
/// so on up to all of them.
fn spans(topology: &Topology, nodes: &[usize], cpus: &Shares) -> Vec<Shares> {
    let mut spans: Vec<Shares> = Vec::new();
    for &first in nodes {
        let mut nearest = nodes.to_vec();
        nearest.sort_by_key(|&node| {
            let distance = topology.distance(number(first), number(node));
            (node != first, distance, node)
        });
        for many in 2..=nearest.len() {
            let together: f64 = nearest[..many].iter().map(|&node| cpus[node]).sum();
            let mut run = [0.0; MAX_NODES];
            for &node in &nearest[..many] {
                run[node] = cpus[node] / together;
            }
            if !spans.contains(&run) {
                spans.push(run);
            }
        }
    }
    spans
}

/// A node's number.
pub(super) fn number(node: usize) -> u32 {
    u32::try_from(node).expect("there are at most 16 nodes")
}
