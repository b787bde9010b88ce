//! Who wakes whom.

use crate::{shared::SharedU64, slot::SlotLease};

/// Edges of the graph that the map `WAKES` has room for.
pub const MAX_WAKES: u32 = 16_384;

/// Who was woken, and by whom; the key of the map `WAKES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WakeKey {
    /// Who was woken.
    pub woken: SlotLease,
    /// The slot of who woke it, or [`crate::pair::INTERRUPTS`].
    pub waker: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// Totals of an edge, cumulative; the value of the map `WAKES`.
#[repr(C)]
#[derive(Default)]
pub struct WakeTotals {
    /// Wake-ups.
    pub wakes: SharedU64,
    /// Of these, by a CPU of another node than the one where the woken thread ran last.
    pub node_wakes: SharedU64,
}

impl WakeTotals {
    /// Totals that start with one wake-up.
    pub const fn first(is_other_node: bool) -> Self {
        Self {
            wakes: SharedU64::new(1),
            node_wakes: SharedU64::new(is_other_node as u64),
        }
    }
}

const _: () = assert!(size_of::<WakeKey>() == 16 && size_of::<WakeTotals>() == 16);
