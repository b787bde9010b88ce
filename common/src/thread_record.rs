//! What the kernel side remembers of one thread, kept in the kernel's task storage.

use crate::{
    pair::NOBODY,
    shared::SharedU32,
    slot::{SLOTS, SlotLease},
};

/// One thread's record, the value of the map `THREADS`.
///
/// All zeroes is a thread of which nothing is known yet: it matches no `css_set`, so its slot is
/// looked up at its next change of state. Only the CPU that holds the thread's run-queue lock
/// changes a state that is known; the first one may also be set by the task iterator, so it is
/// exchanged atomically.
#[repr(C)]
#[derive(Default)]
pub struct ThreadRecord {
    /// Address of the `css_set` for which `lease` was looked up. It changes with every change of
    /// cgroup, whichever way it came about, which no tracepoint can promise. 0 asks for a look-up.
    pub css_set: u64,
    /// The slot that the thread is charged to.
    pub lease: SlotLease,
    /// Since when the thread is in its state, in ns of the programs' clock, see [`crate::clock`].
    pub since_ns: u64,
    /// One of [`crate::ledger::state`].
    pub state: SharedU32,
    /// Bits of [`flag`].
    pub flags: u16,
    /// The slot of whoever took the CPU when the thread lost it, if it waits for that reason: see
    /// [`ThreadRecord::preemptor_slot`].
    pub preemptor: u16,
    /// The thread id of whoever that was, if single waits are asked for.
    pub preemptor_tid: u32,
    /// For how long its run queue had been throttled when it began to wait, see
    /// `ebpf/src/throttle.rs`.
    pub throttled_stamp: u32,
    /// The sum of the four counts that follow. They only grow, so where the sum is still the same,
    /// they are, and their cache line is left alone.
    pub counts_sum: u64,
    /// The kernel's count of the bytes that the thread has read, as of its last switch-out.
    pub read_bytes: u64,
    /// Likewise of those that it has written.
    pub written_bytes: u64,
    /// The kernel's count of the thread's minor faults, as of its last switch-out.
    pub minor_faults: u64,
    /// Likewise of its major ones.
    pub major_faults: u64,
    /// When the fault began that the thread is in, in ns of the monotonic clock; 0 if it is in none.
    pub fault_began_ns: u64,
    /// The address that the fault is about: one that is tried again is still the same fault.
    pub fault_address: u64,
}

// With its head of 72 bytes it fits a slab of 192, which has room for 24 more. The first 56 bytes
// share a cache line.
const _: () = assert!(size_of::<ThreadRecord>() == 96);
const _: () = assert!(core::mem::offset_of!(ThreadRecord, read_bytes) <= 56);

impl ThreadRecord {
    /// The preemptor's slot, or [`NOBODY`].
    #[inline(always)]
    pub const fn preemptor_slot(&self) -> u32 {
        if self.preemptor == u16::MAX {
            NOBODY
        } else {
            self.preemptor as u32
        }
    }

    /// Notes the preemptor's slot, or [`NOBODY`].
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "every slot is below u16::MAX"
    )]
    pub const fn set_preemptor_slot(&mut self, slot: u32) {
        self.preemptor = slot as u16;
    }
}

const _: () = assert!(SLOTS < u16::MAX as u32 && NOBODY == u32::MAX);

/// Bits of [`ThreadRecord::flags`].
pub mod flag {
    /// The slot was given to a process in the root cgroup, not to a cgroup.
    pub const PROCESS: u16 = 1 << 0;
    /// A new process charged to its parent's slot, or to its cgroup's where rules may say
    /// otherwise, until user space has looked at it.
    pub const PROVISIONAL: u16 = 1 << 1;
    /// The thread was on its CPU before the probes: how long is not known.
    pub const SINCE_UNKNOWN: u16 = 1 << 2;
    /// The slot was given by a rule, and is the thread's in whichever cgroup it is.
    pub const RULE: u16 = 1 << 3;
}
