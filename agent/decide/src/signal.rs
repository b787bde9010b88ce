//! Signals: cumulative readings at an instant, as `observe` hands them over.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::{
    ledger::{self, STATES},
    pair::PairKey,
    peer::PeerKey,
    slot::SlotLease,
    wait_event::WaitEvent,
    wake::WakeKey,
};

use crate::{
    durations::BucketReadings, faults::FaultLatencySignal, host::HostSignal, identity::Kind,
    node_memory::NodeMemory, peers::PeerSignal, placement::Placement, polled::PolledSignal,
    wakes::WakeSignal,
};

/// The name that is shown in place of that of an agent that is gone.
pub const DEPARTED: &str = "[departed]";

/// An agent, or one of the two accounts that belong to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its slot and generation, which are never given to two agents.
    pub id: SlotLease,
    /// The name to show: that of a cgroup, a program with its session, or what a rule says.
    pub name: Arc<str>,
    /// The agents that share a policy with it: a rule's group, a pod's namespace, a slice.
    pub group: Arc<str>,
    /// What it is to Hostler.
    pub kind: Kind,
    /// What makes it one agent.
    pub source: AgentSource,
    /// Its cgroup's path below the root of its hierarchy, or what else makes it one agent, in words.
    pub place: Arc<str>,
}

/// What makes processes one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AgentSource {
    /// One v2 cgroup that holds them.
    Cgroup,
    /// One program that they run in one session, in the root cgroup.
    Program,
    /// A rule.
    Rule,
    /// All kernel threads.
    Kernel,
    /// What could not be attributed.
    Other,
}

impl AgentSource {
    /// The source in one lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Program => "program",
            Self::Rule => "rule",
            Self::Kernel => "kernel",
            Self::Other => "other",
        }
    }
}

/// Where the time of an agent's threads went up to an instant, see [`hostler_common::ledger`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerSignal {
    /// Time by state, in units of the ledger, modulo 2⁴⁸.
    pub units: [u64; STATES],
    /// Threads in each state at the instant.
    pub threads: [u64; STATES],
}

impl LedgerSignal {
    /// Reads the words of a ledger as of `now_ns` of its clock.
    pub fn new(words: &[u64; STATES], now_ns: u64) -> Self {
        Self {
            units: words.map(|word| ledger::units(word, now_ns)),
            threads: words.map(ledger::threads),
        }
    }

    /// Threads that the agent has.
    pub fn thread_count(&self) -> u64 {
        self.threads[1..].iter().sum()
    }
}

/// Run-queue counters and histograms, cumulative; the units are those of
/// [`hostler_common::run_queue::RunQueue`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQueueSignal {
    /// Switches by which a thread lost the CPU.
    pub involuntary_switches: u64,
    /// Stretches whose length is not known.
    pub unmeasured_stretches: u64,
    /// Waits after a wake-up.
    pub wake_wait: BucketReadings,
    /// Waits after a preemption or a yield.
    pub preempt_wait: BucketReadings,
    /// Stretches on a CPU.
    pub on_cpu: BucketReadings,
}

/// Bytes read from and written to storage, cumulative; see [`hostler_common::block_io`] for what
/// counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockIoSignal {
    /// Bytes whose reading was submitted.
    pub read_bytes: u64,
    /// Bytes that were dirtied, or written directly.
    pub written_bytes: u64,
}

/// Page faults, cumulative; see [`hostler_common::faults`] for what counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSignal {
    /// Faults for which the page was in memory, or was made there.
    pub minor: u64,
    /// Faults that had to wait for storage.
    pub major: u64,
}

/// An agent's cumulative signals, as they stay until it does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentReading {
    /// Whose.
    pub agent: Arc<Agent>,
    /// The words of its ledger: [`LedgerSignal::new`] tells what they mean at an instant.
    pub ledger_words: [u64; STATES],
    /// Waits, stretches and switches.
    pub run_queue: Arc<RunQueueSignal>,
    /// Bytes read and written.
    pub block_io: BlockIoSignal,
    /// Page faults.
    pub faults: FaultSignal,
    /// How long they took; `None` where that is not measured.
    pub fault_latency: Option<Arc<FaultLatencySignal>>,
    /// Processes that the kernel ended because memory ran out.
    pub oom_kills: u64,
    /// Where its threads ran; `None` where that is not counted.
    pub placement: Option<Arc<Placement>>,
    /// Where its memory lay when it was last looked at; `None` if it was not yet.
    pub node_memory: Option<Arc<NodeMemory>>,
    /// The last reading of its cgroup; `None` if there was none yet.
    pub polled: Option<Arc<PolledSignal>>,
}

impl AgentReading {
    /// Of an agent that has done nothing yet.
    pub fn nothing_of(agent: Arc<Agent>) -> Self {
        Self {
            agent,
            ledger_words: [0; STATES],
            run_queue: Arc::default(),
            block_io: BlockIoSignal::default(),
            faults: FaultSignal::default(),
            fault_latency: None,
            oom_kills: 0,
            placement: None,
            node_memory: None,
            polled: None,
        }
    }

    /// Threads that the agent has.
    pub fn thread_count(&self) -> u64 {
        self.ledger_words[1..]
            .iter()
            .map(|&word| ledger::threads(word))
            .sum()
    }
}

/// A CPU's cumulative signals at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuReading {
    /// Its number.
    pub cpu: u32,
    /// Waits after a wake-up that ended here, in ns.
    pub wake_wait_ns: u64,
    /// Waits after a preemption or a yield that ended here, in ns.
    pub preempt_wait_ns: u64,
    /// Stretches here that have ended, in ns.
    pub on_cpu_ns: u64,
    /// Waits, stretches and switches.
    pub run_queue: Arc<RunQueueSignal>,
}

/// Totals of the long waits of a pair, cumulative or in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairSignal {
    /// Long waits.
    pub waits: u64,
    /// Their sum, in ns.
    pub wait_ns: u64,
}

/// What the kernel side could not measure or attribute, cumulative; see
/// [`hostler_common::losses::Losses`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossSignal {
    /// Switches, wake-ups and page faults of threads that had no record.
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
    /// Long waits of pairs that found no room.
    pub pairs_not_counted: u64,
    /// Long waits that were not told of one by one, since their CPU had told of enough.
    pub waits_held_back: u64,
    /// Single long waits that found no room in the ring buffer.
    pub waits_not_sent: u64,
    /// Pairs that made room for others after their waits had been read: nothing is lost by it.
    pub pairs_folded: u64,
    /// Readings of sockets that found no room among the peers.
    pub peers_not_counted: u64,
    /// Sockets that could not be given a record, and what was told of such.
    pub sockets_without_record: u64,
    /// Wake-ups whose edge found no room.
    pub wakes_not_counted: u64,
}

impl LossSignal {
    /// What was lost between `earlier` and this reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.each(earlier, u64::wrapping_sub)
    }

    /// Adds what was lost in another window.
    pub fn add(&mut self, other: &Self) {
        *self = self.each(other, u64::wrapping_add);
    }

    fn each(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            threads_without_record: combine(
                self.threads_without_record,
                other.threads_without_record,
            ),
            records_not_made: combine(self.records_not_made, other.records_not_made),
            negative_durations: combine(self.negative_durations, other.negative_durations),
            agents_without_slot: combine(self.agents_without_slot, other.agents_without_slot),
            events_not_sent: combine(self.events_not_sent, other.events_not_sent),
            provisional_ns: combine(self.provisional_ns, other.provisional_ns),
            pairs_not_counted: combine(self.pairs_not_counted, other.pairs_not_counted),
            waits_held_back: combine(self.waits_held_back, other.waits_held_back),
            waits_not_sent: combine(self.waits_not_sent, other.waits_not_sent),
            pairs_folded: combine(self.pairs_folded, other.pairs_folded),
            peers_not_counted: combine(self.peers_not_counted, other.peers_not_counted),
            sockets_without_record: combine(
                self.sockets_without_record,
                other.sockets_without_record,
            ),
            wakes_not_counted: combine(self.wakes_not_counted, other.wakes_not_counted),
        }
    }
}

/// All signals at one instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// When, in ns of the monotonic clock.
    pub at_ns: u64,
    /// The same instant by the clock of the ledgers, in ns.
    pub ledger_ns: u64,
    /// Each agent's signals, ordered by id. Of who did nothing since the reading before it is the
    /// same one.
    pub agents: Vec<Arc<AgentReading>>,
    /// Each CPU's signals, by number; empty unless asked for.
    pub cpus: Vec<CpuReading>,
    /// Who made whom wait; empty unless asked for.
    pub pairs: BTreeMap<PairKey, PairSignal>,
    /// Who woke whom; empty unless asked for.
    pub wakes: BTreeMap<WakeKey, WakeSignal>,
    /// Who sockets talk to, ordered by key; empty unless asked for.
    pub peers: Vec<(PeerKey, Arc<PeerSignal>)>,
    /// The host as a whole; `None` unless asked for.
    pub host: Option<HostSignal>,
    /// Long waits that ended since the reading before, one by one; empty unless asked for.
    pub waits: Vec<WaitEvent>,
    /// What was lost.
    pub losses: LossSignal,
}
