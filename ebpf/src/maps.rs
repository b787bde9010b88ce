//! The maps that the programs share with each other and with user space.

use aya_ebpf::{
    btf_maps::{Array, HashMap, LpmTrie, PerCpuArray, Queue, RingBuf, Stack},
    macros::btf_map,
};
use hostler_common::{
    agent_record::AgentRecord,
    changes::ProcessChanges,
    clock::ClockDifference,
    fault_latency::FaultLatencies,
    interrupts::InterruptRecord,
    losses::Losses,
    pair::{MAX_PAIRS, PairKey, PairTotals},
    peer::{MAX_NETWORKS, MAX_PEERS, NetworkKey, PeerKey, PeerPool, PeerRecord, SocketRecord},
    placement::PlacementRecord,
    run_queue::CpuRecord,
    slot::{MAX_AGENTS, ProcessLease, RECORDS, SLOTS, SlotLease, SlotState},
    thread_record::ThreadRecord,
    wait_event::{self, ThreadName, WaitBudget, WaitEvent},
    wake::{MAX_WAKES, WakeKey, WakeTotals},
};

use crate::{socket_storage::SocketStorage, task_storage::TaskStorage};

/// `BPF_F_MMAPABLE`: user space reads the elements as memory, without a system call each.
const MMAPABLE: usize = 1 << 10;

/// `BPF_F_NO_PREALLOC`: entries cost memory only while they exist. Only for maps that nobody adds
/// to under a run-queue lock.
const NO_PREALLOC: usize = 1;

/// Some records a slot; see `hostler_common::slot` for the index.
#[btf_map]
pub(crate) static AGENTS: Array<AgentRecord, { RECORDS as usize }, MMAPABLE> = Array::new();

/// Who may count in each slot, by slot.
#[btf_map]
pub(crate) static LEASES: Array<SlotState, { SLOTS as usize }, MMAPABLE> = Array::new();

/// One record a CPU. User space sizes it to the host before loading.
#[btf_map]
pub(crate) static CPUS: Array<CpuRecord, 1, MMAPABLE> = Array::new();

/// How the clock of the scheduler's programs stands to the monotonic clock, one element.
#[btf_map]
pub(crate) static CLOCK: Array<ClockDifference, 1, MMAPABLE> = Array::new();

/// What interrupts took of each CPU. User space sizes it to the host before loading.
#[btf_map]
pub(crate) static INTERRUPTS: Array<InterruptRecord, 1> = Array::new();

/// What was lost, one element.
#[btf_map]
pub(crate) static LOSSES: Array<Losses, 1, MMAPABLE> = Array::new();

/// Whether processes came, went or changed, one element.
#[btf_map]
pub(crate) static CHANGES: Array<ProcessChanges, 1, MMAPABLE> = Array::new();

/// How long faults take, by slot; a single one if nobody asks.
#[btf_map]
pub(crate) static FAULT_LATENCIES: Array<FaultLatencies, { SLOTS as usize }, MMAPABLE> =
    Array::new();

/// On which nodes agents run, by slot; a single one if nobody asks.
#[btf_map]
pub(crate) static PLACEMENTS: Array<PlacementRecord, { SLOTS as usize }, MMAPABLE> = Array::new();

/// The node of each CPU. User space sizes it to the host before loading, and fills it.
#[btf_map]
pub(crate) static CPU_NODES: Array<u32, 1> = Array::new();

/// Who wakes whom; a single entry if nobody asks.
#[btf_map]
pub(crate) static WAKES: HashMap<WakeKey, WakeTotals, { MAX_WAKES as usize }> = HashMap::new();

/// What is known of each thread.
#[btf_map]
pub(crate) static THREADS: TaskStorage<ThreadRecord> = TaskStorage::new();

/// v2 cgroup id → the slot it was given.
#[btf_map]
pub(crate) static CGROUP_SLOTS: HashMap<u64, SlotLease, { SLOTS as usize }> = HashMap::new();

/// Process id → whose it is, as user space has said.
#[btf_map]
pub(crate) static PROCESS_SLOTS: HashMap<u32, ProcessLease, 65536, NO_PREALLOC> = HashMap::new();

/// Who made whom wait.
#[btf_map]
pub(crate) static PAIRS: HashMap<PairKey, PairTotals, { MAX_PAIRS as usize }> = HashMap::new();

/// Slots ready to be given; user space keeps it filled.
#[btf_map]
pub(crate) static FREE_SLOTS: Queue<u32, { MAX_AGENTS as usize }> = Queue::new();

/// Cgroups that came and went: room for some 4,000 between two readings.
#[btf_map]
pub(crate) static EVENTS: RingBuf<hostler_common::event::CgroupEvent, { 1024 * 1024 }> =
    RingBuf::new();

/// Single long waits. User space sizes it to the host before loading.
#[btf_map]
pub(crate) static WAIT_EVENTS: RingBuf<WaitEvent, 4096> = RingBuf::new();

/// What each CPU has sent to `WAIT_EVENTS` lately.
#[btf_map]
pub(crate) static WAIT_BUDGETS: PerCpuArray<WaitBudget, 1> = PerCpuArray::new();

/// Names of threads that took a CPU from another, if single waits are asked for.
#[btf_map]
pub(crate) static THREAD_NAMES: Array<ThreadName, { wait_event::THREAD_NAMES as usize }> =
    Array::new();

/// What is known of each TCP socket.
#[btf_map]
pub(crate) static SOCKETS: SocketStorage<SocketRecord> = SocketStorage::new();

/// What was counted of agents and who they talk to; a single one if nobody asks.
#[btf_map]
pub(crate) static PEERS: Array<PeerRecord, { MAX_PEERS as usize }, MMAPABLE> = Array::new();

/// How many of `PEERS` have ever been used, one element.
#[btf_map]
pub(crate) static PEER_POOL: Array<PeerPool, 1, MMAPABLE> = Array::new();

/// Indices of those that were used and are free again.
#[btf_map]
pub(crate) static FREE_PEERS: Stack<u32, { MAX_PEERS as usize }> = Stack::new();

/// Which of `PEERS` is whose.
#[btf_map]
pub(crate) static PEER_RECORDS: HashMap<PeerKey, u32, { MAX_PEERS as usize }, NO_PREALLOC> =
    HashMap::new();

/// Networks with the peer that they are, as user space has named them.
#[btf_map]
pub(crate) static NETWORKS: LpmTrie<NetworkKey, u16, { MAX_NETWORKS as usize }> = LpmTrie::new();

/// Counts something that was lost.
macro_rules! count_loss {
    ($counter:ident, $value:expr) => {
        if let Some(losses) = $crate::maps::LOSSES.get(0) {
            $crate::counter::add(&losses.$counter, $value);
        }
    };
    ($counter:ident) => {
        $crate::maps::count_loss!($counter, 1)
    };
}

pub(crate) use count_loss;
