//! Keeps agents in step with the cgroups that come and go: by events, and by looking where those
//! were lost.

use std::collections::{BTreeMap, BTreeSet};

use hostler_common::{
    event::{CgroupEvent, kind},
    slot::OTHER,
};

use super::Observer;
use crate::{agents::Origin, clock::now_ns};

impl Observer {
    /// Takes in the cgroups that came and went, and fills the kernel's queue of slots up.
    pub(super) fn follow_events(&mut self) {
        let events: Vec<CgroupEvent> = std::iter::from_fn(|| self.probes.next_event()).collect();
        let is_nameless =
            |event: &CgroupEvent| event.kind == kind::CGROUP_MADE && event.path().is_none();
        let found: BTreeMap<u64, String> = if events.iter().any(is_nameless) {
            self.hierarchy
                .scan()
                .into_iter()
                .map(|found| (found.id, found.path))
                .collect()
        } else {
            BTreeMap::new()
        };
        for event in &events {
            self.follow_event(event, &found);
        }
        let missed = self.probes.losses().events_not_sent.load();
        if missed != self.events_missed {
            tracing::warn!(
                lost = missed - self.events_missed,
                "events were lost: rescanning"
            );
            self.events_missed = missed;
            self.make_up_for_lost_events();
        }
        self.lend_slots();
    }

    pub(super) fn lend_slots(&mut self) {
        for slot in self.slots.lend() {
            if let Err(error) = self.probes.push_free_slot(slot) {
                tracing::debug!(slot, %error, "the kernel's queue of slots is full");
                self.slots.free(slot);
            }
        }
    }

    /// `found` are the paths of cgroups by id, for events that could not carry theirs.
    fn follow_event(&mut self, event: &CgroupEvent, found: &BTreeMap<u64, String>) {
        let origin = Origin::Cgroup(event.cgroup_id);
        match event.kind {
            kind::CGROUP_MADE => {
                let path = event
                    .path()
                    .map(|path| String::from_utf8_lossy(path).into_owned());
                let name = path
                    .or_else(|| found.get(&event.cgroup_id).cloned())
                    .unwrap_or_else(|| format!("cgroup {}", event.cgroup_id));
                let name = name.trim_start_matches('/');
                if event.lease.slot != OTHER {
                    self.slots.given(event.lease.slot);
                    self.enter_cgroup(event.lease, name, event.cgroup_id);
                } else if self.hierarchy.id_at(name) == Some(event.cgroup_id) {
                    // The kernel's queue was empty; its threads look again until they find this.
                    self.lease_to_cgroup(event.cgroup_id, name);
                }
            }
            kind::CGROUP_REMOVED => {
                self.probes.forget_cgroup(event.cgroup_id);
                // The event knows no lease that came after the cgroup was made, and the directory
                // none whose event was lost.
                let lease = self.directory.lease_of(&origin).unwrap_or(event.lease);
                let holder = self.directory.lease_of_slot(lease.slot);
                if holder.is_none_or(|holder| holder == lease) {
                    self.slots.rest(lease.slot, event.at_ns);
                }
            }
            _ => {}
        }
    }

    /// Finds out by looking what events did not tell.
    fn make_up_for_lost_events(&mut self) {
        let unused = std::iter::from_fn(|| self.probes.pop_free_slot()).collect();
        self.slots.reclaim(&unused);
        self.rescan_cgroups();
        // What is held, but neither by a cgroup that the kernel knows nor by anybody we know, was
        // given and left again unheard of.
        let leased = self.probes.leased_slots();
        for slot in self.slots.held() {
            if !leased.contains(&slot) && self.directory.lease_of_slot(slot).is_none() {
                self.slots.rest(slot, now_ns());
            }
        }
    }

    /// Finds cgroups that no event told of, and those that are gone without one.
    pub(super) fn rescan_cgroups(&mut self) {
        let found = self.hierarchy.scan();
        let present: BTreeSet<u64> = found.iter().map(|cgroup| cgroup.id).collect();
        for cgroup in found {
            if self
                .directory
                .lease_of(&Origin::Cgroup(cgroup.id))
                .is_none()
            {
                self.lease_to_cgroup(cgroup.id, &cgroup.path);
            }
        }
        let gone: Vec<(u64, u32)> = self
            .directory
            .entries()
            .filter_map(|entry| match entry.origin {
                Origin::Cgroup(id) if !present.contains(&id) => Some((id, entry.agent.id.slot)),
                _ => None,
            })
            .collect();
        for (cgroup_id, slot) in gone {
            self.probes.forget_cgroup(cgroup_id);
            self.slots.rest(slot, now_ns());
        }
    }

    fn lease_to_cgroup(&mut self, cgroup_id: u64, path: &str) {
        if let Some(lease) = self.probes.lease_of_cgroup(cgroup_id) {
            // The kernel side was first, and its event was lost or is still to come.
            self.slots.given(lease.slot);
            self.enter_cgroup(lease, path, cgroup_id);
            return;
        }
        let Some(lease) = self.new_lease() else {
            self.count_without_slot(path);
            return;
        };
        match self.probes.lease_to_cgroup(cgroup_id, lease) {
            Ok(true) => self.enter_cgroup(lease, path, cgroup_id),
            Ok(false) => self.slots.free(lease.slot),
            Err(error) => {
                tracing::debug!(cgroup_id, %error, "a cgroup's slot could not be stored");
                self.agents_without_slot += 1;
                self.slots.free(lease.slot);
            }
        }
    }
}
