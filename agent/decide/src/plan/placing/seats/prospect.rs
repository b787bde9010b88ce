//! What a member would lose in other seats.

use hostler_common::placement::MAX_NODES;

use super::{
    super::{NODE_WAKE_S, problem::Shares},
    Seat, Seats,
};

/// A member that looks for another seat: what is the same for all of them is worked out once.
pub(in super::super) struct Prospect<'a, 'p> {
    seats: &'a Seats<'p>,
    member: usize,
    /// How often a second it and its neighbours wake each other, by the node on which these run.
    attraction: Shares,
    /// What it loses now by itself, less what its neighbours gain by being near.
    loses: f64,
    /// Demand, variance and loss of each node without it.
    demand: Shares,
    variance: Shares,
    load_loss: Shares,
    /// What comes to the nodes' losses if it leaves.
    leaving: f64,
}

impl<'a, 'p> Prospect<'a, 'p> {
    pub(in super::super) fn of(seats: &'a Seats<'p>, member: usize) -> Self {
        let mut prospect = Self {
            seats,
            member,
            attraction: attraction(seats, member),
            loses: 0.0,
            demand: seats.demand,
            variance: seats.variance,
            load_loss: seats.load_loss,
            leaving: 0.0,
        };
        let seat = seats.seat(member);
        prospect.loses = prospect.would_lose(seat);
        match seat {
            Seat::On(node) => prospect.leave(node, 1.0),
            seat => {
                let run = seats.run(member, seat);
                for &node in &seats.problem.nodes {
                    if run[node] > 0.0 {
                        prospect.leave(node, run[node]);
                    }
                }
            }
        }
        prospect
    }

    fn leave(&mut self, node: usize, part: f64) {
        let member = &self.seats.problem.members[self.member];
        self.demand[node] -= member.demand * part;
        self.variance[node] -= member.variance * part;
        let without = self
            .seats
            .node_loss(node, self.demand[node], self.variance[node]);
        self.leaving += without - self.load_loss[node];
        self.load_loss[node] = without;
    }

    /// What comes to the host's loss if it takes a seat, in CPUs.
    pub(in super::super) fn change(&self, seat: Seat) -> f64 {
        if seat == self.seats.seat(self.member) {
            return 0.0;
        }
        let coming = match seat {
            Seat::On(node) => self.coming(node, 1.0),
            seat => {
                let run = self.seats.run(self.member, seat);
                let nodes = self.seats.problem.nodes.iter();
                let nodes = nodes.filter(|&&node| run[node] > 0.0);
                nodes.map(|&node| self.coming(node, run[node])).sum()
            }
        };
        self.change_without_load(seat) + self.leaving + coming
    }

    /// The same, as if all nodes had room.
    pub(in super::super) fn change_without_load(&self, seat: Seat) -> f64 {
        self.would_lose(seat) - self.loses
    }

    fn would_lose(&self, seat: Seat) -> f64 {
        let near = match seat {
            Seat::On(node) => self.attraction[node],
            seat => {
                let run = self.seats.run(self.member, seat);
                let nodes = self.seats.problem.nodes.iter();
                nodes.map(|&node| run[node] * self.attraction[node]).sum()
            }
        };
        self.seats.own_loss(self.member, seat) - near * NODE_WAKE_S
    }

    fn coming(&self, node: usize, part: f64) -> f64 {
        let member = &self.seats.problem.members[self.member];
        let demand = self.demand[node] + member.demand * part;
        let variance = self.variance[node] + member.variance * part;
        self.seats.node_loss(node, demand, variance) - self.load_loss[node]
    }
}

fn attraction(seats: &Seats, member: usize) -> Shares {
    let mut attraction = [0.0; MAX_NODES];
    for &(other, per_s) in seats.problem.neighbours(member) {
        let run = match seats.seat(other) {
            Seat::On(node) => {
                attraction[node] += per_s;
                continue;
            }
            Seat::AsIs => &seats.problem.members[other].run,
            Seat::Across(span) => &seats.problem.spans[span],
        };
        for &node in &seats.problem.nodes {
            attraction[node] += per_s * run[node];
        }
    }
    attraction
}
