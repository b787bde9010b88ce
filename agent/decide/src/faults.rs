//! Page faults of an agent's threads, in a window.

use std::sync::Arc;

use crate::{
    durations::{BucketReadings, Durations},
    signal::FaultSignal,
};

/// Faults during a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultWindow {
    /// Faults for which the page was in memory, or was made there.
    pub minor: u64,
    /// Faults that had to wait for storage.
    pub major: u64,
}

impl FaultWindow {
    /// What came to the counters between two readings.
    #[must_use]
    pub fn between(earlier: &FaultSignal, later: &FaultSignal) -> Self {
        Self {
            minor: later.minor.wrapping_sub(earlier.minor),
            major: later.major.wrapping_sub(earlier.major),
        }
    }

    /// Adds the faults of another window.
    pub fn add(&mut self, other: &Self) {
        self.minor = self.minor.wrapping_add(other.minor);
        self.major = self.major.wrapping_add(other.major);
    }

    /// Whether there was none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// How long faults took, cumulative; see [`hostler_common::fault_latency`] for what counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultLatencySignal {
    /// Minor faults.
    pub minor: BucketReadings,
    /// Major faults.
    pub major: BucketReadings,
}

/// How long the faults took that ended in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultLatencyWindow {
    /// Minor faults.
    pub minor: Durations,
    /// Major faults.
    pub major: Durations,
}

impl FaultLatencyWindow {
    /// What came to the histograms between two readings: nothing where they are not measured.
    #[must_use]
    pub fn between(
        earlier: Option<&Arc<FaultLatencySignal>>,
        later: Option<&Arc<FaultLatencySignal>>,
    ) -> Self {
        let Some(now) = later else {
            return Self::default();
        };
        let nothing = Arc::default();
        let before = earlier.unwrap_or(&nothing);
        if Arc::ptr_eq(before, now) {
            return Self::default();
        }
        Self {
            minor: now.minor.since(&before.minor),
            major: now.major.since(&before.major),
        }
    }

    /// Adds the faults of another window.
    pub fn add(&mut self, other: &Self) {
        self.minor.add(&other.minor);
        self.major.add(&other.major);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn latencies_are_those_since_the_earlier_reading_or_all_of_an_agent_that_is_new() {
        let at = |minor, major| {
            let mut signal = FaultLatencySignal::default();
            signal.minor.0[30] = minor;
            signal.major.0[80] = major;
            Arc::new(signal)
        };
        let (before, now) = (at(5, 1), at(9, 1));
        let window = FaultLatencyWindow::between(Some(&before), Some(&now));
        assert_eq!((window.minor.total(), window.major.total()), (4, 0));
        let mut all = FaultLatencyWindow::between(None, Some(&before));
        all.add(&window);
        assert_eq!(all, FaultLatencyWindow::between(None, Some(&now)));
        let nothing = FaultLatencyWindow::default();
        assert_eq!(FaultLatencyWindow::between(None, None), nothing);
    }

    proptest! {
        #[test]
        fn windows_that_follow_each_other_add_up_to_the_one_over_both(
            counts in any::<[(u64, u64); 3]>(),
        ) {
            let [first, second, third] =
                counts.map(|(minor, major)| FaultSignal { minor, major });
            let mut sum = FaultWindow::between(&first, &second);
            sum.add(&FaultWindow::between(&second, &third));
            prop_assert_eq!(sum, FaultWindow::between(&first, &third));
        }
    }
}
