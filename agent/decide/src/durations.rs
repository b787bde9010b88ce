//! Distributions of durations, in the buckets of [`hostler_common::histogram`].

use hostler_common::histogram::{BUCKETS, BUCKETS_PER_OCTAVE, bucket_of, bucket_start_ns};

/// The buckets of a kernel-side histogram at one instant: cumulative counts that wrap at 2³².
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketReadings(pub Box<[u32; BUCKETS]>);

impl Default for BucketReadings {
    fn default() -> Self {
        Self(Box::new([0; BUCKETS]))
    }
}

impl BucketReadings {
    /// What was counted between `earlier` and this reading. Right as long as no bucket counted
    /// 2³² durations in between.
    pub fn since(&self, earlier: &Self) -> Durations {
        if self == earlier {
            return Durations::default();
        }
        let counts = (0_u8..=u8::MAX).zip(self.0.iter().zip(earlier.0.iter()));
        Durations {
            counts: counts
                .filter(|(_, (now, before))| now != before)
                .map(|(bucket, (now, before))| (bucket, u64::from(now.wrapping_sub(*before))))
                .collect(),
        }
    }
}

/// How many durations fell into each bucket during a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// Buckets that hold something, in order, each with its count: of an agent's window these are
    /// few, and there are thousands of agents.
    counts: Vec<(u8, u64)>,
}

const _: () = assert!(BUCKETS == 1 << u8::BITS);

/// One bucket of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The shortest duration counted, in ns.
    pub start_ns: u64,
    /// Where the next bucket starts, in ns.
    pub end_ns: u64,
    /// Durations counted.
    pub count: u64,
}

impl Durations {
    /// Of buckets by number, with their counts. Those that are told twice count twice.
    pub fn from_counts(counts: impl IntoIterator<Item = (u8, u64)>) -> Self {
        let mut durations = Self::default();
        for (bucket, count) in counts {
            match durations.counts.last() {
                // In order, as they mostly come, without looking for their places.
                Some(&(last, _)) if last >= bucket => durations.add_to(bucket, count),
                _ => durations.counts.push((bucket, count)),
            }
        }
        durations.counts.retain(|(_, count)| *count > 0);
        durations
    }

    /// Buckets by number that hold something, in order, with their counts.
    pub fn counts(&self) -> &[(u8, u64)] {
        &self.counts
    }

    /// How many durations there are in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds the durations of another distribution.
    pub fn add(&mut self, other: &Self) {
        for &(bucket, more) in &other.counts {
            self.add_to(bucket, more);
        }
    }

    /// Adds one duration, in ns.
    pub fn count(&mut self, ns: u64) {
        self.add_to(u8::try_from(bucket_of(ns)).expect("a bucket's number"), 1);
    }

    fn add_to(&mut self, bucket: u8, more: u64) {
        match self
            .counts
            .binary_search_by_key(&bucket, |&(bucket, _)| bucket)
        {
            Ok(at) => self.counts[at].1 += more,
            Err(at) => self.counts.insert(at, (bucket, more)),
        }
    }

    /// The `q`-quantile (0 < `q` ≤ 1), in ns: the end of the bucket that holds the duration of
    /// rank ⌈q·n⌉, so at least as long as that duration and at most 12.5 % longer. `None` if there
    /// are no durations.
    pub fn quantile_ns(&self, q: f64) -> Option<u64> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "q·n lies between 0 and n; `max` and `min` hold it there whatever q is"
        )]
        let rank = ((q * total as f64).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        self.buckets().find_map(|bucket| {
            seen += bucket.count;
            (seen >= rank).then_some(bucket.end_ns)
        })
    }

    /// The end of the highest bucket that holds anything, in ns.
    pub fn max_ns(&self) -> Option<u64> {
        self.buckets().last().map(|bucket| bucket.end_ns)
    }

    /// The buckets that hold something, shortest first.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.counts.iter().map(|&(bucket, count)| {
            let index = usize::from(bucket);
            Bucket {
                start_ns: bucket_start_ns(index),
                end_ns: bucket_start_ns(index + 1),
                count,
            }
        })
    }

    /// The distribution by octaves, from the first that holds something to the last, those between
    /// them included: coarse enough to be drawn, one line an octave.
    pub fn octaves(&self) -> Vec<Bucket> {
        let per_octave = usize::try_from(BUCKETS_PER_OCTAVE).expect("8 fits");
        let octave_of = |&(bucket, _): &(u8, u64)| usize::from(bucket) / per_octave;
        let (Some(first), Some(last)) = (self.counts.first(), self.counts.last()) else {
            return Vec::new();
        };
        (octave_of(first)..=octave_of(last))
            .map(|octave| {
                let inside = self
                    .counts
                    .iter()
                    .filter(|count| octave_of(count) == octave);
                Bucket {
                    start_ns: bucket_start_ns(octave * per_octave),
                    end_ns: bucket_start_ns((octave + 1) * per_octave),
                    count: inside.map(|(_, count)| count).sum(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::histogram::bucket_of;
    use proptest::prelude::*;

    use super::*;

    fn readings(durations_ns: &[u64]) -> BucketReadings {
        let mut readings = BucketReadings::default();
        for &ns in durations_ns {
            let count = &mut readings.0[bucket_of(ns)];
            *count = count.wrapping_add(1);
        }
        readings
    }

    fn durations(durations_ns: &[u64]) -> Durations {
        readings(durations_ns).since(&BucketReadings::default())
    }

    #[test]
    fn durations_that_are_counted_one_by_one_lie_in_the_buckets_of_the_kernel_side() {
        let mut durations = Durations::default();
        for ns in [5, 1_000, 1_001, u64::MAX] {
            durations.count(ns);
        }
        assert_eq!(durations.total(), 4);
        let counts: Vec<u64> = durations.buckets().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [1, 2, 1]);
        assert!(
            durations
                .buckets()
                .all(|bucket| bucket.start_ns < bucket.end_ns)
        );
    }

    #[test]
    fn what_is_made_of_counts_is_what_they_were_of_in_whatever_order() {
        let original = durations(&[1_000, 1_100, 60_000, 60_000]);
        let counts = original.counts().to_vec();
        assert_eq!(Durations::from_counts(counts.iter().copied()), original);
        assert_eq!(Durations::from_counts(counts.into_iter().rev()), original);
        assert!(Durations::from_counts([(5, 0)]).is_empty());
    }

    #[test]
    fn an_empty_distribution_has_no_quantile_and_nothing_to_draw() {
        let none = Durations::default();
        assert!(none.is_empty());
        assert_eq!(none.quantile_ns(0.5), None);
        assert_eq!(none.max_ns(), None);
        assert_eq!(none.octaves(), Vec::new());
    }

    #[test]
    fn a_bucket_that_wrapped_between_two_readings_counts_right() {
        let mut earlier = BucketReadings::default();
        earlier.0[7] = u32::MAX - 1;
        let mut later = BucketReadings::default();
        later.0[7] = 3;
        assert_eq!(later.since(&earlier).total(), 5);
    }

    #[test]
    fn octaves_leave_out_the_empty_ends_but_no_gap() {
        let octaves = durations(&[1_000, 1_100, 60_000]).octaves();
        assert_eq!(octaves.first().map(|octave| octave.start_ns), Some(512));
        assert_eq!(octaves.last().map(|octave| octave.end_ns), Some(65_536));
        assert!(
            octaves
                .windows(2)
                .all(|pair| pair[0].end_ns == pair[1].start_ns)
        );
        assert_eq!(octaves.iter().map(|octave| octave.count).sum::<u64>(), 3);
    }

    proptest! {
        #[test]
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among at most 200"
        )]
        fn a_quantile_is_never_below_the_true_one_and_at_most_an_eighth_above(
            mut sample in prop::collection::vec(128_u64..10_000_000_000, 1..200),
            q in 0.001_f64..=1.0,
        ) {
            sample.sort_unstable();
            let rank = ((q * sample.len() as f64).ceil() as usize).clamp(1, sample.len());
            let truth = sample[rank - 1];
            let estimate = durations(&sample).quantile_ns(q).expect("there are durations");
            prop_assert!(estimate > truth);
            prop_assert!(estimate <= truth + truth / 8 + 1);
        }

        #[test]
        fn adding_windows_gives_the_window_over_both(
            first in prop::collection::vec(0_u64..1 << 40, 0..50),
            second in prop::collection::vec(0_u64..1 << 40, 0..50),
        ) {
            let mut sum = durations(&first);
            sum.add(&durations(&second));
            let both: Vec<u64> = first.into_iter().chain(second).collect();
            prop_assert_eq!(sum, durations(&both));
        }
    }
}
