//! The maps through which user space tells the programs who is who, and reads who made whom wait and
//! who woke whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd as _,
};

use aya::maps::{Array, HashMap, Map, MapData, MapError, Queue};
use hostler_common::{
    placement::MAX_NODES,
    slot::{ProcessLease, SlotLease},
};

use super::{Probes, batch};
use crate::ObserveError;

/// Maps of totals, of which those that rest make room for others.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Totals {
    /// Who made whom wait.
    Pairs,
    /// Who woke whom.
    Wakes,
}

impl Totals {
    const fn name(self) -> &'static str {
        match self {
            Self::Pairs => "PAIRS",
            Self::Wakes => "WAKES",
        }
    }
}

impl Probes {
    /// Gives the kernel a slot that it may give to a new cgroup.
    pub(crate) fn push_free_slot(&mut self, slot: u32) -> Result<(), MapError> {
        self.free_slots()?.push(slot, 0)
    }

    /// Takes back a slot that the kernel has not given to anybody; `None` when none is left.
    pub(crate) fn pop_free_slot(&mut self) -> Option<u32> {
        self.free_slots().ok()?.pop(0).ok()
    }

    /// Says whose threads a cgroup's are, unless the kernel side already knows. Returns whether
    /// the lease was taken.
    pub(crate) fn lease_to_cgroup(
        &mut self,
        cgroup_id: u64,
        lease: SlotLease,
    ) -> Result<bool, MapError> {
        /// `BPF_NOEXIST`: fail if there is an entry.
        const ONLY_NEW: u64 = 1;
        let value = [lease.slot, lease.generation];
        match self.cgroup_slots()?.insert(cgroup_id, value, ONLY_NEW) {
            Ok(()) => Ok(true),
            Err(_) if self.lease_of_cgroup(cgroup_id).is_some() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The lease that the kernel side knows for a cgroup.
    pub(crate) fn lease_of_cgroup(&mut self, cgroup_id: u64) -> Option<SlotLease> {
        let [slot, generation] = self.cgroup_slots().ok()?.get(&cgroup_id, 0).ok()?;
        Some(SlotLease { slot, generation })
    }

    /// Says whose a process is; its threads look at their next change of state.
    pub(crate) fn lease_to_process(
        &mut self,
        tgid: u32,
        process: ProcessLease,
    ) -> Result<(), MapError> {
        let started_ticks = process.started_ticks.to_ne_bytes();
        let [low, high] = [&started_ticks[..4], &started_ticks[4..]].map(|half| {
            u32::from_ne_bytes(half.try_into().expect("a half of eight bytes is four"))
        });
        let ProcessLease { lease, claim, .. } = process;
        let value = [lease.slot, lease.generation, low, high, claim, 0];
        self.process_slots()?.insert(tgid, value, 0)
    }

    /// The totals of a map whose keys begin with a slot and its generation.
    pub(crate) fn totals(&self, map: Totals) -> BTreeMap<[u32; 4], [u64; 2]> {
        let map = self.ebpf.map(map.name()).expect("the object has it");
        if let Map::HashMap(data) = map
            && let Some(elements) = batch::elements(data.fd().as_fd())
        {
            return elements.into_iter().collect();
        }
        let Ok(totals) = HashMap::<_, [u32; 4], [u64; 2]>::try_from(map) else {
            return BTreeMap::new();
        };
        totals.iter().filter_map(Result::ok).collect()
    }

    /// Removes the totals of the slots' former holders.
    pub(crate) fn forget_totals_of(&mut self, map: Totals, slots: &BTreeSet<u32>) {
        let keys: Vec<[u32; 4]> = self
            .totals(map)
            .into_keys()
            .filter(|key| slots.contains(&key[0]))
            .collect();
        let Ok(mut totals) = self.totals_mut(map) else {
            return;
        };
        for key in keys {
            // Absence is the only way to fail, and is what is wanted.
            let _absent = totals.remove(&key);
        }
    }

    /// Removes totals unless something came to them since they were read; returns whether it did.
    pub(crate) fn fold(&mut self, map: Totals, key: [u32; 4], as_read: [u64; 2]) -> bool {
        let Ok(mut totals) = self.totals_mut(map) else {
            return false;
        };
        let is_as_read = totals.get(&key, 0).is_ok_and(|now| now == as_read);
        is_as_read && totals.remove(&key).is_ok()
    }

    fn totals_mut(
        &mut self,
        map: Totals,
    ) -> Result<HashMap<&mut MapData, [u32; 4], [u64; 2]>, MapError> {
        let map = self.ebpf.map_mut(map.name()).expect("the object has it");
        map.try_into()
    }

    /// Removes a process that is gone.
    pub(crate) fn forget_process(&mut self, tgid: u32) {
        if let Ok(mut slots) = self.process_slots() {
            // Absence is the only way to fail, and is what is wanted.
            let _absent = slots.remove(&tgid);
        }
    }

    fn process_slots(&mut self) -> Result<HashMap<&mut MapData, u32, [u32; 6]>, MapError> {
        self.ebpf
            .map_mut("PROCESS_SLOTS")
            .expect("the object has PROCESS_SLOTS")
            .try_into()
    }

    /// Removes a cgroup that is gone.
    pub(crate) fn forget_cgroup(&mut self, cgroup_id: u64) {
        if let Ok(mut slots) = self.cgroup_slots() {
            // Mostly the kernel side has removed it already.
            let _absent = slots.remove(&cgroup_id);
        }
    }

    /// The slots that cgroups hold, as the kernel side knows it.
    pub(crate) fn leased_slots(&mut self) -> BTreeSet<u32> {
        let Ok(slots) = self.cgroup_slots() else {
            return BTreeSet::new();
        };
        slots
            .iter()
            .filter_map(|entry| entry.ok().map(|(_, [slot, _])| slot))
            .collect()
    }

    fn free_slots(&mut self) -> Result<Queue<&mut MapData, u32>, MapError> {
        self.ebpf
            .map_mut("FREE_SLOTS")
            .expect("the object has FREE_SLOTS")
            .try_into()
    }

    fn cgroup_slots(&mut self) -> Result<HashMap<&mut MapData, u64, [u32; 2]>, MapError> {
        self.ebpf
            .map_mut("CGROUP_SLOTS")
            .expect("the object has CGROUP_SLOTS")
            .try_into()
    }

    /// Tells the programs on which node each CPU is.
    pub(super) fn tell_nodes(&mut self, nodes: &BTreeMap<u32, u32>) -> Result<(), ObserveError> {
        let map = self.ebpf.map_mut("CPU_NODES").expect("the object has it");
        let refused = |error: MapError| ObserveError::refused("telling CPUs' nodes", error);
        let mut places = Array::<_, u32>::try_from(map).map_err(refused)?;
        let (cpus, last) = (places.len(), u32::try_from(MAX_NODES).expect("few") - 1);
        for (&cpu, &node) in nodes.iter().filter(|(cpu, _)| **cpu < cpus) {
            places.set(cpu, node.min(last), 0).map_err(refused)?;
        }
        Ok(())
    }
}
