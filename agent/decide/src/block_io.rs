//! Bytes that an agent's threads read from storage and wrote to it, in a window.

use crate::signal::BlockIoSignal;

/// What was read and written during a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockIoWindow {
    /// Bytes whose reading was submitted.
    pub read_bytes: u64,
    /// Bytes that were dirtied, or written directly.
    pub written_bytes: u64,
}

impl BlockIoWindow {
    /// What came to the counters between two readings.
    #[must_use]
    pub fn between(earlier: &BlockIoSignal, later: &BlockIoSignal) -> Self {
        Self {
            read_bytes: later.read_bytes.wrapping_sub(earlier.read_bytes),
            written_bytes: later.written_bytes.wrapping_sub(earlier.written_bytes),
        }
    }

    /// Adds what was read and written in another window.
    pub fn add(&mut self, other: &Self) {
        self.read_bytes = self.read_bytes.wrapping_add(other.read_bytes);
        self.written_bytes = self.written_bytes.wrapping_add(other.written_bytes);
    }

    /// Whether nothing was read or written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signals() -> impl Strategy<Value = BlockIoSignal> {
        any::<(u64, u64)>().prop_map(|(read_bytes, written_bytes)| BlockIoSignal {
            read_bytes,
            written_bytes,
        })
    }

    proptest! {
        #[test]
        fn a_window_holds_what_was_added_even_if_a_counter_has_wrapped(
            earlier in signals(),
            more in any::<(u64, u64)>(),
        ) {
            let later = BlockIoSignal {
                read_bytes: earlier.read_bytes.wrapping_add(more.0),
                written_bytes: earlier.written_bytes.wrapping_add(more.1),
            };
            let window = BlockIoWindow::between(&earlier, &later);
            prop_assert_eq!((window.read_bytes, window.written_bytes), more);
            prop_assert_eq!(window.is_empty(), earlier == later);
        }

        #[test]
        fn windows_that_follow_each_other_add_up_to_the_window_over_both(
            first in signals(),
            second in signals(),
            third in signals(),
        ) {
            let mut sum = BlockIoWindow::between(&first, &second);
            sum.add(&BlockIoWindow::between(&second, &third));
            prop_assert_eq!(sum, BlockIoWindow::between(&first, &third));
        }
    }
}
