//! What is reported, before it is rendered as text, JSON or CSV.

mod doctor;
mod past;
mod plan;
mod status;

use std::collections::BTreeMap;

use hostler_common::slot::SlotLease;
use hostler_decide::block_io::BlockIoWindow;
use hostler_decide::explain::{Evidence, Explanation};
use hostler_decide::faults::{FaultLatencyWindow, FaultWindow};
use hostler_decide::host::HostWindow;
use hostler_decide::identity::Kind;
use hostler_decide::node_memory::NodeBytes;
use hostler_decide::pairs::Who;
use hostler_decide::peers::PeerWindow;
use hostler_decide::placement::Placement;
use hostler_decide::polled::PolledWindow;
use hostler_decide::signal::{Agent, AgentSource, LossSignal};
use hostler_decide::topology::Topology;
use hostler_decide::wakes::WakeSignal;
use hostler_decide::window::{LedgerWindow, RunQueueWindow};

use crate::args::GroupBy;

pub(crate) use doctor::{DoctorReport, EffectRow, MapRow, ProgramRow, SignalRow};
pub(crate) use past::{PastReport, Total, TrendReport};
pub(crate) use plan::PlanReport;
pub(crate) use status::{AlertLine, StatusReport};

/// Waits for a CPU during a window, by agent, group, CPU or NUMA node.
#[derive(Clone, Debug)]
pub(crate) struct RunqReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When the window ended, in ns of the monotonic clock.
    pub(crate) to_ns: u64,
    /// What a row stands for.
    pub(crate) group_by: GroupBy,
    /// The rows, in any order.
    pub(crate) rows: Vec<Row>,
    /// What could not be measured or attributed in the window.
    pub(crate) losses: LossSignal,
}

/// One agent, group, CPU or NUMA node.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// The agent; `None` for groups, CPUs and nodes.
    pub(crate) agent: Option<Agent>,
    /// The agent's or group's name, `cpu 0` or `node 0`.
    pub(crate) name: String,
    /// What happened to it.
    pub(crate) window: RunQueueWindow,
}

/// The rows of a report in the order in which they are shown.
#[derive(Debug)]
pub(crate) struct Ranking<'a> {
    /// The rows to show, those that waited longest first.
    pub(crate) shown: Vec<&'a Row>,
    /// The rows left out, added up; `None` if there are none.
    pub(crate) others: Option<Others>,
}

/// Rows that are not shown one by one.
#[derive(Debug)]
pub(crate) struct Others {
    /// How many they are.
    pub(crate) rows: usize,
    /// What happened to them all.
    pub(crate) window: RunQueueWindow,
}

impl RunqReport {
    /// How long the window was, in ns.
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }

    /// The `top` rows that waited longest in all, and the sum of the others. Rows that waited
    /// equally long are ordered by name.
    pub(crate) fn ranking(&self, top: usize) -> Ranking<'_> {
        let mut shown: Vec<&Row> = self.rows.iter().collect();
        shown.sort_by(|a, b| {
            let longest_first = b.window.wait_ns().cmp(&a.window.wait_ns());
            longest_first.then_with(|| a.name.cmp(&b.name))
        });
        let left_out = shown.split_off(top.min(shown.len()));
        let others = (!left_out.is_empty()).then(|| Others {
            rows: left_out.len(),
            window: sum(left_out),
        });
        Ranking { shown, others }
    }

    /// What happened to all rows together.
    pub(crate) fn total(&self) -> RunQueueWindow {
        sum(&self.rows)
    }
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a Row>) -> RunQueueWindow {
    let mut sum = RunQueueWindow::default();
    for row in rows {
        sum.add(&row.window);
    }
    sum
}

/// One agent as `hostler agents` lists it.
#[derive(Clone, Debug)]
pub(crate) struct AgentLine {
    /// Its name, by which patterns find it.
    pub(crate) name: String,
    /// The agents that share a policy with it.
    pub(crate) group: String,
    /// What it is to Hostler.
    pub(crate) kind: Kind,
    /// What makes it one agent.
    pub(crate) source: AgentSource,
    /// Threads at this instant.
    pub(crate) threads: u64,
    /// Processes at this instant; `None` if they are not known, as in a recording.
    pub(crate) processes: Option<u64>,
    /// Its index in the kernel maps.
    pub(crate) slot: SlotLease,
    /// The cgroup's path below the cgroup root, or in words what else makes it one agent.
    pub(crate) place: String,
}

/// Who made whom wait in a window.
#[derive(Clone, Debug)]
pub(crate) struct PairsReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// The shortest wait that counts, in ns.
    pub(crate) long_wait_ns: u64,
    /// The longest sum first.
    pub(crate) pairs: Vec<Pair>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// Who waited, and who made it wait.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// The waiter's name.
    pub(crate) waiter: String,
    /// Who made it wait.
    pub(crate) cause: Who,
    /// Whether the cause took the CPU from the waiter; else it held the CPU waited for.
    pub(crate) preempted: bool,
    /// Long waits.
    pub(crate) waits: u64,
    /// Their sum, in ns.
    pub(crate) wait_ns: u64,
}

/// One long wait.
#[derive(Clone, Debug)]
pub(crate) struct SingleWait {
    /// When it ended, in ns of the monotonic clock.
    pub(crate) at_ns: u64,
    /// How long it was, in ns.
    pub(crate) wait_ns: u64,
    /// The CPU on which it ended.
    pub(crate) cpu: u32,
    /// The waiter's name.
    pub(crate) waiter: String,
    /// The thread that waited.
    pub(crate) waiter_thread: Thread,
    /// Whether the cause took the CPU from the waiter; else it held the CPU waited for.
    pub(crate) preempted: bool,
    /// Who made it wait.
    pub(crate) cause: Who,
    /// The thread that did, if one did.
    pub(crate) cause_thread: Thread,
}

/// A thread.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    /// Its name; empty if it is not known.
    pub(crate) name: String,
    /// Its id; 0 if it is not known.
    pub(crate) tid: u32,
}

/// Where the time of each agent's threads went in a window.
#[derive(Clone, Debug)]
pub(crate) struct LedgerReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// Who spent most time on or waiting for a CPU comes first.
    pub(crate) rows: Vec<LedgerRow>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// Where the time of one agent's threads went, and what else was counted of it.
#[derive(Clone, Debug)]
pub(crate) struct LedgerRow {
    /// The agent's name.
    pub(crate) name: String,
    /// Where the time went.
    pub(crate) ledger: LedgerWindow,
    /// Bytes read and written; `None` if this kernel does not count them.
    pub(crate) block_io: Option<BlockIoWindow>,
    /// Processes ended because memory ran out; `None` if this kernel does not tell.
    pub(crate) oom_kills: Option<u64>,
}

impl LedgerReport {
    /// How long the window was, in ns.
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

/// Page faults of each agent in a window.
#[derive(Clone, Debug)]
pub(crate) struct FaultsReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// Who had most major faults comes first, then most minor ones.
    pub(crate) rows: Vec<FaultsRow>,
    /// Why it is not measured how long faults take; `None` if it is.
    pub(crate) latency_refused: Option<String>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// Page faults of one agent.
#[derive(Clone, Debug)]
pub(crate) struct FaultsRow {
    /// The agent's name.
    pub(crate) name: String,
    /// Its threads at the window's end.
    pub(crate) threads: u64,
    /// Its faults.
    pub(crate) faults: FaultWindow,
    /// How long they took, where that is measured.
    pub(crate) latency: FaultLatencyWindow,
    /// Time blocked on block I/O, in ns: what major faults wait for.
    pub(crate) blocked_io_ns: u64,
    /// Time on CPUs, in ns, in which minor faults take their time.
    pub(crate) on_cpu_ns: u64,
}

impl FaultsReport {
    /// How long the window was, in ns.
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

/// Whom agents talked to by TCP in a window.
#[derive(Clone, Debug)]
pub(crate) struct RttReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// Who spent most time in round trips comes first.
    pub(crate) rows: Vec<RttRow>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// One agent and one of those that it talked to.
#[derive(Clone, Debug)]
pub(crate) struct RttRow {
    /// The agent's name.
    pub(crate) agent: String,
    /// The peer's name.
    pub(crate) peer: String,
    /// What they had to do with each other.
    pub(crate) window: PeerWindow,
}

impl RttReport {
    /// How long the window was, in ns.
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

/// The signals of every kind in a window.
#[derive(Clone, Debug)]
pub(crate) struct AllReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// Who spent most time on or waiting for a CPU comes first.
    pub(crate) rows: Vec<AllRow>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// What one agent did.
#[derive(Clone, Debug)]
pub(crate) struct AllRow {
    /// The agent.
    pub(crate) agent: Agent,
    /// Waits, faults and what else is counted of its threads.
    pub(crate) window: RunQueueWindow,
    /// Whom it talked to; the agent's name is not repeated.
    pub(crate) peers: Vec<RttRow>,
}

impl AllReport {
    /// How long the window was, in ns.
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

/// Time lost for want of CPU, memory and I/O in a window, and pools of memory at its end.
#[derive(Clone, Debug)]
pub(crate) struct PressureReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// The host as a whole.
    pub(crate) host: HostWindow,
    /// Agents that were read twice; who lost most of its time comes first.
    pub(crate) rows: Vec<PressureRow>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// Time that one agent lost.
#[derive(Clone, Debug)]
pub(crate) struct PressureRow {
    /// The agent's name.
    pub(crate) agent: String,
    /// Between its own readings.
    pub(crate) polled: PolledWindow,
}

impl PressureReport {
    /// How long the window was, in ns.
    pub(crate) fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

impl PressureRow {
    /// Parts of its time that it lost for want of anything, added up.
    pub(crate) fn lost_share(&self) -> f64 {
        let lost_us = self.polled.pressure.map_or(0, |pressure| {
            pressure.cpu.some_us + pressure.memory.some_us + pressure.io.some_us
        });
        lost_us as f64 * 1e3 / (self.polled.length_ns.max(1) as f64)
    }
}

/// Who woke whom in a window.
#[derive(Clone, Debug)]
pub(crate) struct WakesReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// Whether the host has several nodes.
    pub(crate) has_nodes: bool,
    /// Most wake-ups first; also of those lately, if there were none.
    pub(crate) rows: Vec<WakesRow>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// Who was woken by whom.
#[derive(Clone, Debug)]
pub(crate) struct WakesRow {
    /// The name of who was woken.
    pub(crate) woken: String,
    /// Who woke it.
    pub(crate) waker: Who,
    /// How often.
    pub(crate) wakes: WakeSignal,
    /// How often a second lately, see [`hostler_decide::wakes::WakeGraph`].
    pub(crate) per_s: f64,
}

/// The shape of a host, and what ran where in a window.
#[derive(Clone, Debug)]
pub(crate) struct TopologyReport {
    /// The host's name.
    pub(crate) host: String,
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// The shape.
    pub(crate) topology: Topology,
    /// How long each CPU was busy, in ns; `None` where it is not known.
    pub(crate) on_cpu_ns: Option<BTreeMap<u32, u64>>,
    /// Agents that ran, or of which it is known where their memory lies; who ran most comes first.
    pub(crate) agents: Vec<NodeAgent>,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}

/// Where one agent ran.
#[derive(Clone, Debug)]
pub(crate) struct NodeAgent {
    /// Its name.
    pub(crate) name: String,
    /// Where it ran.
    pub(crate) placement: Placement,
    /// Where its memory lay when it was last looked at, if it was.
    pub(crate) memory: Option<NodeBytes>,
}

/// What a recording holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordingReport {
    /// Readings.
    pub(crate) readings: u64,
    /// From the first to the last, in ns.
    pub(crate) length_ns: u64,
    /// Agents in the last one.
    pub(crate) agents: usize,
    /// The file's length, in bytes.
    pub(crate) bytes: u64,
}

/// What held one agent up in a window.
#[derive(Clone, Debug)]
pub(crate) struct ExplainReport {
    /// When the window began, in ns of the monotonic clock.
    pub(crate) from_ns: u64,
    /// When it ended.
    pub(crate) to_ns: u64,
    /// The agent, as it was when the window began.
    pub(crate) agent: AgentLine,
    /// What was seen of it.
    pub(crate) evidence: Evidence,
    /// Whom it talked to by TCP, with whom it spent most time in round trips first.
    pub(crate) peers: Vec<RttRow>,
    /// What is concluded from that.
    pub(crate) explanation: Explanation,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}
