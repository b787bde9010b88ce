//! Log-linear histograms of durations: 8 buckets an octave, 256 buckets, 16 ns to 4.6 minutes.
//!
//! The layout is that of HDR and H2 histograms: below [`LINEAR_END_NS`] buckets are 16 ns wide,
//! above it each octave is cut into [`BUCKETS_PER_OCTAVE`] equal parts, so a bucket is at most
//! 12.5 % wide and its middle is at most 6.25 % away from any value in it. Finding the bucket
//! takes no loop and no floating point: the kernel side has neither to spare.

use crate::shared::SharedU32;

/// Buckets in a histogram. A power of two, so that an index can be masked for the verifier.
pub const BUCKETS: usize = 256;

/// Equal parts of an octave.
pub const BUCKETS_PER_OCTAVE: u64 = 1 << PARTS_LOG2;

/// Durations below this, in ns, fall into linear buckets of [`UNIT_NS`].
pub const LINEAR_END_NS: u64 = UNIT_NS * BUCKETS_PER_OCTAVE;

/// Width of the narrowest buckets, in ns: finer than any clock read the programs do.
pub const UNIT_NS: u64 = 1 << UNIT_LOG2;

const PARTS_LOG2: u32 = 3;
const UNIT_LOG2: u32 = 4;

/// Durations counted by bucket. Counts only grow and wrap at 2³²; readers take differences.
#[repr(C)]
pub struct Histogram {
    /// How many durations fell into each bucket, see [`bucket_of`].
    pub buckets: [SharedU32; BUCKETS],
}

const _: () = assert!(size_of::<Histogram>() == 4 * BUCKETS);

/// The bucket that a duration of `ns` nanoseconds is counted in, always below [`BUCKETS`].
/// What is longer than the last bucket's start is counted in the last bucket.
#[inline(always)]
#[expect(
    clippy::cast_possible_truncation,
    reason = "every value that is cast is below BUCKETS"
)]
pub const fn bucket_of(ns: u64) -> usize {
    let units = ns >> UNIT_LOG2;
    let units = if units > LAST_UNITS {
        LAST_UNITS
    } else {
        units
    };
    if units < BUCKETS_PER_OCTAVE {
        return units as usize;
    }
    let shift = units.ilog2() - PARTS_LOG2;
    // `units >> shift` lies in 8..16: its lowest three bits are the part of the octave.
    ((shift as usize) << PARTS_LOG2) + (units >> shift) as usize
}

/// The shortest duration, in ns, that bucket `index` counts. `bucket_start_ns(BUCKETS)` is where
/// the last bucket would end if it were not open.
pub const fn bucket_start_ns(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * BUCKETS_PER_OCTAVE {
        return index << UNIT_LOG2;
    }
    let shift = (index >> PARTS_LOG2) - 1;
    let part = index & (BUCKETS_PER_OCTAVE - 1);
    ((BUCKETS_PER_OCTAVE + part) << shift) << UNIT_LOG2
}

/// First unit of the last bucket.
const LAST_UNITS: u64 = bucket_start_ns(BUCKETS - 1) >> UNIT_LOG2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_bucket_starts_where_the_one_before_it_ends() {
        for index in 0..BUCKETS {
            let start = bucket_start_ns(index);
            assert_eq!(bucket_of(start), index, "start {start} ns");
            if index > 0 {
                assert_eq!(bucket_of(start - 1), index - 1, "just below {start} ns");
            }
        }
    }

    #[test]
    fn the_range_is_sixteen_nanoseconds_to_over_four_minutes() {
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_start_ns(1), 16);
        assert!(bucket_start_ns(BUCKETS - 1) > 240 * 1_000_000_000);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_duration_lies_between_the_bounds_of_its_bucket(ns in 0..bucket_start_ns(BUCKETS)) {
            let index = bucket_of(ns);
            prop_assert!(bucket_start_ns(index) <= ns);
            prop_assert!(ns < bucket_start_ns(index + 1));
        }

        #[test]
        fn above_the_linear_part_a_bucket_is_at_most_an_eighth_of_its_start_wide(
            ns in LINEAR_END_NS..bucket_start_ns(BUCKETS),
        ) {
            let index = bucket_of(ns);
            let start = bucket_start_ns(index);
            let width = bucket_start_ns(index + 1) - start;
            prop_assert!(width * BUCKETS_PER_OCTAVE <= start);
        }
    }
}
