//! Time that interrupts took from the threads of a CPU.

use crate::shared::SharedU64;

/// What one CPU spent in interrupts, one element of the map `INTERRUPTS`. Only that CPU writes to
/// it, but for `at_wake_ns`.
#[repr(C, align(64))]
#[derive(Default)]
pub struct InterruptRecord {
    /// Time in handlers of interrupts and of what they leave for later (softirqs), those within
    /// others not counted twice, in ns.
    pub total_ns: SharedU64,
    /// When the outermost handler began that runs now.
    pub entered_ns: SharedU64,
    /// How many run now, one within the other.
    pub depth: SharedU64,
    /// `total_ns`, and what was passing, when a thread was last woken for this CPU.
    pub at_wake_ns: SharedU64,
    /// The slot, plus one, of the thread that last asked for what the network leaves for later; 0 if it
    /// was an interrupt.
    pub network_asked_by: SharedU64,
    /// The same while that runs; 0 while it does not.
    pub network_runs_for: SharedU64,
    /// Keeps the size at one cache line.
    pub reserved: [u64; 2],
}

const _: () = assert!(size_of::<InterruptRecord>() == 64);
