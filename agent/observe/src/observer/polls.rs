//! Reads agents' cgroups in turn, busy ones first, and the host as a whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
};

use hostler_common::{ledger, slot::SlotLease};
use hostler_decide::{
    host::HostSignal,
    pressure::{Pressure, Stall},
};

use super::Observer;
use crate::{
    agents::{Entry, Origin, PolledWith},
    alarms::Alarms,
    cgroup_files::{self, Controllers, Known},
    pools,
};

/// In which every agent is read at least once, in ns: with a margin below the 30 s that are promised.
pub(crate) const CYCLE_NS: u64 = 28_000_000_000;

/// Busy agents that are read at each call besides those whose turn it is.
const BUSY_FIRST: usize = 8;

/// So many agents at the most are all read each time.
const FEW: usize = 64;

/// The shortest time between two readings of one agent, in ns: below it, differences tell little.
const SHORTEST_NS: u64 = 500_000_000;

/// Whose turn it is.
#[derive(Default)]
pub(super) struct Polls {
    last: SlotLease,
    polled_ns: u64,
    grouped_ns: u64,
    /// The host's pressure as of this reading.
    host: Option<Pressure>,
    alarms: Option<Alarms>,
    controllers: Controllers,
}

impl Observer {
    /// Begins: every agent is read once, so that its next reading has something to differ from.
    pub(super) fn start_polls(&mut self, now_ns: u64) {
        if !self.options.pressure {
            return;
        }
        match Alarms::new() {
            Ok(alarms) => self.polls.alarms = Some(alarms),
            Err(error) => tracing::warn!(%error, "no alarms of pressure can be set"),
        }
        self.polls.polled_ns = now_ns;
        self.polls.controllers = Controllers::of(self.hierarchy.root());
        self.polls.host = host_pressure();
        let all: Vec<SlotLease> = self.pollable().map(|entry| entry.agent.id).collect();
        self.poll(&all, now_ns);
        self.set_alarms(now_ns);
    }

    /// Whether pressure and memory are read.
    pub fn reads_pressure(&self) -> bool {
        self.options.pressure
    }

    /// A descriptor that can be read when the kernel tells of pressure; the next reading takes that
    /// in. `None` where no alarms are set.
    pub fn alarms(&self) -> Option<OwnedFd> {
        self.polls.alarms.as_ref()?.descriptor().ok()
    }

    /// Alarms that are set, and how many could not be and why.
    pub(crate) fn alarm_counts(&self) -> (usize, Option<&(u64, String)>) {
        let alarms = self.polls.alarms.as_ref();
        alarms.map_or((0, None), |alarms| (alarms.len(), alarms.refused.as_ref()))
    }

    /// Reads those agents whose turn it is.
    pub(super) fn poll_agents(&mut self, now_ns: u64) {
        if !self.options.pressure {
            return;
        }
        let passed_ns = now_ns.saturating_sub(self.polls.polled_ns);
        self.polls.polled_ns = now_ns;
        self.polls.host = host_pressure();
        let turns = self.turns(now_ns, passed_ns);
        self.poll(&turns, now_ns);
        if now_ns.saturating_sub(self.polls.grouped_ns) >= CYCLE_NS {
            self.set_alarms(now_ns);
        }
    }

    /// The host as a whole.
    pub(super) fn read_host(&mut self) -> Option<HostSignal> {
        if !self.options.pressure {
            return None;
        }
        let alarms = self.polls.alarms.as_mut();
        Some(HostSignal {
            pressure: self.polls.host,
            reclaim: pools::reclaim(),
            pools: pools::read(self.hierarchy.root()),
            alarms: alarms.map(Alarms::read).unwrap_or_default(),
        })
    }

    /// Agents with a cgroup, of those that are asked for.
    fn pollable(&self) -> impl Iterator<Item = &Entry> {
        self.directory.entries().filter(|entry| {
            matches!(entry.origin, Origin::Cgroup(_)) && (self.options.select)(&entry.agent.name)
        })
    }

    fn turns(&mut self, now_ns: u64, passed_ns: u64) -> BTreeSet<SlotLease> {
        let entries: Vec<(SlotLease, u64, bool)> = self
            .pollable()
            .map(|entry| (entry.agent.id, entry.polled_ns, entry.is_busy))
            .collect();
        let share = entries.len() as u128 * u128::from(passed_ns);
        let share = usize::try_from(share.div_ceil(u128::from(CYCLE_NS))).unwrap_or(usize::MAX);
        let share = if entries.len() <= FEW { FEW } else { share };
        let start = entries.partition_point(|(id, ..)| *id <= self.polls.last);
        let in_turn = entries[start..].iter().chain(&entries[..start]);
        let mut turns: BTreeSet<SlotLease> = BTreeSet::new();
        for &(id, at_ns, _) in in_turn.take(share) {
            self.polls.last = id;
            if now_ns.saturating_sub(at_ns) >= SHORTEST_NS {
                turns.insert(id);
            }
        }
        // Of the busy ones those first that were read longest ago.
        let mut busy: Vec<(u64, SlotLease)> = entries
            .iter()
            .filter(|&&(id, at_ns, is_busy)| {
                is_busy && !turns.contains(&id) && now_ns.saturating_sub(at_ns) >= SHORTEST_NS
            })
            .map(|&(id, at_ns, _)| (at_ns, id))
            .collect();
        busy.sort_unstable();
        turns.extend(busy.into_iter().take(BUSY_FIRST).map(|(_, id)| id));
        turns
    }

    fn poll<'a>(&mut self, agents: impl IntoIterator<Item = &'a SlotLease>, now_ns: u64) {
        let root = self.hierarchy.root().to_owned();
        let controllers = self.polls.controllers;
        for &id in agents {
            let Some(entry) = self.directory.entry_mut(id) else {
                continue;
            };
            let known = known(entry, self.polls.host);
            // One that is gone keeps what was read last.
            let folder = root.join(&entry.path);
            if let Some(polled) = cgroup_files::poll(&folder, controllers, known, now_ns) {
                entry.polled = Some(Arc::new(polled));
                entry.polled_ns = now_ns;
                entry.polled_with = PolledWith {
                    host: self.polls.host,
                    blocked_io: entry.blocked_io(),
                };
                entry.is_busy = false;
                entry.is_changed = true;
            }
        }
    }

    /// Sets alarms for the host and for the groups with most agents: the cgroups that agents lie in.
    fn set_alarms(&mut self, now_ns: u64) {
        self.polls.grouped_ns = now_ns;
        let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in self.pollable() {
            if let Some((folder, _)) = entry.path.rsplit_once('/') {
                *sizes.entry(folder).or_default() += 1;
            }
        }
        let mut groups: Vec<(usize, &str)> = sizes
            .into_iter()
            .map(|(folder, agents)| (agents, folder))
            .collect();
        groups.sort_unstable_by(|left, right| right.cmp(left));
        let groups: Vec<String> = groups
            .into_iter()
            .map(|(_, folder)| folder.to_owned())
            .collect();
        let root = self.hierarchy.root().to_owned();
        if let Some(alarms) = &mut self.polls.alarms {
            alarms.watch(&root, &groups);
        }
    }
}

/// What can't have come to an agent's pressure since it was read. While nobody on the host is held up
/// for want of memory, no agent is; and for want of I/O, unless threads of the agent's own were
/// blocked on it. The host's sum is a mean over its CPUs, weighted by how busy each was, and may not
/// show a stall of a few ms on one of them: that is read with the next one that it shows.
fn known(entry: &Entry, host: Option<Pressure>) -> Known {
    let Some(before) = entry.polled.as_ref().and_then(|polled| polled.pressure) else {
        return Known::default();
    };
    let with = entry.polled_with;
    let blocked_io = entry.blocked_io();
    let was_blocked = blocked_io != with.blocked_io || ledger::threads(blocked_io) > 0;
    let host = with.host.zip(host);
    let none_held_up = |of: fn(Pressure) -> Stall| host.is_some_and(|(was, is)| of(was) == of(is));
    Known {
        memory: none_held_up(|host| host.memory).then_some(before.memory),
        io: (none_held_up(|host| host.io) || !was_blocked).then_some(before.io),
    }
}

fn host_pressure() -> Option<Pressure> {
    let folder = Path::new("/proc/pressure");
    cgroup_files::pressure(folder, ["cpu", "memory", "io"]).ok()
}
