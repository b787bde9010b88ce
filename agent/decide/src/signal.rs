//! Signals: cumulative readings at an instant, as `observe` hands them over.

use std::sync::Arc;

use hostler_common::slot::SlotLease;

use crate::durations::BucketReadings;

/// An agent, or one of the two accounts that belong to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its slot and generation, which are never given to two agents.
    pub id: SlotLease,
    /// The name to show: a cgroup's path, or a program and its session.
    pub name: Arc<str>,
    /// What it is.
    pub kind: AgentKind,
}

/// What an agent is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentKind {
    /// The processes of one v2 cgroup.
    Cgroup,
    /// Processes in the root cgroup that run one program in one session.
    Program,
    /// All kernel threads.
    Kernel,
    /// What could not be attributed.
    Other,
}

impl AgentKind {
    /// The kind in one lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Program => "program",
            Self::Kernel => "kernel",
            Self::Other => "other",
        }
    }
}

/// Run-queue counters and histograms, cumulative; the units are those of
/// [`hostler_common::run_queue::RunQueue`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQueueSignal {
    /// Time spent waiting for a CPU after a wake-up, in ns.
    pub wake_wait_ns: u64,
    /// Time spent waiting for a CPU after a preemption or a yield, in ns.
    pub preempt_wait_ns: u64,
    /// Finished stretches on a CPU, in ns.
    pub on_cpu_ns: u64,
    /// Switches by which a thread gave the CPU up.
    pub voluntary_switches: u64,
    /// Switches by which a thread lost the CPU.
    pub involuntary_switches: u64,
    /// Waits after a wake-up.
    pub wake_wait: BucketReadings,
    /// Waits after a preemption or a yield.
    pub preempt_wait: BucketReadings,
    /// Stretches on a CPU.
    pub on_cpu: BucketReadings,
}

/// What the kernel side could not measure or attribute, cumulative; see
/// [`hostler_common::losses::Losses`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossSignal {
    /// Switches and wake-ups of threads that had no record.
    pub threads_without_record: u64,
    /// Thread records that could not be made.
    pub records_not_made: u64,
    /// Durations left out because the clock had gone backwards between two CPUs.
    pub negative_durations: u64,
    /// Cgroups and programs for which no slot was free.
    pub agents_without_slot: u64,
    /// Events that found no room in the ring buffer.
    pub events_not_sent: u64,
    /// Time on a CPU charged to the parent's slot until a new process was looked at, in ns.
    pub provisional_ns: u64,
}

impl LossSignal {
    /// What was lost between `earlier` and this reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            threads_without_record: self.threads_without_record - earlier.threads_without_record,
            records_not_made: self.records_not_made - earlier.records_not_made,
            negative_durations: self.negative_durations - earlier.negative_durations,
            agents_without_slot: self.agents_without_slot - earlier.agents_without_slot,
            events_not_sent: self.events_not_sent - earlier.events_not_sent,
            provisional_ns: self.provisional_ns - earlier.provisional_ns,
        }
    }

    /// Adds what was lost in another window.
    pub fn add(&mut self, other: &Self) {
        self.threads_without_record += other.threads_without_record;
        self.records_not_made += other.records_not_made;
        self.negative_durations += other.negative_durations;
        self.agents_without_slot += other.agents_without_slot;
        self.events_not_sent += other.events_not_sent;
        self.provisional_ns += other.provisional_ns;
    }
}

/// All signals at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// When, in ns of the monotonic clock.
    pub at_ns: u64,
    /// Each agent with its cumulative signals, ordered by id.
    pub agents: Vec<(Agent, Arc<RunQueueSignal>)>,
    /// Each CPU's number with its cumulative signals, in order; empty unless asked for.
    pub cpus: Vec<(u32, Arc<RunQueueSignal>)>,
    /// What was lost.
    pub losses: LossSignal,
}
