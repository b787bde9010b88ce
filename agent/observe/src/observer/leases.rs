//! Gives slots to agents and takes them back.

use std::collections::BTreeSet;

use hostler_common::slot::{KERNEL, OTHER, SlotLease};
use hostler_decide::signal::{Agent, AgentKind};

use super::{NAMING_NS, Observer};
use crate::{agents::Origin, clock::now_ns, processes::ThreadRow, reading};

impl Observer {
    /// A slot, under a new generation, for an agent that user space has found.
    pub(super) fn new_lease(&mut self, name: &str) -> Option<SlotLease> {
        let slot = self.slots.take().or_else(|| {
            let slot = self.probes.pop_free_slot()?;
            self.slots.take_lent(slot);
            Some(slot)
        });
        let Some(slot) = slot else {
            self.agents_without_slot += 1;
            tracing::warn!(
                agent = name,
                "no free slot: its threads are counted as other"
            );
            return None;
        };
        let record = self.probes.agents().get(slot as usize)?;
        let generation = record.generation.load().wrapping_add(1).max(1);
        record.generation.store(generation);
        Some(SlotLease { slot, generation })
    }

    /// `what` is a cgroup's path, or a program with its session.
    pub(super) fn enter(&mut self, lease: SlotLease, what: &str, kind: AgentKind, origin: Origin) {
        if let Some(older) = self
            .directory
            .lease_of(&origin)
            .filter(|&older| older != lease)
        {
            // Kernel and user space gave it a slot each; the kernel's is the one in use.
            self.slots.rest(older.slot, now_ns());
        }
        let now_ns = now_ns();
        let (name, path) = match kind {
            AgentKind::Cgroup => (self.names.of_cgroup(what, now_ns).display, what),
            _ => (what.to_owned(), ""),
        };
        if let Some(record) = self.probes.agents().get(lease.slot as usize) {
            record
                .selected
                .store(u32::from((self.options.select)(&name)));
        }
        let agent = Agent {
            id: lease,
            name: name.into(),
            kind,
        };
        self.directory.add(agent, origin, path, now_ns);
    }

    /// Container runtimes write down what a container is called a moment after they have made its
    /// cgroup: the names of young agents are looked up again.
    pub(super) fn refresh_names(&mut self, now_ns: u64) {
        for entry in self.directory.entries_mut() {
            let is_young = now_ns.saturating_sub(entry.entered_ns) < NAMING_NS;
            if entry.path.is_empty() || !is_young {
                continue;
            }
            let name = self.names.of_cgroup(&entry.path, now_ns).display;
            if *entry.agent.name != *name {
                entry.agent.name = name.into();
            }
        }
    }

    /// Clears and frees the slots whose rest is over. Their last reading has been taken.
    pub(super) fn recycle_slots(&mut self, now_ns: u64) {
        let rested: BTreeSet<u32> = std::iter::from_fn(|| self.slots.rested(now_ns)).collect();
        if rested.is_empty() {
            return;
        }
        self.probes.forget_pairs_of(&rested);
        for slot in rested {
            self.directory.remove(slot);
            if let Some(record) = self.probes.agents().get(slot as usize) {
                // Who still holds the old lease must look again from now on.
                record
                    .generation
                    .store(record.generation.load().wrapping_add(1));
                record.selected.store(0);
                reading::clear(&record.ledger, &record.run_queue);
            }
            self.slots.free(slot);
        }
    }

    pub(super) fn lease_of(&self, row: &ThreadRow) -> SlotLease {
        let slot = |slot| SlotLease {
            slot,
            generation: 0,
        };
        if row.cgroup_id != self.hierarchy.root_id() {
            let origin = Origin::Cgroup(row.cgroup_id);
            return self
                .directory
                .lease_of(&origin)
                .unwrap_or_else(|| slot(OTHER));
        }
        if row.kernel_thread {
            return slot(KERNEL);
        }
        let key = self.programs.of_process(row.tgid).cloned();
        key.and_then(|key| self.directory.lease_of(&Origin::Program(key)))
            .unwrap_or_else(|| slot(OTHER))
    }
}
