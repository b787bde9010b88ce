//! Who made whom wait: totals of long waits by pair of agents.
//!
//! A wait after a preemption is laid to the *preemptor*, who took the CPU; a wait after a wake-up
//! to the *holder*, who had the CPU when the waiter got it at last. Only waits of at least a
//! threshold count: short ones are nobody's fault and would cost more to count than they tell.

use crate::{shared::SharedU64, slot::SlotLease};

/// In place of a slot: no thread held the CPU. It was idle, on its way out of a power state, or
/// taken away by a hypervisor.
pub const NOBODY: u32 = u32::MAX;

/// Pairs that the map `PAIRS` has room for.
pub const MAX_PAIRS: u32 = 16_384;

/// In place of a slot: interrupts had the CPU for at least half of the wait.
pub const INTERRUPTS: u32 = u32::MAX - 1;

/// The waiter, and who made it wait; the key of the map `PAIRS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairKey {
    /// Who waited.
    pub waiter: SlotLease,
    /// The slot of who made it wait, or [`NOBODY`].
    pub cause: u32,
    /// One of [`relation`].
    pub relation: u32,
}

/// How a cause made the other wait.
pub mod relation {
    /// It took the CPU from the waiter.
    pub const PREEMPTOR: u32 = 1;
    /// It had the CPU that the waiter was waiting for.
    pub const HOLDER: u32 = 2;
}

/// Totals of a pair, cumulative; the value of the map `PAIRS`.
#[repr(C)]
#[derive(Default)]
pub struct PairTotals {
    /// Long waits.
    pub waits: SharedU64,
    /// Their sum, in ns.
    pub wait_ns: SharedU64,
}

impl PairTotals {
    /// Totals that start with something.
    pub const fn new(waits: u64, wait_ns: u64) -> Self {
        Self {
            waits: SharedU64::new(waits),
            wait_ns: SharedU64::new(wait_ns),
        }
    }
}

const _: () = assert!(size_of::<PairKey>() == 16 && size_of::<PairTotals>() == 16);
