//! The clock that the kernel programs read.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// The monotonic clock in ns, by which readings are timed.
pub fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|time| u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX))
        .unwrap_or_default()
}
