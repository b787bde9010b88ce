//! What there is around an agent: CPUs that it may use and how idle they are, its quota, and what it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use hostler_act::{CpuList, OwnCgroup};
use hostler_decide::{
    polled::PolledSignal,
    pool::{Load, NodeRoom, Room, next_size},
    topology::Topology,
};
use hostler_observe::{
    CpuTimes, ObserveError, Quotas, cpu_times, free_bytes_of_node, poll_cgroup, topology,
};

use super::LaunchError;

/// How long it is looked at first how idle CPUs are: an agent should not wait for longer.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// A reading of all CPUs that is older says nothing of now.
const FRESH: Duration = Duration::from_secs(11);

/// The host around an agent.
pub(super) struct Surroundings {
    root: PathBuf,
    cgroup: PathBuf,
    topology: Topology,
    /// CPUs on which it may run.
    cpus: BTreeSet<u32>,
    times: BTreeMap<u32, CpuTimes>,
    /// The part of the time in which each CPU was idle lately.
    idle: BTreeMap<u32, f64>,
    looked: Instant,
    seen: Option<Seen>,
}

impl Surroundings {
    /// Looks at the host for a moment.
    pub(super) fn look(root: PathBuf, cgroup: &OwnCgroup) -> Result<Self, LaunchError> {
        let mut surroundings = Self {
            cgroup: cgroup.folder().to_owned(),
            topology: topology(),
            cpus: cgroup.cpus()?.iter().collect(),
            times: cpu_times()?,
            idle: BTreeMap::new(),
            looked: Instant::now(),
            seen: None,
            root,
        };
        thread::sleep(FIRST_LOOK);
        surroundings.look_at_cpus()?;
        surroundings.seen = Seen::of(&surroundings.root, cgroup.folder());
        Ok(surroundings)
    }

    fn look_at_cpus(&mut self) -> Result<(), ObserveError> {
        let now = cpu_times()?;
        let before = std::mem::replace(&mut self.times, now);
        let idle = self.times.iter().filter_map(|(cpu, now)| {
            let before = before.get(cpu)?;
            Some((*cpu, now.idle_since(before)))
        });
        self.idle = idle.collect();
        self.looked = Instant::now();
        Ok(())
    }

    /// From now on CPUs of this node count alone.
    pub(super) fn keep_to(&mut self, node: Option<u32>) {
        if let Some(node) = node {
            self.cpus = self.cpus_of(node).iter().collect();
        }
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = u32> {
        self.topology.nodes.keys().copied()
    }

    pub(super) fn has_node(&self, node: u32) -> bool {
        self.topology.nodes.contains_key(&node)
    }

    pub(super) fn has_several_nodes(&self) -> bool {
        self.topology.has_several_nodes()
    }

    /// The CPUs of a node on which it may run.
    pub(super) fn cpus_of(&self, node: u32) -> CpuList {
        let cpus = self.topology.cpus_of_node(node).map(|(cpu, _)| cpu);
        cpus.filter(|cpu| self.cpus.contains(cpu)).collect()
    }

    /// Nodes on which it may run.
    pub(super) fn node_rooms(&self) -> Vec<NodeRoom> {
        let rooms = self.nodes().map(|node| NodeRoom {
            node,
            idle: self.idle_of(self.cpus_of(node).iter()),
            free_bytes: free_bytes_of_node(node),
        });
        rooms
            .filter(|room| !self.cpus_of(room.node).is_empty())
            .collect()
    }

    fn idle_of(&self, cpus: impl Iterator<Item = u32>) -> f64 {
        cpus.filter_map(|cpu| self.idle.get(&cpu)).sum()
    }

    pub(super) fn room(&self) -> Room {
        self.room_with(self.idle_of(self.cpus.iter().copied()))
    }

    fn room_with(&self, idle: f64) -> Room {
        Room {
            cpus: u32::try_from(self.cpus.len()).unwrap_or(u32::MAX),
            quota: self.seen.as_ref().and_then(|seen| seen.quotas.cpus()),
            idle,
        }
    }

    /// What size its pools had better have now; `None` while that can't be told.
    pub(super) fn next_size(&mut self, size: u32) -> Option<u32> {
        let now = Seen::of(&self.root, &self.cgroup)?;
        let before = self.seen.replace(now)?;
        let load = self.seen.as_ref()?.load_since(&before);
        // All CPUs of a large host are much to read, and most of the time there is nothing to change,
        // however idle they are.
        let with = |idle| next_size(size, &load, &self.room_with(idle));
        if with(0.0) == size && with(f64::INFINITY) == size {
            return Some(size);
        }
        let is_fresh = self.looked.elapsed() < FRESH;
        self.look_at_cpus().ok()?;
        // How idle they were long ago says nothing: it is known the next time.
        is_fresh.then(|| next_size(size, &load, &self.room()))
    }
}

/// What was read of its cgroup, and when.
struct Seen {
    at: Instant,
    polled: PolledSignal,
    quotas: Quotas,
}

impl Seen {
    fn of(root: &Path, cgroup: &Path) -> Option<Self> {
        Some(Self {
            at: Instant::now(),
            polled: poll_cgroup(cgroup)?,
            quotas: Quotas::of(root, cgroup),
        })
    }

    fn load_since(&self, before: &Self) -> Load {
        let passed_us = self.at.duration_since(before.at).as_secs_f64() * 1e6;
        let part = |us: u64| us as f64 / passed_us;
        let (now, then) = (&self.polled, &before.polled);
        let pressure = now.pressure.zip(then.pressure);
        let starved_us = pressure.map_or(0, |(now, then)| (now - then).cpu.some_us);
        Load {
            used: part(now.cpu.usage_us.saturating_sub(then.cpu.usage_us)),
            starved: part(starved_us).min(1.0),
            throttled: self.quotas.used_up_since(&before.quotas),
        }
    }
}
