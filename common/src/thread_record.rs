//! What the kernel side remembers of one thread, kept in the kernel's task storage.

use crate::{shared::SharedU32, slot::SlotLease};

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
    /// Since when the thread is in its state, in ns of the monotonic clock.
    pub since_ns: u64,
    /// One of [`crate::ledger::state`].
    pub state: SharedU32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// The slot of whoever took the CPU when the thread lost it, if it waits for that reason.
    pub preemptor: u32,
    /// The thread id of whoever that was, if single waits are asked for.
    pub preemptor_tid: u32,
    /// The kernel's count of the bytes that the thread has read, as of its last switch-out.
    pub read_bytes: u64,
    /// Likewise of those that it has written.
    pub written_bytes: u64,
}

const _: () = assert!(size_of::<ThreadRecord>() == 56);

/// Bits of [`ThreadRecord::flags`].
pub mod flag {
    /// The slot was given to a process in the root cgroup, not to a cgroup.
    pub const PROCESS: u32 = 1 << 0;
    /// A new process charged to its parent's slot, or to its cgroup's where rules may say
    /// otherwise, until user space has looked at it.
    pub const PROVISIONAL: u32 = 1 << 1;
    /// The thread was on its CPU before the probes: how long is not known.
    pub const SINCE_UNKNOWN: u32 = 1 << 2;
    /// The slot was given by a rule, and is the thread's in whichever cgroup it is.
    pub const RULE: u32 = 1 << 3;
}
