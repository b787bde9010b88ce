//! How long an agent's page faults take.

use crate::histogram::Histogram;

/// One agent's faults by length, cumulative; one element of the map `FAULT_LATENCIES`, by slot.
///
/// Apart from the agents' records, since few kernels and few questions ask for it, and with 2 KiB
/// an agent it would be half as much again.
#[repr(C, align(64))]
pub struct FaultLatencies {
    /// Faults for which the page was in memory, or was made there.
    pub minor: Histogram,
    /// Faults that had to wait for storage, from their beginning to the end of their last attempt.
    pub major: Histogram,
}

const _: () = assert!(size_of::<FaultLatencies>() == 2 * 1024);
