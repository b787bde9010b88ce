//! The agents that are known, with where each comes from and what was last read of it.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::{
    ledger::state,
    slot::{KERNEL, OTHER, SlotLease},
};
use hostler_decide::{
    identity::{AgentKey, Kind},
    node_memory::NodeMemory,
    polled::PolledSignal,
    pressure::Pressure,
    signal::{Agent, AgentReading, AgentSource},
};

use crate::programs::ProgramKey;

/// An agent with where it lives and how large it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPlace {
    /// The agent.
    pub agent: Agent,
    /// Threads that it has now.
    pub threads: u32,
    /// Processes that it has now.
    pub processes: u32,
}

/// A process, told from a later one with its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentProcess {
    /// Its number.
    pub pid: u32,
    /// When it was started, in clock ticks since the host was.
    pub started_ticks: u64,
}

/// Agents with their processes.
pub type AgentProcesses = Vec<(Arc<Agent>, Vec<AgentProcess>)>;

/// What an agent was made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// A v2 cgroup, by its id.
    Cgroup(u64),
    /// A program in the root cgroup.
    Program(ProgramKey),
    /// What a rule says.
    Rule(AgentKey),
    /// One of the slots that belong to no agent.
    Slot(u32),
}

/// One known agent.
pub(crate) struct Entry {
    pub(crate) agent: Arc<Agent>,
    pub(crate) origin: Origin,
    /// A cgroup's path below the root; empty for others.
    pub(crate) path: String,
    /// When it was entered, in ns of the monotonic clock.
    pub(crate) entered_ns: u64,
    /// What was last read of it: while the words of its ledger stay, so does all else.
    pub(crate) last: Arc<AgentReading>,
    /// The agent has another name, or its cgroup was read, since the last reading.
    pub(crate) is_changed: bool,
    /// Any of its threads did something since its cgroup was read.
    pub(crate) is_busy: bool,
    /// When its cgroup was read, in ns of the monotonic clock; 0 if it was not yet.
    pub(crate) polled_ns: u64,
    /// What was last read of its cgroup; `None` if it has none, or nothing was read yet.
    pub(crate) polled: Option<Arc<PolledSignal>>,
    /// What was known when it was.
    pub(crate) polled_with: PolledWith,
    /// Where its memory lay when it was last looked at; `None` if it was not yet.
    pub(crate) node_memory: Option<Arc<NodeMemory>>,
}

/// What tells, before an agent's cgroup is read again, which of its files can have changed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolledWith {
    /// The host's pressure, as it was read just before the cgroup.
    pub(crate) host: Option<Pressure>,
    /// The word of the agent's ledger for threads that are blocked on I/O.
    pub(crate) blocked_io: u64,
}

impl Entry {
    /// The word of its ledger for threads that are blocked on I/O.
    pub(crate) fn blocked_io(&self) -> u64 {
        self.last.ledger_words[state::BLOCKED_IO as usize]
    }
}

/// All known agents. One that has left stays until its slot is given again, so that what it did
/// last is still read.
pub(crate) struct Directory {
    entries: BTreeMap<SlotLease, Entry>,
    leases: BTreeMap<Origin, SlotLease>,
}

impl Directory {
    /// Only the two accounts that belong to no agent.
    pub(crate) fn new() -> Self {
        let mut directory = Self {
            entries: BTreeMap::new(),
            leases: BTreeMap::new(),
        };
        for (slot, name, source, place) in [
            (OTHER, "[other]", AgentSource::Other, "not attributed"),
            (KERNEL, "[kernel]", AgentSource::Kernel, "kernel threads"),
        ] {
            let id = SlotLease {
                slot,
                generation: 0,
            };
            directory.add(
                Agent {
                    id,
                    name: name.into(),
                    group: name.into(),
                    kind: Kind::System,
                    source,
                    place: place.into(),
                },
                Origin::Slot(slot),
                "",
                0,
            );
        }
        directory
    }

    /// Enters an agent under the lease that is its id.
    pub(crate) fn add(&mut self, agent: Agent, origin: Origin, path: &str, now_ns: u64) {
        self.leases.insert(origin.clone(), agent.id);
        let agent = Arc::new(agent);
        let entry = Entry {
            origin,
            path: path.to_owned(),
            entered_ns: now_ns,
            last: Arc::new(AgentReading::nothing_of(Arc::clone(&agent))),
            is_changed: false,
            is_busy: false,
            polled_ns: 0,
            polled: None,
            polled_with: PolledWith::default(),
            node_memory: None,
            agent,
        };
        self.entries.insert(entry.agent.id, entry);
    }

    /// The lease of the agent that was made from `origin`, also of one that has left but whose
    /// slot still rests.
    pub(crate) fn lease_of(&self, origin: &Origin) -> Option<SlotLease> {
        self.leases.get(origin).copied()
    }

    /// The lease under which a slot is held now.
    pub(crate) fn lease_of_slot(&self, slot: u32) -> Option<SlotLease> {
        let first = SlotLease {
            slot,
            generation: 0,
        };
        let last = SlotLease {
            slot,
            generation: u32::MAX,
        };
        self.entries
            .range(first..=last)
            .next_back()
            .map(|(&lease, _)| lease)
    }

    /// What a rule says of who holds a lease.
    pub(crate) fn rule_of(&self, lease: SlotLease) -> Option<AgentKey> {
        match &self.entries.get(&lease)?.origin {
            Origin::Rule(key) => Some(key.clone()),
            _ => None,
        }
    }

    /// An agent that is no cgroup of its own.
    pub(crate) fn if_no_cgroup(&self, lease: SlotLease) -> Option<&Arc<Agent>> {
        let entry = self.entries.get(&lease)?;
        matches!(entry.origin, Origin::Rule(_) | Origin::Program(_)).then_some(&entry.agent)
    }

    /// The path of a known cgroup below the root.
    pub(crate) fn path_of_cgroup(&self, id: u64) -> Option<&str> {
        let lease = self.leases.get(&Origin::Cgroup(id))?;
        self.entries.get(lease).map(|entry| &*entry.path)
    }

    /// Removes whoever holds a slot.
    pub(crate) fn remove(&mut self, slot: u32) {
        while let Some(lease) = self.lease_of_slot(slot) {
            if let Some(entry) = self.entries.remove(&lease)
                && self.leases.get(&entry.origin) == Some(&lease)
            {
                self.leases.remove(&entry.origin);
            }
        }
    }

    /// Every known agent, by lease.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Every known agent, by lease, to note what was read.
    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    /// The agent with a lease, to note what was read.
    pub(crate) fn entry_mut(&mut self, lease: SlotLease) -> Option<&mut Entry> {
        self.entries.get_mut(&lease)
    }

    /// How many agents are known, the two accounts not counted.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(slot: u32, generation: u32) -> Agent {
        let id = SlotLease { slot, generation };
        Agent {
            id,
            name: "a".into(),
            group: "/".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/".into(),
        }
    }

    #[test]
    fn an_agent_is_found_by_its_cgroup_and_by_its_slot() {
        let mut directory = Directory::new();
        directory.add(agent(200, 3), Origin::Cgroup(77), "a", 0);
        assert_eq!(
            directory.lease_of(&Origin::Cgroup(77)),
            Some(agent(200, 3).id)
        );
        assert_eq!(directory.lease_of_slot(200), Some(agent(200, 3).id));
        assert_eq!(directory.len(), 1);
    }

    #[test]
    fn removing_a_slot_leaves_nothing_that_points_to_it() {
        let mut directory = Directory::new();
        directory.add(agent(200, 3), Origin::Cgroup(77), "a", 0);
        directory.remove(200);
        assert_eq!(directory.lease_of(&Origin::Cgroup(77)), None);
        assert_eq!(directory.lease_of_slot(200), None);
        assert_eq!(directory.len(), 0);
    }

    #[test]
    fn removing_an_old_holder_leaves_the_origin_s_new_agent_alone() {
        let mut directory = Directory::new();
        directory.add(agent(200, 1), Origin::Cgroup(77), "a", 0);
        directory.add(agent(201, 1), Origin::Cgroup(77), "a", 0);
        directory.remove(200);
        assert_eq!(
            directory.lease_of(&Origin::Cgroup(77)),
            Some(agent(201, 1).id)
        );
    }
}
