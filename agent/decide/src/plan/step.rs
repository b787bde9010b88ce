//! A step: one change to one agent.

use std::sync::Arc;

use hostler_common::{placement::MAX_NODES, slot::SlotLease};
use serde::Serialize;

use super::why::Why;
use crate::signal::Agent;

/// One change to one agent, with what takes it back and what led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// To whom.
    pub agent: Arc<Agent>,
    /// What to do.
    pub action: Action,
    /// What takes it back.
    pub undo: Undo,
    /// What led to it.
    pub why: Why,
    /// What the host loses less by it, in ns of CPU time a second, while all other steps are taken as
    /// well; its price is taken off.
    pub gain_ns: u64,
    /// What it costs, once, in ns of CPU time.
    pub price_ns: u64,
    /// How one sees whether it helped.
    pub check: Check,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Let all threads of the agent, also those that are born meanwhile, run on the CPUs of these nodes
    /// alone, and move its anonymous memory there.
    Place {
        /// The nodes, in order.
        nodes: Vec<u32>,
        /// The last-level cache within the node whose CPUs are enough; `None` for all of them.
        l3: Option<u32>,
        /// The CPUs, in order.
        cpus: Vec<u32>,
        /// Anonymous memory that lies elsewhere, in bytes, as far as it is known. It stays where it is if
        /// there are several nodes.
        memory_bytes: u64,
    },
}

/// What takes a step back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Undo {
    /// Give each thread the CPUs back that it was allowed before, which the journal holds thread by
    /// thread; and where the step did not help, move memory back to where it lay.
    Release {
        /// Anonymous memory by node, in bytes, before the step; empty if it is not known.
        memory_bytes: Vec<u64>,
    },
}

impl Step {
    /// The nodes on which the agent is to run, in order.
    pub fn nodes(&self) -> &[u32] {
        let Action::Place { nodes, .. } = &self.action;
        nodes
    }
}

impl Undo {
    pub(super) fn release(memory: Option<&[u64; MAX_NODES]>) -> Self {
        let used = |bytes: &[u64; MAX_NODES]| {
            let last = bytes.iter().rposition(|&bytes| bytes > 0);
            bytes[..last.map_or(0, |last| last + 1)].to_vec()
        };
        Self::Release {
            memory_bytes: memory.map(used).unwrap_or_default(),
        }
    }
}

/// How one sees whether a step helped: what the agent loses and does, before and after, held against an
/// agent to which nothing was done, since the host's load changes as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Whose change is taken off; `None` if nobody is like it, so that it is held against itself alone.
    pub peer: Option<Peer>,
    /// Over how many windows after the step.
    pub windows: u32,
    /// By how much the agent may do worse than its peer before the step is taken back, in percent.
    pub tolerance_percent: u32,
}

/// An agent that is left as it is, to hold another one against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Who it is.
    pub id: SlotLease,
    /// Its name.
    pub name: Arc<str>,
}

impl Serialize for Peer {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Written<'a> {
            agent: &'a str,
            group: &'a str,
            action: &'a Action,
            undo: &'a Undo,
            /// The sentence, and below it its numbers.
            because: String,
            why: &'a Why,
            gain_ns: u64,
            price_ns: u64,
            check: &'a Check,
        }
        Written {
            agent: &self.agent.name,
            group: &self.agent.group,
            action: &self.action,
            undo: &self.undo,
            because: self.why.to_string(),
            why: &self.why,
            gain_ns: self.gain_ns,
            price_ns: self.price_ns,
            check: &self.check,
        }
        .serialize(serializer)
    }
}
