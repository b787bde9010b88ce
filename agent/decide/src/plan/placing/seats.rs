//! Who sits where, and what that loses.
//!
//! [`Prospect`] tells what a member would lose elsewhere, from what that changes alone: a plan asks it
//! hundreds of thousands of times.

mod cluster;
mod prospect;

pub(super) use self::{cluster::ClusterProspect, prospect::Prospect};
use hostler_common::placement::MAX_NODES;

use super::{
    BAND, BUSY, Loss, NODE_WAKE_S, TARGET, UNEVEN, UPPER_QUANTILE, ns,
    problem::{Member, Problem, Shares},
};

/// Where a member runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// Where it ran lately.
    AsIs,
    /// On one node, with its memory.
    On(usize),
    /// On the nodes of a span, by its number; memory stays where it is.
    Across(usize),
}

/// Where all members run, and what that loses, in CPUs.
#[derive(Clone, Debug)]
pub(super) struct Seats<'a> {
    pub(super) problem: &'a Problem,
    taken: Vec<Seat>,
    /// What each member loses by itself where it ran lately.
    as_is_loss: Vec<f64>,
    demand: Shares,
    variance: Shares,
    /// Overload and imbalance of each node.
    load_loss: Shares,
}

impl<'a> Seats<'a> {
    /// All as they ran lately.
    pub(super) fn as_is(problem: &'a Problem) -> Self {
        let mut seats = Self {
            problem,
            taken: vec![Seat::AsIs; problem.members.len()],
            as_is_loss: Vec::new(),
            demand: [0.0; MAX_NODES],
            variance: [0.0; MAX_NODES],
            load_loss: [0.0; MAX_NODES],
        };
        for member in &problem.members {
            for node in 0..MAX_NODES {
                seats.demand[node] += member.demand * member.run[node];
                seats.variance[node] += member.variance * member.run[node];
            }
        }
        for &node in &problem.nodes {
            seats.load_loss[node] = seats.node_loss(node, seats.demand[node], seats.variance[node]);
        }
        let members = 0..problem.members.len();
        let as_is = members
            .map(|member| seats.remote(member, Seat::AsIs) + seats.own_wakes(member, Seat::AsIs));
        seats.as_is_loss = as_is.collect();
        seats
    }

    pub(super) fn seat(&self, member: usize) -> Seat {
        self.taken[member]
    }

    /// What overload and imbalance of a node lose, in CPUs.
    pub(super) fn load_loss(&self, node: usize) -> f64 {
        self.load_loss[node]
    }

    /// Demand on a node, in CPUs.
    pub(super) fn demand(&self, node: usize) -> f64 {
        self.demand[node]
    }

    /// Where a member would run in a seat.
    pub(super) fn run(&self, member: usize, seat: Seat) -> Shares {
        match seat {
            Seat::AsIs => self.problem.members[member].run,
            Seat::Across(span) => self.problem.spans[span],
            Seat::On(node) => {
                let mut run = [0.0; MAX_NODES];
                run[node] = 1.0;
                run
            }
        }
    }

    /// How likely somebody who runs so is on one node with a member.
    pub(super) fn together(&self, run: &Shares, member: usize) -> f64 {
        let others = match self.taken[member] {
            Seat::On(node) => return run[node],
            Seat::AsIs => &self.problem.members[member].run,
            Seat::Across(span) => &self.problem.spans[span],
        };
        let nodes = self.problem.nodes.iter();
        nodes.map(|&node| run[node] * others[node]).sum()
    }

    /// Takes a seat.
    pub(super) fn take(&mut self, member: usize, seat: Seat) {
        let Member {
            demand, variance, ..
        } = self.problem.members[member];
        let before = self.run(member, self.taken[member]);
        let after = self.run(member, seat);
        self.taken[member] = seat;
        for &node in &self.problem.nodes {
            let more = after[node] - before[node];
            if more != 0.0 {
                self.demand[node] += demand * more;
                self.variance[node] += variance * more;
                self.load_loss[node] = self.node_loss(node, self.demand[node], self.variance[node]);
            }
        }
    }

    /// What a member loses by itself: waiting for memory, waking its own threads, and being moved.
    fn own_loss(&self, member: usize, seat: Seat) -> f64 {
        match seat {
            Seat::AsIs => self.as_is_loss[member],
            // Its memory has come along, and all of its threads are there.
            Seat::On(_) => self.price(member, seat),
            Seat::Across(_) => {
                self.remote(member, seat) + self.own_wakes(member, seat) + self.price(member, seat)
            }
        }
    }

    fn remote(&self, member: usize, seat: Seat) -> f64 {
        if let Seat::On(_) = seat {
            return 0.0;
        }
        let Member { demand, memory, .. } = &self.problem.members[member];
        let run = self.run(member, seat);
        let nodes = self.problem.nodes.iter();
        let stall: f64 = nodes
            .map(|&node| {
                let stall = &self.problem.stall[node];
                let apart: f64 = memory.iter().zip(stall).map(|(part, ns)| part * ns).sum();
                run[node] * apart
            })
            .sum();
        demand * stall
    }

    fn own_wakes(&self, member: usize, seat: Seat) -> f64 {
        let per_s = self.problem.members[member].own_wakes;
        if per_s == 0.0 {
            return 0.0;
        }
        let run = self.run(member, seat);
        let together: f64 = run.iter().map(|part| part * part).sum();
        per_s * (1.0 - together).max(0.0) * NODE_WAKE_S
    }

    fn price(&self, member: usize, seat: Seat) -> f64 {
        let member = &self.problem.members[member];
        match seat {
            Seat::AsIs => 0.0,
            Seat::On(node) => member.price(member.memory[node]),
            Seat::Across(_) => member.price(1.0),
        }
    }

    /// What a node loses by its load with so much demand and variance.
    fn node_loss(&self, node: usize, demand: f64, variance: f64) -> f64 {
        self.overload(node, demand, variance.max(0.0)) + self.imbalance(node, demand)
    }

    fn overload(&self, node: usize, demand: f64, variance: f64) -> f64 {
        let upper = demand + UPPER_QUANTILE * variance.sqrt();
        (upper - TARGET * self.problem.cpus[node]).max(0.0)
    }

    fn imbalance(&self, node: usize, demand: f64) -> f64 {
        let fair = self.problem.fair * self.problem.cpus[node];
        let uneven = UNEVEN * (self.problem.fair / BUSY).min(1.0);
        uneven * ((demand - fair).abs() - BAND * fair).max(0.0)
    }

    /// What the host loses, worked out anew, in CPUs.
    pub(super) fn total(&self) -> f64 {
        self.parts().into_iter().sum()
    }

    /// The same, by why.
    pub(super) fn loss(&self) -> Loss {
        let ns = self.parts().map(ns);
        Loss {
            remote_ns: ns[0],
            wakes_ns: ns[1],
            overload_ns: ns[2],
            imbalance_ns: ns[3],
            moves_ns: ns[4],
        }
    }

    fn parts(&self) -> [f64; 5] {
        let mut parts = [0.0; 5];
        for (member, &seat) in self.taken.iter().enumerate() {
            let run = self.run(member, seat);
            let neighbours = self.problem.neighbours(member).iter();
            // Each pair is met twice.
            let pairs = neighbours.filter(|(other, _)| *other > member);
            let apart: f64 = pairs
                .map(|&(other, per_s)| per_s * (1.0 - self.together(&run, other)))
                .sum();
            parts[0] += self.remote(member, seat);
            parts[1] += self.own_wakes(member, seat) + apart * NODE_WAKE_S;
            parts[4] += self.price(member, seat);
        }
        for &node in &self.problem.nodes {
            let demand = self.demand[node];
            parts[2] += self.overload(node, demand, self.variance[node].max(0.0));
            parts[3] += self.imbalance(node, demand);
        }
        parts
    }
}
