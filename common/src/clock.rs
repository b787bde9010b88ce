//! The clock of the scheduler's programs, and how it stands to the monotonic clock.
//!
//! At each wake-up the kernel reads its scheduler clock and keeps the time in the run queue, where
//! a program finds it for the price of a load; a call for the monotonic clock costs more than all
//! else that a program does there. At switches, where the time in the run queue may be old, the
//! call is made, and what the one clock is ahead of the other is added. They run at rates that
//! differ by what NTP steers, so that this is measured again and again.

use crate::shared::SharedU64;

/// How often the difference is measured, in ns.
pub const PERIOD_NS: u64 = 50_000_000;

/// A measured difference falls behind the true one by at most a 2048th of the time since: NTP
/// steers the monotonic clock by no more than 500 parts in a million.
const STEERING_LOG2: u32 = 11;

/// The difference of the two clocks, the only element of the map `CLOCK`. All zeroes where the
/// programs use the monotonic clock itself.
#[repr(C, align(64))]
#[derive(Default)]
pub struct ClockDifference {
    /// What is to be added to the monotonic clock, in ns, wrapping.
    pub ahead_ns: SharedU64,
    /// When it was measured, in ns of the run queues' clock; 0 if never.
    pub measured_at_ns: SharedU64,
    /// Keeps the size at one cache line.
    pub reserved: [u64; 6],
}

const _: () = assert!(size_of::<ClockDifference>() == 64);

/// The difference after another measurement. The time in a run queue is a little old when the
/// monotonic clock is read, so that what is measured falls short of the difference, now and then by
/// much: what was known before counts, less what steering may have changed since.
#[inline(always)]
pub const fn updated(known_ahead_ns: u64, measured_ahead_ns: u64, since_ns: u64) -> u64 {
    let least = known_ahead_ns.wrapping_sub(since_ns >> STEERING_LOG2);
    if measured_ahead_ns.wrapping_sub(least).cast_signed() > 0 {
        measured_ahead_ns
    } else {
        least
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_late_measurement_changes_little_and_a_prompt_one_counts() {
        let known = 0_u64.wrapping_sub(5_000_000);
        assert_eq!(
            updated(known, known.wrapping_sub(900_000), 1 << 26),
            known - (1 << 15)
        );
        assert_eq!(updated(known, known + 700, 1 << 26), known + 700);
    }

    proptest! {
        /// Measurements that are late by up to 10 ms, of a difference that drifts by 100 ppm.
        #[test]
        fn the_difference_is_followed_to_within_what_steering_may_do_in_some_periods(
            late_ns in prop::collection::vec(prop_oneof![4 => 0_u64..500, 1 => 0_u64..10_000_000], 50..200),
            drift in -100_i64..=100,
        ) {
            let period = PERIOD_NS.cast_signed();
            let truth = |at: usize| (3_600_000_000_000 + i64::try_from(at).expect("small") * period * drift / 1_000_000).cast_unsigned();
            let mut known = truth(0);
            let mut behind = 0_i64;
            for (at, late) in late_ns.iter().enumerate() {
                known = updated(known, truth(at) - late, period.cast_unsigned());
                behind = if *late < 500 { 0 } else { behind + period };
                let error = truth(at).wrapping_sub(known).cast_signed();
                prop_assert!(error >= -period / 1_000, "ahead by {}", -error);
                prop_assert!(error <= 500 + behind / 1_000 + period / 1_000, "behind by {error}");
            }
        }
    }
}
