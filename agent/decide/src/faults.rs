//! Page faults of an agent's threads, in a window.

use crate::signal::FaultSignal;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
