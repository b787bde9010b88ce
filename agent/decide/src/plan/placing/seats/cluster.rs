//! What the members of a cluster would lose together on one node.
//!
//! Sums over all members are made once, so that each node then costs no more than it does for one member.

use hostler_common::placement::MAX_NODES;

use super::{
    super::{NODE_WAKE_S, problem::Shares},
    Seat, Seats,
};

/// A cluster that looks for a node.
pub(in super::super) struct ClusterProspect<'a, 'p> {
    seats: &'a Seats<'p>,
    /// What all members lose by themselves on each node, less what neighbours outside gain by being near.
    would_lose: Shares,
    /// The same where they are now, and the wake-ups between them taken in.
    loses: f64,
    /// Demand and variance of all of them.
    demand: f64,
    variance: f64,
    /// Demand, variance and loss of each node without them.
    node_demand: Shares,
    node_variance: Shares,
    load_loss: Shares,
    /// What comes to the nodes' losses if they leave.
    leaving: f64,
}

impl<'a, 'p> ClusterProspect<'a, 'p> {
    /// Of members in their order.
    pub(in super::super) fn of(seats: &'a Seats<'p>, members: &[usize]) -> Self {
        let mut prospect = Self {
            seats,
            would_lose: [0.0; MAX_NODES],
            loses: 0.0,
            demand: 0.0,
            variance: 0.0,
            node_demand: seats.demand,
            node_variance: seats.variance,
            load_loss: seats.load_loss,
            leaving: 0.0,
        };
        for &member in members {
            prospect.add(member, members);
        }
        for &node in &seats.problem.nodes {
            let (demand, variance) = (prospect.node_demand[node], prospect.node_variance[node]);
            let without = seats.node_loss(node, demand, variance);
            prospect.leaving += without - prospect.load_loss[node];
            prospect.load_loss[node] = without;
        }
        prospect
    }

    fn add(&mut self, member: usize, members: &[usize]) {
        let seats = self.seats;
        let seat = seats.seat(member);
        let run = seats.run(member, seat);
        let mut near = 0.0;
        let mut attraction = [0.0; MAX_NODES];
        for &(other, per_s) in seats.problem.neighbours(member) {
            if members.binary_search(&other).is_ok() {
                // On one node none of these is across nodes; each pair is met twice.
                near += per_s * (seats.together(&run, other) - 1.0) / 2.0;
                continue;
            }
            near += per_s * seats.together(&run, other);
            let others = seats.run(other, seats.seat(other));
            for &node in &seats.problem.nodes {
                attraction[node] += per_s * others[node];
            }
        }
        self.loses += seats.own_loss(member, seat) - near * NODE_WAKE_S;
        let row = &seats.problem.members[member];
        self.demand += row.demand;
        self.variance += row.variance;
        for &node in &seats.problem.nodes {
            self.would_lose[node] +=
                seats.own_loss(member, Seat::On(node)) - attraction[node] * NODE_WAKE_S;
            self.node_demand[node] -= row.demand * run[node];
            self.node_variance[node] -= row.variance * run[node];
        }
    }

    /// What comes to the host's loss if all of them go to a node, in CPUs.
    pub(in super::super) fn change(&self, node: usize) -> f64 {
        let demand = self.node_demand[node] + self.demand;
        let variance = self.node_variance[node] + self.variance;
        let coming = self.seats.node_loss(node, demand, variance) - self.load_loss[node];
        self.would_lose[node] - self.loses + self.leaving + coming
    }
}
