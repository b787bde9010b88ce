//! What the kernel side could not measure or attribute. Nothing is lost without being counted.

use crate::shared::SharedU64;

/// Cumulative counters of what was lost or is uncertain, the only element of the map `LOSSES`.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Losses {
    /// Switches, wake-ups and page faults of threads that had no record.
    pub threads_without_record: SharedU64,
    /// Thread records that could not be made: no memory, or the storage was busy.
    pub records_not_made: SharedU64,
    /// Waits and stretches left out because the clock had gone backwards between two CPUs.
    pub negative_durations: SharedU64,
    /// Cgroups made while no slot was free: their threads are charged to `other`.
    pub cgroups_without_slot: SharedU64,
    /// Events that found no room in the ring buffer; a rescan of the host makes up for them.
    pub events_not_sent: SharedU64,
    /// Time on a CPU charged to the parent's or the cgroup's slot until a new process was looked
    /// at, in ns.
    pub provisional_ns: SharedU64,
    /// Pairs of waiter and cause that found no room in the map of pairs.
    pub pairs_not_counted: SharedU64,
    /// Long waits that no event tells of, since their CPU had sent enough of them.
    pub waits_held_back: SharedU64,
    /// Events of long waits that found no room in their ring buffer.
    pub waits_not_sent: SharedU64,
    /// Readings of sockets that found no room in the map of peers.
    pub peers_not_counted: SharedU64,
    /// Socket records that could not be made: no memory, or the storage was busy.
    pub sockets_without_record: SharedU64,
    /// Wake-ups between agents that found no room in the map of wake-ups.
    pub wakes_not_counted: SharedU64,
    /// Keeps the size at whole cache lines.
    pub reserved: [u64; 4],
}

const _: () = assert!(size_of::<Losses>() == 128);
