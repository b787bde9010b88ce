//! Samples: what an agent, a group or the host did in a stretch of time, in so few numbers that days of
//! them can be kept, and that alerts can be judged of thousands of agents.
//!
//! A [`RunQueueWindow`] holds all that is measured; a [`Sample`] what one asks of the past. Samples add up
//! in two ways: those that follow each other ([`Sample::append`]), and those of several agents at one time
//! ([`Sample::join`]).

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hostler_common::{ledger::state, peer::class, slot::SlotLease};

use serde::{Deserialize, Serialize};

use crate::{
    durations::Durations,
    peers::PeerWindow,
    pressure::Pressure,
    signal::Agent,
    window::{RunQueueWindow, Window},
};

/// Groups that are kept apart; what is in further ones is in [`OTHER_GROUPS`].
pub const MOST_GROUPS: usize = 512;

/// The group of those that found no place among the groups.
pub const OTHER_GROUPS: &str = "[other groups]";

/// What a sample is of.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The host as a whole.
    Host,
    /// A group.
    Group,
    /// An agent.
    #[default]
    Agent,
}

impl Scope {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Group => "group",
            Self::Agent => "agent",
        }
    }
}

/// What happened in a stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Plain numbers.
    pub numbers: Numbers,
    /// Waits for a CPU that ended.
    pub waits: Durations,
    /// TCP round trips to others than by a loopback address.
    pub round_trips: Durations,
}

/// How many [`Numbers`] there are.
pub const NUMBERS: usize = 20;

/// The plain numbers of a sample. Times are those of all threads, added up, in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// How long it was, in µs.
    pub length_us: u64,
    /// Most threads at a time.
    pub threads: u64,
    /// Most bytes of memory at a time; 0 where nothing is known.
    pub memory_bytes: u64,
    /// On a CPU.
    pub on_cpu_us: u64,
    /// Waiting for a CPU.
    pub wait_us: u64,
    /// Held back by a CPU quota.
    pub throttled_us: u64,
    /// Blocked, not on block I/O.
    pub blocked_us: u64,
    /// Blocked on block I/O.
    pub blocked_io_us: u64,
    /// Time in which some thread lacked a CPU, as the kernel's pressure has it.
    pub cpu_stall_us: u64,
    /// Time in which some thread lacked memory.
    pub memory_stall_us: u64,
    /// Time in which some thread lacked I/O.
    pub io_stall_us: u64,
    /// Minor page faults.
    pub minor_faults: u64,
    /// Major page faults.
    pub major_faults: u64,
    /// Bytes read from storage.
    pub read_bytes: u64,
    /// Bytes written to storage.
    pub written_bytes: u64,
    /// Bytes sent by TCP to others than by a loopback address, and acknowledged.
    pub sent_bytes: u64,
    /// Bytes received so.
    pub received_bytes: u64,
    /// Segments sent again.
    pub retransmitted: u64,
    /// Switches by which a thread lost the CPU.
    pub preemptions: u64,
    /// Processes ended because memory ran out.
    pub oom_kills: u64,
}

impl Numbers {
    /// All of them in the order in which they are kept. The first three are amounts, the others sums.
    pub fn to_array(self) -> [u64; NUMBERS] {
        [
            self.length_us,
            self.threads,
            self.memory_bytes,
            self.on_cpu_us,
            self.wait_us,
            self.throttled_us,
            self.blocked_us,
            self.blocked_io_us,
            self.cpu_stall_us,
            self.memory_stall_us,
            self.io_stall_us,
            self.minor_faults,
            self.major_faults,
            self.read_bytes,
            self.written_bytes,
            self.sent_bytes,
            self.received_bytes,
            self.retransmitted,
            self.preemptions,
            self.oom_kills,
        ]
    }

    /// The reverse of [`Numbers::to_array`].
    pub fn from_array(numbers: [u64; NUMBERS]) -> Self {
        let [
            length_us,
            threads,
            memory_bytes,
            on_cpu_us,
            wait_us,
            throttled_us,
            blocked_us,
            blocked_io_us,
            cpu_stall_us,
            memory_stall_us,
            io_stall_us,
            minor_faults,
            major_faults,
            read_bytes,
            written_bytes,
            sent_bytes,
            received_bytes,
            retransmitted,
            preemptions,
            oom_kills,
        ] = numbers;
        Self {
            length_us,
            threads,
            memory_bytes,
            on_cpu_us,
            wait_us,
            throttled_us,
            blocked_us,
            blocked_io_us,
            cpu_stall_us,
            memory_stall_us,
            io_stall_us,
            minor_faults,
            major_faults,
            read_bytes,
            written_bytes,
            sent_bytes,
            received_bytes,
            retransmitted,
            preemptions,
            oom_kills,
        }
    }

    /// Adds the sums, and leaves the first three as they are.
    fn add_sums(&mut self, other: &Self) {
        let (mut sums, more) = (self.to_array(), other.to_array());
        for (sum, more) in sums.iter_mut().zip(more).skip(3) {
            *sum = sum.saturating_add(more);
        }
        *self = Self::from_array(sums);
    }
}

impl Sample {
    /// What a window says of an agent.
    pub fn of(window: &RunQueueWindow, length_us: u64) -> Self {
        let spent_us = |state: u32| window.ledger.spent_ns(state) / 1_000;
        let polled = window.polled();
        let mut numbers = Numbers {
            length_us,
            threads: window.ledger.threads,
            memory_bytes: polled
                .memory
                .map_or(0, |(amounts, _)| amounts.current_bytes),
            on_cpu_us: spent_us(state::ON_CPU),
            wait_us: spent_us(state::WAITING_WOKEN) + spent_us(state::WAITING_PREEMPTED),
            throttled_us: spent_us(state::THROTTLED),
            blocked_us: spent_us(state::BLOCKED),
            blocked_io_us: spent_us(state::BLOCKED_IO),
            minor_faults: window.faults.minor,
            major_faults: window.faults.major,
            read_bytes: window.block_io.read_bytes,
            written_bytes: window.block_io.written_bytes,
            preemptions: window.involuntary_switches,
            oom_kills: window.oom_kills,
            ..Numbers::default()
        };
        numbers.set_pressure(polled.pressure);
        Self {
            numbers,
            waits: window.waits(),
            round_trips: Durations::default(),
        }
    }

    /// Adds what its sockets did with one peer.
    fn add_peer(&mut self, window: &PeerWindow) {
        self.round_trips.add(&window.round_trip);
        for (sum, more) in [
            (&mut self.numbers.sent_bytes, window.counts.sent_bytes),
            (
                &mut self.numbers.received_bytes,
                window.counts.received_bytes,
            ),
            (&mut self.numbers.retransmitted, window.counts.retransmitted),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    /// Adds the sample that follows in time.
    pub fn append(&mut self, next: &Self) {
        let (sum, more) = (&mut self.numbers, &next.numbers);
        sum.length_us = sum.length_us.saturating_add(more.length_us);
        sum.threads = sum.threads.max(more.threads);
        sum.memory_bytes = sum.memory_bytes.max(more.memory_bytes);
        self.add_durations(next);
    }

    /// Adds the sample of another agent at the same time.
    pub fn join(&mut self, other: &Self) {
        let (sum, more) = (&mut self.numbers, &other.numbers);
        sum.length_us = sum.length_us.max(more.length_us);
        sum.threads = sum.threads.saturating_add(more.threads);
        sum.memory_bytes = sum.memory_bytes.saturating_add(more.memory_bytes);
        self.add_durations(other);
    }

    fn add_durations(&mut self, other: &Self) {
        self.numbers.add_sums(&other.numbers);
        self.waits.add(&other.waits);
        self.round_trips.add(&other.round_trips);
    }

    /// Whether nothing happened, and nothing is known of memory.
    pub fn is_empty(&self) -> bool {
        self.waits.is_empty()
            && self.round_trips.is_empty()
            && self.numbers.to_array()[2..]
                .iter()
                .all(|&number| number == 0)
    }
}

impl Numbers {
    fn set_pressure(&mut self, pressure: Option<Pressure>) {
        let pressure = pressure.unwrap_or_default();
        self.cpu_stall_us = pressure.cpu.some_us;
        self.memory_stall_us = pressure.memory.some_us;
        self.io_stall_us = pressure.io.some_us;
    }
}

/// Samples of all that there is, for one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    /// How long the window was, in µs.
    pub length_us: u64,
    /// The host.
    pub host: Sample,
    /// Groups.
    pub groups: BTreeMap<Arc<str>, Sample>,
    /// Agents, by lease; also such as did nothing, of which the sample is empty.
    pub agents: BTreeMap<SlotLease, (Arc<Agent>, Sample)>,
}

impl Samples {
    /// Adds the samples of the window that follows. An agent's newest name is kept.
    pub fn append(&mut self, next: &Self) {
        self.length_us = self.length_us.saturating_add(next.length_us);
        self.host.append(&next.host);
        for (group, more) in &next.groups {
            let sum = self.groups.entry(Arc::clone(group)).or_default();
            sum.append(more);
        }
        for (lease, (agent, more)) in &next.agents {
            let sum = self.agents.entry(*lease);
            let (name, sum) = sum.or_insert_with(|| (Arc::clone(agent), Sample::default()));
            *name = Arc::clone(agent);
            sum.append(more);
        }
    }
}

/// Makes samples of windows that follow each other.
#[derive(Debug, Default)]
pub struct Sampler {
    /// Memory of each agent when its cgroup was last read, in bytes, which is done in turn.
    memory_bytes: BTreeMap<SlotLease, u64>,
    groups: BTreeSet<Arc<str>>,
}

impl Sampler {
    /// The samples of a window.
    pub fn sample(&mut self, window: &Window) -> Samples {
        let length_us = window.length_ns() / 1_000;
        let mut agents: BTreeMap<SlotLease, (Arc<Agent>, Sample)> = (window.agents.iter())
            .map(|(lease, (agent, row))| (*lease, (Arc::clone(agent), Sample::of(row, length_us))))
            .collect();
        for (key, peer) in &window.peers {
            if key.peer != class::LOOPBACK
                && let Some((_, sample)) = agents.get_mut(&key.agent)
            {
                sample.add_peer(peer);
            }
        }
        self.fill_memory(&mut agents);
        let whole = || Sample {
            numbers: Numbers {
                length_us,
                ..Numbers::default()
            },
            ..Sample::default()
        };
        // Groups that are gone make room for others.
        let there: BTreeSet<&Arc<str>> = agents.values().map(|(agent, _)| &agent.group).collect();
        self.groups.retain(|group| there.contains(group));
        let (mut host, mut groups) = (whole(), BTreeMap::new());
        for (agent, sample) in agents.values() {
            host.join(sample);
            let group = self.group(&agent.group);
            groups.entry(group).or_insert_with(whole).join(sample);
        }
        // Memory of agents stands for the gaps between readings in sums only.
        for (lease, (_, sample)) in &mut agents {
            let polled = window.agents.get(lease).map(|(_, row)| row.polled());
            if polled.is_none_or(|polled| polled.length_ns == 0) {
                sample.numbers.memory_bytes = 0;
            }
        }
        if let Some(of_host) = &window.host {
            host.numbers.set_pressure(of_host.pressure);
            let pools = &of_host.pools;
            host.numbers.memory_bytes = pools.total_bytes.saturating_sub(pools.available_bytes);
        }
        Samples {
            length_us,
            host,
            groups,
            agents,
        }
    }

    fn fill_memory(&mut self, agents: &mut BTreeMap<SlotLease, (Arc<Agent>, Sample)>) {
        for (lease, (_, sample)) in agents.iter_mut() {
            match sample.numbers.memory_bytes {
                0 => {
                    let last = self.memory_bytes.get(lease).copied();
                    sample.numbers.memory_bytes = last.unwrap_or(0);
                }
                bytes => {
                    self.memory_bytes.insert(*lease, bytes);
                }
            }
        }
        if self.memory_bytes.len() > agents.len() {
            self.memory_bytes
                .retain(|lease, _| agents.contains_key(lease));
        }
    }

    /// The name under which a group is kept.
    fn group(&mut self, name: &Arc<str>) -> Arc<str> {
        if self.groups.contains(name) {
            return Arc::clone(name);
        }
        if self.groups.len() >= MOST_GROUPS {
            return OTHER_GROUPS.into();
        }
        self.groups.insert(Arc::clone(name));
        Arc::clone(name)
    }
}
