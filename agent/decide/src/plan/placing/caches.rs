//! Which last-level cache within its node is enough for an agent, or a cluster.
//!
//! A small agent whose threads wake each other often does so faster below one cache. It gives up the
//! node's other CPUs for that, so it must be small: what is left of its cache is for those who wake up
//! meanwhile.

use std::collections::BTreeMap;

use super::{
    CACHE_WAKE_S, TARGET, UPPER_QUANTILE,
    problem::Problem,
    seats::{Seat, Seats},
};

/// The part of a cache's CPUs that an agent or a cluster may need.
const MOST_OF_A_CACHE: f64 = 0.5;

/// Who runs so much of its time on one node is on that node.
const ON_A_NODE: f64 = 0.9;

/// The cache that is enough for a member, and what that gains in CPUs.
pub(super) type Choices = BTreeMap<usize, (u32, f64)>;

/// Members that had better stay below one cache.
pub(super) fn choose(seats: &Seats, clusters: &[Vec<usize>]) -> Choices {
    let mut wishes: Vec<Wish> = groups(seats.problem, clusters)
        .into_iter()
        .filter_map(|members| Wish::of(seats, members))
        .collect();
    wishes.sort_by(|left, right| {
        let most_first = right.gain.total_cmp(&left.gain);
        most_first.then(left.members.cmp(&right.members))
    });
    let mut taken: BTreeMap<u32, f64> = BTreeMap::new();
    let mut choices = Choices::new();
    for wish in wishes {
        let Some(l3) = wish.cache(seats.problem, &taken) else {
            continue;
        };
        *taken.entry(l3).or_default() += wish.needed;
        let each = wish.gain / wish.members.len() as f64;
        choices.extend(wish.members.into_iter().map(|member| (member, (l3, each))));
    }
    choices
}

/// Clusters, and those who are in none.
fn groups(problem: &Problem, clusters: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut is_in_cluster = vec![false; problem.members.len()];
    for &member in clusters.iter().flatten() {
        is_in_cluster[member] = true;
    }
    let alone = (0..problem.members.len())
        .filter(|&member| !is_in_cluster[member] && problem.members[member].may_move)
        .map(|member| vec![member]);
    clusters.iter().cloned().chain(alone).collect()
}

/// A group that gains by one cache.
struct Wish {
    members: Vec<usize>,
    node: usize,
    /// CPUs that it needs in nine of ten windows.
    needed: f64,
    /// In CPUs.
    gain: f64,
}

impl Wish {
    /// `None` if it gains nothing.
    fn of(seats: &Seats, members: Vec<usize>) -> Option<Self> {
        let problem = seats.problem;
        let node = super::search::home(seats, *members.first()?);
        let is_there = |&member: &usize| seats.run(member, seats.seat(member))[node] >= ON_A_NODE;
        let caches = problem.caches.get(&node)?;
        if caches.len() < 2 || !members.iter().all(is_there) {
            return None;
        }
        let elsewhere = 1.0 - 1.0 / caches.len() as f64;
        let gain =
            wakes_within(problem, &members) * CACHE_WAKE_S * elsewhere - price(seats, &members);
        let rows = members.iter().map(|&member| &problem.members[member]);
        let needs = rows.map(|row| (row.demand, row.variance));
        let (demand, variance) = needs.fold((0.0, 0.0), |sum, row| (sum.0 + row.0, sum.1 + row.1));
        (gain > 0.0).then(|| Self {
            members,
            node,
            needed: demand + UPPER_QUANTILE * variance.sqrt(),
            gain,
        })
    }

    /// The cache of its node with most room, if that is enough.
    fn cache(&self, problem: &Problem, taken: &BTreeMap<u32, f64>) -> Option<u32> {
        let caches = problem.caches.get(&self.node)?;
        let fitting = caches.iter().filter_map(|&(l3, cpus)| {
            let taken = taken.get(&l3).copied().unwrap_or(0.0);
            let fits =
                self.needed <= MOST_OF_A_CACHE * cpus && taken + self.needed <= TARGET * cpus;
            fits.then_some((l3, cpus - taken))
        });
        let most = fitting.max_by(|left, right| {
            let by_room = left.1.total_cmp(&right.1);
            by_room.then(right.0.cmp(&left.0))
        });
        most.map(|(l3, _)| l3)
    }
}

/// Wake-ups a second within a group.
fn wakes_within(problem: &Problem, members: &[usize]) -> f64 {
    let own: f64 = members
        .iter()
        .map(|&member| problem.members[member].own_wakes)
        .sum();
    let between = members.iter().flat_map(|&member| {
        let neighbours = problem.neighbours(member).iter();
        neighbours.filter(|(other, _)| members.binary_search(other).is_ok())
    });
    // Each pair is met twice.
    own + between.map(|(_, per_s)| per_s).sum::<f64>() / 2.0
}

/// What it costs to let those stay below one cache who are not moved otherwise, in CPUs.
fn price(seats: &Seats, members: &[usize]) -> f64 {
    let staying = members
        .iter()
        .filter(|&&member| seats.seat(member) == Seat::AsIs);
    staying
        .map(|&member| seats.problem.members[member].price(1.0))
        .sum()
}
