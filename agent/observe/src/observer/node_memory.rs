//! Looks in turn where agents' memory lies, for a small part of each tick: of each process the kernel
//! walks the page tables.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use hostler_common::slot::{FIRST_AGENT, SlotLease};
use hostler_decide::{
    node_memory::{NodeBytes, NodeMemory},
    signal::Agent,
};

use super::Observer;
use crate::{ObserveError, clock::now_ns, numa_maps::NumaMaps};

/// How long to look at a tick. Some mappings, which are read at a time, may take longer if they are large.
const BUDGET: Duration = Duration::from_millis(3);

/// How long to look at the start, so that a short look at the host finds something.
const FIRST_BUDGET: Duration = Duration::from_millis(200);

/// The shortest time between two looks at one agent, in ns: memory moves slowly.
const CYCLE_NS: u64 = 30_000_000_000;

/// Processes with more than this are not looked at, nor is anything told of their agents: the walk of one
/// mapping can't be interrupted, and would hold up whoever changes it.
const MAX_RESIDENT_BYTES: u64 = 8 << 30;

/// Whose turn it is.
#[derive(Default)]
pub(super) struct NodeMemories {
    began_ns: u64,
    /// Agents that wait for their turn, each with its processes.
    queue: VecDeque<(SlotLease, Vec<u32>)>,
    /// The one whose turn it is.
    now: Option<Looking>,
}

/// One agent, as far as one has got.
struct Looking {
    agent: SlotLease,
    processes: Vec<u32>,
    maps: Option<NumaMaps>,
    bytes: NodeBytes,
    /// Whether a process was left out: then it is not known where the agent's memory lies.
    is_partial: bool,
}

impl Observer {
    /// Begins: as many agents as there is time for are looked at, so that a short look at the host
    /// finds something.
    pub(super) fn start_node_memory(&mut self) -> Result<(), ObserveError> {
        self.look_at_node_memory(FIRST_BUDGET, now_ns())
    }

    /// Has an agent looked at before all others, whose memory has just been moved; these are its processes.
    pub fn look_again_at_memory(&mut self, agent: &Agent, processes: Vec<u32>) {
        // Since then another may have got its slot.
        let entry = self.directory.entry_mut(agent.id);
        if entry.is_some_and(|entry| *entry.agent == *agent) {
            self.node_memories.queue.push_front((agent.id, processes));
        }
    }

    /// Goes on looking.
    pub(super) fn follow_node_memory(&mut self, now_ns: u64) -> Result<(), ObserveError> {
        self.look_at_node_memory(BUDGET, now_ns)
    }

    fn look_at_node_memory(&mut self, budget: Duration, now_ns: u64) -> Result<(), ObserveError> {
        // On one node there is nothing to find.
        if !self.options.placement || !self.has_several_nodes {
            return Ok(());
        }
        let began = Instant::now();
        let may_go_on = || began.elapsed() < budget;
        self.list_processes(now_ns)?;
        while may_go_on() {
            let memories = &mut self.node_memories;
            let next = || {
                let (agent, processes) = memories.queue.pop_front()?;
                Some(Looking {
                    agent,
                    processes,
                    maps: None,
                    bytes: NodeBytes::default(),
                    is_partial: false,
                })
            };
            let Some(mut looking) = memories.now.take().or_else(next) else {
                break;
            };
            if !looking.is_done(may_go_on) {
                self.node_memories.now = Some(looking);
                break;
            }
            let memory = (!looking.is_partial).then(|| {
                Arc::new(NodeMemory {
                    at_ns: now_ns,
                    bytes: looking.bytes,
                })
            });
            if let Some(entry) = self.directory.entry_mut(looking.agent) {
                entry.is_changed |= memory.is_some() || entry.node_memory.is_some();
                entry.node_memory = memory;
            }
        }
        Ok(())
    }

    /// Begins a new round when the last one is over and some time has passed.
    fn list_processes(&mut self, now_ns: u64) -> Result<(), ObserveError> {
        let memories = &self.node_memories;
        let is_under_way = memories.now.is_some() || !memories.queue.is_empty();
        let is_too_soon = now_ns.saturating_sub(memories.began_ns) < CYCLE_NS;
        if is_under_way || (memories.began_ns > 0 && is_too_soon) {
            return Ok(());
        }
        self.node_memories.began_ns = now_ns;
        let rows = self.snapshot.threads()?;
        let entries = self.directory.entries().filter(|entry| {
            entry.agent.id.slot >= FIRST_AGENT && (self.options.select)(&entry.agent.name)
        });
        let mut agents: BTreeMap<SlotLease, BTreeSet<u32>> = entries
            .map(|entry| (entry.agent.id, BTreeSet::new()))
            .collect();
        for row in &rows {
            if let Some(processes) = agents.get_mut(&self.lease_of(row)) {
                processes.insert(row.tgid);
            }
        }
        agents.retain(|_, processes| !processes.is_empty());
        self.node_memories.queue = agents
            .into_iter()
            .map(|(agent, processes)| (agent, processes.into_iter().collect()))
            .collect();
        Ok(())
    }
}

impl Looking {
    /// Goes on with its processes while it may; whether all of them were looked at.
    fn is_done(&mut self, may_go_on: impl Fn() -> bool) -> bool {
        loop {
            if self.maps.is_none() {
                if !may_go_on() {
                    return false;
                }
                let Some(process) = self.processes.pop() else {
                    return true;
                };
                // Who is gone adds nothing.
                if is_small(process) {
                    self.maps = NumaMaps::open(process);
                } else {
                    self.is_partial = true;
                }
                continue;
            }
            let maps = self.maps.as_mut().expect("it was looked for");
            let Some(bytes) = maps.read(&may_go_on) else {
                return false;
            };
            self.bytes.add(&bytes);
            self.maps = None;
        }
    }
}

fn is_small(process: u32) -> bool {
    let statm = fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let resident = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    let pages: u64 = resident.unwrap_or(0);
    let is_small = pages.saturating_mul(4096) <= MAX_RESIDENT_BYTES;
    if !is_small {
        tracing::debug!(process, "too large to look where its memory lies");
    }
    is_small
}
