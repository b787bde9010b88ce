//! Clusters: agents that wake each other so often that they had better move together or not at all.

use super::{
    NODE_WAKE_S, STEP_S, TARGET, UPPER_QUANTILE, WORTH_S,
    problem::{Member, Problem},
};

/// The part of the smallest node that a cluster may fill: more of it would leave no choice of where to.
const MOST_OF_A_NODE: f64 = 0.5;

/// Clusters of two and more members that may be moved, those with most wake-ups first. Members are joined
/// pair by pair, the most frequent pair first, while there is room on a node for all of them.
pub(super) fn of(problem: &Problem) -> Vec<Vec<usize>> {
    let smallest = problem.nodes.iter().map(|&node| problem.cpus[node]);
    let room = smallest.fold(f64::INFINITY, f64::min) * TARGET * MOST_OF_A_NODE;
    let mut union = Union::of(&problem.members);
    for (one, other, _) in pairs(problem) {
        union.join(one, other, room);
    }
    union.clusters()
}

/// Pairs whose wake-ups across nodes would cost more than a step does.
fn pairs(problem: &Problem) -> Vec<(usize, usize, f64)> {
    let least_per_s = STEP_S / WORTH_S / NODE_WAKE_S;
    let may_move = |member: usize| problem.members[member].may_move;
    let mut pairs: Vec<(usize, usize, f64)> = (0..problem.members.len())
        .filter(|&one| may_move(one))
        .flat_map(|one| {
            let neighbours = problem.neighbours(one).iter();
            neighbours
                .filter(move |&&(other, per_s)| {
                    one < other && may_move(other) && per_s > least_per_s
                })
                .map(move |&(other, per_s)| (one, other, per_s))
        })
        .collect();
    pairs.sort_by(|left, right| {
        let most_first = right.2.total_cmp(&left.2);
        most_first.then((left.0, left.1).cmp(&(right.0, right.1)))
    });
    pairs
}

/// Sets of members that grow together.
struct Union {
    parent: Vec<usize>,
    demand: Vec<(f64, f64)>,
    order: Vec<usize>,
}

impl Union {
    fn of(members: &[Member]) -> Self {
        let demand = members
            .iter()
            .map(|member| (member.demand, member.variance));
        Self {
            parent: (0..members.len()).collect(),
            demand: demand.collect(),
            order: Vec::new(),
        }
    }

    fn root(&mut self, member: usize) -> usize {
        let mut root = member;
        while self.parent[root] != root {
            self.parent[root] = self.parent[self.parent[root]];
            root = self.parent[root];
        }
        root
    }

    fn join(&mut self, one: usize, other: usize, room: f64) {
        let (one, other) = (self.root(one), self.root(other));
        let (left, right) = (self.demand[one], self.demand[other]);
        let (demand, variance) = (left.0 + right.0, left.1 + right.1);
        if one == other || demand + UPPER_QUANTILE * variance.sqrt() > room {
            return;
        }
        self.parent[other] = one;
        self.demand[one] = (demand, variance);
        self.order.push(one);
    }

    /// The sets with two and more members, in the order in which they began.
    fn clusters(mut self) -> Vec<Vec<usize>> {
        let mut place = vec![usize::MAX; self.parent.len()];
        let mut clusters: Vec<Vec<usize>> = Vec::new();
        for began in std::mem::take(&mut self.order) {
            let root = self.root(began);
            if place[root] == usize::MAX {
                place[root] = clusters.len();
                clusters.push(Vec::new());
            }
        }
        for member in 0..self.parent.len() {
            let root = self.root(member);
            if let Some(cluster) = clusters.get_mut(place[root]) {
                cluster.push(member);
            }
        }
        clusters
    }
}
