//! Page faults of an agent's threads.
//!
//! They are differences of the kernel's own counts for each thread (`task_struct.min_flt` and
//! `maj_flt`), those that `getrusage` adds up: also what `MAP_POPULATE` and mlock bring in counts,
//! which perf's events of page faults miss.

use crate::shared::SharedU64;

/// Cumulative faults of one agent.
#[repr(C)]
#[derive(Default)]
pub struct Faults {
    /// Faults for which the page was in memory, or was made there.
    pub minor: SharedU64,
    /// Faults that had to wait for storage.
    pub major: SharedU64,
}

const _: () = assert!(size_of::<Faults>() == 16);

/// In place of a thread's count: how many there were before is not known, so its next count only
/// sets a beginning.
pub const UNKNOWN_FAULTS: u64 = u64::MAX;
