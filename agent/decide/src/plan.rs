//! Plans: what Hostler would change on a host, and why, as plain values.
//!
//! A plan can be printed, compared and kept: nothing in it is an open file or a promise. [`lately`] is
//! what a plan rests on, [`placing`] finds out who belongs where, and each [`Step`] says what to do, how
//! to take it back, what led to it, what it should gain, and by what one will see whether it did.
//! [`conduct`] carries it out a few steps at a time, and [`verdict`] says whether one has helped.

pub mod conduct;
pub mod lately;
mod owners;
pub mod placing;
mod policy;
mod step;
#[cfg(test)]
mod tests;
pub mod verdict;
mod why;

use serde::Serialize;

pub use self::{
    lately::Lately,
    owners::Owners,
    placing::Loss,
    policy::Policy,
    step::{Action, Check, Peer, Step, Undo},
    why::{Companion, Crowding, Memory, Why},
};
use crate::topology::Topology;

/// What would be changed on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The end of what it rests on, in ns of the monotonic clock.
    pub at_ns: u64,
    /// How much time it rests on, in ns.
    pub seen_ns: u64,
    /// What to do, that which gains most first: it is the canary of the others.
    pub steps: Vec<Step>,
    /// Why the host as a whole is left as it is; `None` if it was looked at agent by agent.
    pub left_alone: Option<LeftAlone>,
    /// Agents that stay where they are, by the reason.
    pub staying: Staying,
    /// What the host loses as it is.
    pub now: Loss,
    /// What it would lose after all steps, their own price included.
    pub then: Loss,
}

/// Why nothing on a host is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum LeftAlone {
    /// There is one place for threads and memory.
    OneNode,
    /// Its nodes have numbers that Hostler does not tell apart.
    TooManyNodes {
        /// The highest number of a node.
        highest: u32,
    },
    /// A scheduler that was loaded into the kernel decides where threads run.
    OtherScheduler {
        /// Its name.
        name: String,
    },
    /// Nothing has been seen yet.
    NothingSeen,
}

/// How many agents stay where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Staying {
    /// No other place gains more than moving costs.
    pub well_placed: u64,
    /// They did not run lately, so that nothing says where they belong.
    pub idle: u64,
    /// They waited for storage or for the network most of their time: no place gains them anything.
    pub waits_elsewhere: u64,
    /// Parts of the host, which are never moved.
    pub system: u64,
    /// Somebody wants them left alone.
    pub opted_out: u64,
    /// kubelet gives them their CPUs.
    pub kubelet: u64,
    /// They were moved a short while ago, or somebody else has set them since.
    pub resting: u64,
}

/// What to change on a host, by what happened on it lately. The same arguments always give the same plan.
pub fn plan(lately: &Lately, topology: &Topology, policy: &Policy) -> Plan {
    let nothing = |reason| Plan {
        at_ns: lately.at_ns(),
        seen_ns: lately.seen_ns(),
        left_alone: Some(reason),
        ..Plan::default()
    };
    if !topology.has_several_nodes() {
        return nothing(LeftAlone::OneNode);
    }
    if let Some(name) = policy.owners.scheduler.clone() {
        return nothing(LeftAlone::OtherScheduler { name });
    }
    if lately.seen_ns() == 0 {
        return nothing(LeftAlone::NothingSeen);
    }
    let nodes = topology.nodes.keys().copied();
    let nodes = nodes.chain(topology.cpus.values().map(|place| place.node));
    match nodes.max() {
        Some(highest) if highest as usize >= hostler_common::placement::MAX_NODES => {
            nothing(LeftAlone::TooManyNodes { highest })
        }
        _ => placing::plan(lately, topology, policy),
    }
}
