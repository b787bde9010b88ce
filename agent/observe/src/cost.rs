//! What Hostler costs the kernel: memory by map, time by program.

use std::os::fd::OwnedFd;

use aya::{
    programs::Program,
    sys::{Stats, enable_stats},
};
use libbpf_rs::MapFdInfo;

use crate::{
    ObserveError,
    observer::Observer,
    probes::{faults::FUNCTION, sockets::ITERATORS},
};

/// Kernel memory of one thread's record, in bytes: the storage element (168, of a slab of 192) and
/// the thread's storage itself (168, of a slab of 192), as laid out in `bpf_local_storage.h`. The
/// kernel does not count them to the map.
const BYTES_PER_THREAD: u64 = 192 + 192;

/// Kernel memory of one socket's record, in bytes: the storage element (120, of a slab of 128) and
/// the socket's storage itself.
const BYTES_PER_SOCKET: u64 = 128 + 192;

/// Kernel memory of one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapCost {
    /// The map's name.
    pub name: String,
    /// What kind of map it is.
    pub kind: String,
    /// How many elements it can hold, or holds if it has no limit.
    pub entries: u64,
    /// Bytes of kernel memory; `None` if the kernel does not say.
    pub bytes: Option<u64>,
}

/// What one program did while it was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// The program's name.
    pub name: String,
    /// What it is attached to.
    pub hook: String,
    /// How often it ran.
    pub runs: u64,
    /// Time that it took in all, in ns, the statistics' own two clock reads a run included.
    pub run_time_ns: u64,
    /// Instructions that the verifier went through.
    pub verified_instructions: Option<u32>,
    /// Kernel memory of the program in bytes: whole pages with its instructions, and the machine
    /// code that was made of them.
    pub bytes: u64,
}

/// Keeps the kernel's run-time statistics of programs on for as long as it lives. They cost some
/// tens of nanoseconds a run, so they are not on otherwise.
#[must_use = "the statistics are off again when this is dropped"]
pub struct RunTimeStatistics {
    _descriptor: OwnedFd,
}

impl RunTimeStatistics {
    /// Turns the statistics on. They count from there on.
    pub fn enable() -> Result<Self, ObserveError> {
        enable_stats(Stats::RunTime)
            .map(|descriptor| Self {
                _descriptor: descriptor,
            })
            .map_err(|error| ObserveError::refused("run-time statistics", error))
    }
}

impl Observer {
    /// Kernel memory of every map; `threads` is how many threads have a record.
    pub fn map_costs(&self, threads: u64) -> Vec<MapCost> {
        self.probes()
            .maps()
            .into_iter()
            .map(|(name, descriptor)| {
                let info = MapFdInfo::from_fd(descriptor).ok();
                let of_map = info.as_ref().and_then(|info| info.memlock);
                let room = info.as_ref().map_or(0, |info| u64::from(info.max_entries));
                // The kernel does not count what it keeps with threads and sockets.
                let (entries, bytes_each) = match name.as_str() {
                    "THREADS" => (threads, BYTES_PER_THREAD),
                    "SOCKETS" => (self.open_connections(), BYTES_PER_SOCKET),
                    _ => (room, 0),
                };
                MapCost {
                    kind: kind_of(&name).to_owned(),
                    entries,
                    bytes: of_map.map(|bytes| bytes + entries * bytes_each),
                    name,
                }
            })
            .collect()
    }

    /// What the programs have cost since the statistics were turned on.
    pub fn program_costs(&self) -> Vec<ProgramCost> {
        let mut costs: Vec<ProgramCost> = self
            .probes()
            .programs()
            .filter_map(|(name, program)| {
                let (info, hook) = match program {
                    Program::BtfTracePoint(loaded) => (loaded.info(), format!("tp_btf/{name}")),
                    Program::FEntry(loaded) => (loaded.info(), format!("fentry/{FUNCTION}")),
                    Program::FExit(loaded) => (loaded.info(), format!("fexit/{FUNCTION}")),
                    Program::SockOps(loaded) => (loaded.info(), "sock_ops".to_owned()),
                    Program::Iter(loaded) => {
                        let kind = ITERATORS.iter().find(|(iterator, _)| *iterator == name);
                        let kind = kind.map_or("iter", |(_, kind)| kind);
                        (loaded.info(), format!("iter/{kind}"))
                    }
                    _ => return None,
                };
                // One that is not loaded has none.
                let info = info.ok()?;
                Some(ProgramCost {
                    name: name.to_owned(),
                    hook,
                    runs: info.run_count(),
                    run_time_ns: u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
                    verified_instructions: info.verified_instruction_count(),
                    bytes: info.memory_locked().map(u64::from).unwrap_or_default()
                        + u64::from(info.size_jitted()),
                })
            })
            .collect();
        costs.sort_by(|left, right| left.name.cmp(&right.name));
        costs
    }
}

/// The maps' kinds, as `ebpf/src/maps.rs` defines them.
fn kind_of(name: &str) -> &'static str {
    match name {
        "AGENTS" | "LEASES" | "CHANGES" | "CLOCK" | "CPUS" | "FAULT_LATENCIES" | "LOSSES"
        | "PEERS" | "PEER_POOL" | "PLACEMENTS" => "array, mapped",
        "CPU_NODES" | "THREAD_NAMES" | "INTERRUPTS" => "array",
        "WAIT_BUDGETS" => "array per CPU",
        "THREADS" => "task storage",
        "CGROUP_SLOTS" | "PROCESS_SLOTS" | "PAIRS" | "PEER_RECORDS" | "WAKES" => "hash",
        "NETWORKS" => "prefix tree",
        "SOCKETS" => "socket storage",
        "FREE_SLOTS" => "queue",
        "FREE_PEERS" => "stack",
        "EVENTS" | "WAIT_EVENTS" | "AYA_LOGS" => "ring buffer",
        _ => "read-only data",
    }
}
