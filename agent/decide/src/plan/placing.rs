//! Who belongs where: agents, and clusters of agents that wake each other, to NUMA nodes and to the
//! last-level caches within them.
//!
//! What is made small is the time that the host loses each second, in CPUs (1 CPU = 1 s a second):
//!
//! ```text
//! remote     Σ agents  demand · Σ run(n) · memory(m) · REMOTE_STALL · (distance(n, m) − 10) ÷ 10
//! wakes      Σ pairs   wake-ups a second · P(both run on different nodes) · NODE_WAKE_S
//! overload   Σ nodes   upper quantile of its demand beyond TARGET of its CPUs
//! imbalance  Σ nodes   UNEVEN · how busy the host is · its mean demand beyond BAND around its fair part
//! moves      Σ moved   what the move costs ÷ WORTH_S, and MARGIN of its demand
//! ```
//!
//! Time is what all of these have in common, so that no weight has to be made up between unlike things;
//! the constants below are estimates all the same, and every step is verified on the host that it is
//! taken on. Locality alone is not the aim: more remote accesses were better than local ones where a
//! node's bandwidth was what lacked ("Optimizing Google's Warehouse Scale Computers: The NUMA Experience",
//! HPCA 2013), hence overload and imbalance.
//!
//! [`problem`] is the host in numbers, [`seats`] who sits where and what that loses, [`search`] finds
//! something better, [`caches`] chooses caches, and [`steps`] says it in steps.

mod caches;
mod clusters;
#[cfg(test)]
mod exact;
mod problem;
mod search;
mod seats;
mod steps;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::{Lately, Plan, Policy};
use crate::topology::Topology;

/// How much longer a second of CPU time takes if all of a thread's memory lies at distance 20, in
/// seconds. Between 10 and 20 % were measured of server programs (HPCA 2013, as above).
const REMOTE_STALL: f64 = 0.15;

/// What a wake-up on another node costs more than one on the same, in seconds: an interrupt between
/// packages, and some tens of cache lines that go the same way. An estimate.
const NODE_WAKE_S: f64 = 3e-6;

/// The same between last-level caches of one node. An estimate.
const CACHE_WAKE_S: f64 = 1e-6;

/// The part of a node's CPUs that may be in use before more counts as lost: numad's target.
const TARGET: f64 = 0.85;

/// The normal distribution's 90 % quantile, in standard deviations.
const UPPER_QUANTILE: f64 = 1.2816;

/// What a CPU's worth of demand loses on a node that has more than its part, or a node that has less:
/// together twice as much as all of its memory at distance 20, so that nodes are filled evenly first, and
/// memory follows. So it is on a host that is busy: what nobody else wants hurts nobody.
const UNEVEN: f64 = 0.15;

/// How busy a host must be for that to count in full, as a part of its CPUs; below it counts in proportion.
const BUSY: f64 = 0.5;

/// How far from its fair part a node's demand may be, so that two nodes are within 17 % of each other
/// (1.078 ÷ 0.922): the imbalance between nodes below which `scx_rusty` leaves tasks where they are.
const BAND: f64 = 0.078;

/// What moving a page of 4 KiB costs, in seconds: to unmap, copy and map it. An estimate: 1 GiB a second.
const PAGE_S: f64 = 4e-6;

/// What a thread costs that goes elsewhere, in seconds: a call, a migration, and a cold cache.
const THREAD_S: f64 = 50e-6;

/// What a step costs in itself, in seconds: to write it down, to look at what came of it.
const STEP_S: f64 = 1e-3;

/// Within how many seconds a move has to have paid for itself. Long against an agent's turns, short
/// against its life.
const WORTH_S: f64 = 60.0;

/// What a move has to gain beside that, as a part of the agent's demand. Less can't be told from what demand
/// varies by, nor be seen by the check afterwards, and of two nodes that are alike the emptier one would be
/// better every time. Well below what memory on another node costs (`REMOTE_STALL`).
const MARGIN: f64 = 0.005;

const PAGE_BYTES: f64 = 4096.0;

/// What a host loses a second, by why, in ns of CPU time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Threads that wait for memory of other nodes.
    pub remote_ns: u64,
    /// Wake-ups across nodes.
    pub wakes_ns: u64,
    /// Demand that nodes have no CPUs for.
    pub overload_ns: u64,
    /// Nodes that have more, or less, than their part.
    pub imbalance_ns: u64,
    /// What moves cost, spread over the time in which they have to pay for themselves, and the margin by
    /// which they have to be better.
    pub moves_ns: u64,
}

impl Loss {
    /// All of it.
    pub fn total_ns(&self) -> u64 {
        let parts = [
            self.remote_ns,
            self.wakes_ns,
            self.overload_ns,
            self.imbalance_ns,
            self.moves_ns,
        ];
        parts.into_iter().fold(0, u64::saturating_add)
    }
}

/// Finds a better place for each agent that has one.
pub(super) fn plan(lately: &Lately, topology: &Topology, policy: &Policy) -> Plan {
    let (problem, cast, mut staying) = problem::of(lately, topology, policy);
    let mut seats = seats::Seats::as_is(&problem);
    let now = seats.loss();
    let clusters = clusters::of(&problem);
    search::improve(&mut seats, &clusters);
    let caches = caches::choose(&seats, &clusters);
    let steps = steps::write(&seats, &caches, &cast, topology);
    let movable = problem.members.iter().filter(|member| member.may_move);
    staying.well_placed = (movable.count() - steps.len()) as u64;
    Plan {
        at_ns: lately.at_ns(),
        seen_ns: lately.seen_ns(),
        steps,
        left_alone: None,
        staying,
        now,
        then: seats.loss(),
    }
}

/// CPUs in ns of CPU time a second, and seconds in ns.
fn ns(of: f64) -> u64 {
    whole(of * 1e9)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nothing here is negative, and `as` saturates at the upper end"
)]
pub(super) fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}
