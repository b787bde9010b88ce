//! Slots: the dense indices by which the kernel side finds an agent's records.
//!
//! Each slot has several records, shards, and a CPU writes to the one that it shares with fewest
//! others: a cache line that two CPUs write to in turn costs more than all else that is done at a
//! switch. Reading adds the shards up. Two slots belong to no agent: [`OTHER`], for whatever could
//! not be attributed, and [`KERNEL`], for kernel threads; every CPU writes to those all the time,
//! so they have more shards than an agent, which rarely runs on many CPUs at once.
//! [`record_index`] maps a slot to its record.

use crate::shared::SharedU32;

/// The slot of what could not be attributed to an agent.
pub const OTHER: u32 = 0;

/// The slot of kernel threads.
pub const KERNEL: u32 = 1;

/// Slots below this one belong to no agent.
pub const COMMON_SLOTS: u32 = 2;

/// Records of a slot that belongs to no agent. A power of two, so that a CPU's number can be
/// masked.
pub const COMMON_SHARDS: u32 = 64;

/// Records of an agent's slot. A power of two; four would take 100 MiB.
pub const AGENT_SHARDS: u32 = 2;

/// The first slot that an agent can have: its records come after those of all CPUs.
pub const FIRST_AGENT: u32 = COMMON_SLOTS * COMMON_SHARDS / AGENT_SHARDS;

/// Slots, those that no agent can have included.
pub const SLOTS: u32 = 8192;

/// Records in the map.
pub const RECORDS: u32 = SLOTS * AGENT_SHARDS;

/// Agents that can be told apart at a time.
pub const MAX_AGENTS: u32 = SLOTS - FIRST_AGENT;

const _: () = assert!(COMMON_SHARDS.is_power_of_two() && AGENT_SHARDS.is_power_of_two());
const _: () = assert!(SLOTS.is_power_of_two() && COMMON_SHARDS > AGENT_SHARDS);

/// How many records a slot has.
#[inline(always)]
pub const fn shards(slot: u32) -> u32 {
    if slot < COMMON_SLOTS {
        COMMON_SHARDS
    } else {
        AGENT_SHARDS
    }
}

/// The index of the record that CPU `cpu` writes to for `slot`. Below [`RECORDS`] for every slot
/// below [`SLOTS`]; the map's own bounds check refuses others.
#[inline(always)]
pub const fn record_index(slot: u32, cpu: u32) -> u32 {
    let shards = shards(slot);
    slot.wrapping_mul(shards).wrapping_add(cpu & (shards - 1))
}

/// Who may count in a slot now, one element of the map `LEASES`. Apart from the records, since it
/// is read at every change of state and hardly ever written to.
#[repr(C)]
#[derive(Default)]
pub struct SlotState {
    /// The generation under which the slot is given now, see [`SlotLease`].
    pub generation: SharedU32,
    /// Set by user space: views per CPU are to count this agent, see
    /// [`crate::run_queue::cpu_view`].
    pub selected: SharedU32,
}

const _: () = assert!(size_of::<SlotState>() == 8);

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
    fn no_two_slots_share_a_record() {
        let mut used = [false; RECORDS as usize];
        for slot in (0..COMMON_SLOTS).chain(FIRST_AGENT..SLOTS) {
            for shard in 0..shards(slot) {
                let index = record_index(slot, shard) as usize;
                assert!(
                    !used[index],
                    "slot {slot} and another one use record {index}"
                );
                used[index] = true;
            }
        }
        assert!(used.iter().all(|used| *used), "no record is left out");
    }

    #[test]
    fn every_cpu_has_a_record_in_every_slot() {
        for cpu in [0, 1, 63, 64, 4095] {
            assert_eq!(record_index(KERNEL, cpu) / COMMON_SHARDS, KERNEL);
            assert_eq!(record_index(SLOTS - 1, cpu) / AGENT_SHARDS, SLOTS - 1);
        }
    }
}
