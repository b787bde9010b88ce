//! Slots: the dense indices by which the kernel side finds an agent's record.
//!
//! Two slots belong to no agent: [`OTHER`], for whatever could not be attributed, and [`KERNEL`],
//! for kernel threads. Every CPU writes to those two all the time, so each is spread over
//! [`SHARDS`] records by CPU; an agent's slot is one record, since an agent rarely runs on many
//! CPUs at once. [`record_index`] maps a slot to its record.

/// The slot of what could not be attributed to an agent.
pub const OTHER: u32 = 0;

/// The slot of kernel threads.
pub const KERNEL: u32 = 1;

/// Slots below this one are spread over [`SHARDS`] records each.
pub const SHARDED_SLOTS: u32 = 2;

/// Records of a sharded slot. A power of two, so that a CPU's number can be masked.
pub const SHARDS: u32 = 64;

/// The first slot that an agent can have: its number is its record's index.
pub const FIRST_AGENT: u32 = SHARDED_SLOTS * SHARDS;

/// Records in the map: [`FIRST_AGENT`] shards, and one for each agent at a time.
pub const RECORDS: u32 = 8192;

/// Agents that can be told apart at a time.
pub const MAX_AGENTS: u32 = RECORDS - FIRST_AGENT;

const _: () = assert!(SHARDS.is_power_of_two() && RECORDS.is_power_of_two());

/// The index of the record that CPU `cpu` writes to for `slot`. Below [`RECORDS`] for every slot
/// that is; the map's own bounds check refuses others.
#[inline(always)]
pub const fn record_index(slot: u32, cpu: u32) -> u32 {
    if slot < SHARDED_SLOTS {
        slot * SHARDS + (cpu & (SHARDS - 1))
    } else {
        slot
    }
}

/// A slot as given to one agent. A slot is given again, with another generation, some time after
/// its agent is gone; who still holds the older generation must look its slot up again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotLease {
    /// The slot's number.
    pub slot: u32,
    /// How often the slot was given, counted from 1; 0 for the slots that belong to no agent.
    pub generation: u32,
}

/// Length of a tick of `/proc/PID/stat`, in ns: `USER_HZ` is 100 wherever Linux has BPF.
pub const TICK_NS: u64 = 10_000_000;

/// What user space says of one process that it has looked at.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessLease {
    /// The slot that the process's threads are to be charged to, if `claim` names one.
    pub lease: SlotLease,
    /// When the process started, in ticks of [`TICK_NS`] since boot: tells a reused process id
    /// from the process meant.
    pub started_ticks: u64,
    /// One of [`claim`].
    pub claim: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// Why a process belongs to its agent.
pub mod claim {
    /// Its cgroup tells; no slot is named.
    pub const CGROUP: u32 = 0;
    /// It sits in the root cgroup, where no cgroup tells agents apart, and the program that it
    /// runs does. In any other cgroup it is that cgroup's.
    pub const PROGRAM: u32 = 1;
    /// A rule says so, whichever cgroup it is in.
    pub const RULE: u32 = 2;
}

const _: () = assert!(size_of::<SlotLease>() == 8 && size_of::<ProcessLease>() == 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_and_agents_never_share_a_record() {
        for cpu in [0, 1, 63, 64, 4095] {
            assert!(record_index(OTHER, cpu) < SHARDS);
            assert!((SHARDS..FIRST_AGENT).contains(&record_index(KERNEL, cpu)));
            assert_eq!(record_index(FIRST_AGENT, cpu), FIRST_AGENT);
            assert_eq!(record_index(RECORDS - 1, cpu), RECORDS - 1);
        }
    }
}
