//! Gives slots to agents and takes them back.

use std::{collections::BTreeSet, sync::Arc};

use hostler_common::slot::{KERNEL, OTHER, SlotLease};
use hostler_decide::signal::{Agent, AgentSource};

use super::Observer;
use crate::{
    agents::{Entry, Origin},
    claims::Claim,
    clock::now_ns,
    names::{CgroupName, NAMES_SETTLE_NS},
    probes::tables::Totals,
    processes::ThreadRow,
    reading,
};

/// Where more agents than this are young, as after a start, each one's name is looked up again in
/// one of so many seconds only.
const MANY_YOUNG: usize = 256;
const TURNS: u64 = 8;
const TURN_NS: u64 = 1_000_000_000;

impl Observer {
    /// A slot, under a new generation, for an agent that user space has found; `None` if all are in
    /// use.
    pub(super) fn new_lease(&mut self) -> Option<SlotLease> {
        let slot = self.slots.take().or_else(|| {
            let slot = self.probes.pop_free_slot()?;
            self.slots.take_lent(slot);
            Some(slot)
        });
        let slot = slot?;
        let state = self.probes.leases().get(slot as usize)?;
        let generation = state.generation.load().wrapping_add(1).max(1);
        state.generation.store(generation);
        Some(SlotLease { slot, generation })
    }

    /// Counts an agent that found no slot.
    pub(super) fn count_without_slot(&mut self, name: &str) {
        self.agents_without_slot += 1;
        tracing::warn!(
            agent = name,
            "no free slot: its threads are counted as other"
        );
    }

    pub(super) fn enter_cgroup(&mut self, lease: SlotLease, path: &str, cgroup_id: u64) {
        let CgroupName {
            display,
            group,
            kind,
            ..
        } = self.names.of_cgroup(path, now_ns());
        let agent = Agent {
            id: lease,
            name: display.into(),
            group: group.into(),
            kind,
            source: AgentSource::Cgroup,
            place: format!("/{path}").into(),
        };
        self.enter(agent, path, Origin::Cgroup(cgroup_id));
    }

    pub(super) fn enter(&mut self, agent: Agent, path: &str, origin: Origin) {
        let lease = agent.id;
        if let Some(older) = self
            .directory
            .lease_of(&origin)
            .filter(|&older| older != lease)
        {
            // Kernel and user space gave it a slot each; the kernel's is the one in use.
            self.slots.rest(older.slot, now_ns());
        }
        if let Some(state) = self.probes.leases().get(lease.slot as usize) {
            state
                .selected
                .store(u32::from((self.options.select)(&agent.name)));
        }
        self.directory.add(agent, origin, path, now_ns());
    }

    /// Container runtimes write down what a container is called a moment after they have made its
    /// cgroup: the names of young agents are looked up again.
    pub(super) fn refresh_names(&mut self, now_ns: u64) {
        let is_young = |entry: &Entry| now_ns.saturating_sub(entry.entered_ns) < NAMES_SETTLE_NS;
        let young = self.directory.entries().filter(|entry| is_young(entry));
        let turns = if young.count() > MANY_YOUNG { TURNS } else { 1 };
        for entry in self.directory.entries_mut() {
            let turn = now_ns / TURN_NS + u64::from(entry.agent.id.slot);
            if entry.path.is_empty() || !is_young(entry) || !turn.is_multiple_of(turns) {
                continue;
            }
            let name = self.names.of_cgroup(&entry.path, now_ns);
            if *entry.agent.name != *name.display {
                Arc::make_mut(&mut entry.agent).name = name.display.into();
                entry.is_changed = true;
            }
            if *entry.agent.group != *name.group {
                let agent = Arc::make_mut(&mut entry.agent);
                agent.group = name.group.into();
                agent.kind = name.kind;
                entry.is_changed = true;
            }
        }
    }

    /// Clears and frees the slots whose rest is over. Their last reading has been taken.
    pub(super) fn recycle_slots(&mut self, now_ns: u64) {
        let rested: BTreeSet<u32> = std::iter::from_fn(|| self.slots.rested(now_ns)).collect();
        if rested.is_empty() {
            self.recycle_peers(&rested);
            return;
        }
        for map in [Totals::Pairs, Totals::Wakes] {
            self.probes.forget_totals_of(map, &rested);
        }
        for &slot in &rested {
            self.directory.remove(slot);
            if let Some(state) = self.probes.leases().get(slot as usize) {
                // Who still holds the old lease must look again from now on.
                state
                    .generation
                    .store(state.generation.load().wrapping_add(1));
                state.selected.store(0);
            }
            reading::clear(&self.probes, slot);
            self.slots.free(slot);
        }
        self.recycle_peers(&rested);
    }

    pub(super) fn lease_of(&self, row: &ThreadRow) -> SlotLease {
        let unclaimed = Claim::Cgroup;
        let claim = self.claims.of_process(row.tgid).unwrap_or(&unclaimed);
        let origin = match claim {
            Claim::Rule(key, _) => Origin::Rule(key.clone()),
            _ if row.cgroup_id != self.hierarchy.root_id() => Origin::Cgroup(row.cgroup_id),
            _ if row.kernel_thread => Origin::Slot(KERNEL),
            Claim::Program(key) => Origin::Program(key.clone()),
            Claim::Cgroup => Origin::Slot(OTHER),
        };
        self.directory.lease_of(&origin).unwrap_or_default()
    }
}
