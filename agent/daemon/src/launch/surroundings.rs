//! What there is around an agent: CPUs that it may use and how idle they are, its quota, and what it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use hostler_act::CpuList;
use hostler_decide::{
    polled::PolledSignal,
    pool::{Load, NodeRoom, Room, next_size},
    topology::Topology,
};
use hostler_observe::{
    CpuTimes, ObserveError, cpu_quota, cpu_times, free_bytes_of_node, own_cpus, poll_cgroup,
    topology,
};

/// How long it is looked at first how idle CPUs are: an agent should not wait for longer.
const FIRST_LOOK: Duration = Duration::from_millis(100);

/// The period of a CPU quota unless somebody wants another, in µs.
const PERIOD_US: f64 = 100_000.0;

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
    polled: Option<(Instant, PolledSignal)>,
}

impl Surroundings {
    /// Looks at the host for a moment.
    pub(super) fn look(root: PathBuf, cgroup: &Path) -> Result<Self, ObserveError> {
        let mut surroundings = Self {
            cgroup: cgroup.to_owned(),
            topology: topology(),
            cpus: own_cpus()?,
            times: cpu_times()?,
            idle: BTreeMap::new(),
            polled: None,
            root,
        };
        thread::sleep(FIRST_LOOK);
        surroundings.look_at_cpus()?;
        surroundings.polled = poll_cgroup(cgroup).map(|polled| (Instant::now(), polled));
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
        Room {
            cpus: u32::try_from(self.cpus.len()).unwrap_or(u32::MAX),
            quota: cpu_quota(&self.root, &self.cgroup),
            idle: self.idle_of(self.cpus.iter().copied()),
        }
    }

    /// What size its pools had better have now; `None` while that can't be told.
    pub(super) fn next_size(&mut self, size: u32) -> Option<u32> {
        self.look_at_cpus().ok()?;
        let now = (Instant::now(), poll_cgroup(&self.cgroup)?);
        let (then, before) = self.polled.replace(now)?;
        let (at, now) = now;
        let passed_us = at.duration_since(then).as_secs_f64() * 1e6;
        let part = |us: u64| us as f64 / passed_us;
        let starved_us = now
            .pressure
            .zip(before.pressure)
            .map_or(0, |(now, before)| (now - before).cpu.some_us);
        let throttled = now
            .cpu
            .throttled_periods
            .saturating_sub(before.cpu.throttled_periods);
        let load = Load {
            used: part(now.cpu.usage_us.saturating_sub(before.cpu.usage_us)),
            starved: part(starved_us).min(1.0),
            throttled: (throttled as f64 * PERIOD_US / passed_us).min(1.0),
        };
        Some(next_size(size, &load, &self.room()))
    }
}
