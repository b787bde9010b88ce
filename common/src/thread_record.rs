//! What the kernel side remembers of one thread, kept in the kernel's task storage.

use crate::slot::SlotLease;

/// One thread's record, the value of the map `THREADS`.
///
/// All zeroes is a thread of which nothing is known yet: it matches no `css_set`, so its slot is
/// looked up when it is next switched in. Only the CPU that holds the thread's run-queue lock
/// writes to the times; the lease is written there too, and by the task iterator.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadRecord {
    /// Address of the `css_set` for which `lease` was looked up. It changes with every change of
    /// cgroup, whichever way it came about, which no tracepoint can promise.
    pub css_set: u64,
    /// The slot that the thread is charged to.
    pub lease: SlotLease,
    /// Since when the thread waits for a CPU, in ns of the monotonic clock; 0 if it does not wait.
    pub runnable_since_ns: u64,
    /// Since when the thread is on a CPU, in ns of the monotonic clock; 0 if it is not, or if it
    /// was there before the probes.
    pub on_cpu_since_ns: u64,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<ThreadRecord>() == 40);

/// In place of a `css_set`: user space, which can't know the address, has set the lease, and the
/// thread keeps it for as long as it stays where it is when it is next switched in.
pub const ADOPT: u64 = u64::MAX;

/// Bits of [`ThreadRecord::flags`].
pub mod flag {
    /// The thread waits because it was preempted or yielded, not because it was woken.
    pub const PREEMPTED: u32 = 1 << 0;
    /// The slot was given to a process in the root cgroup, not to a cgroup.
    pub const PROCESS: u32 = 1 << 1;
    /// A new process charged to its parent's slot until user space has looked at it.
    pub const PROVISIONAL: u32 = 1 << 2;
}
