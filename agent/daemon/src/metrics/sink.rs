//! Where metrics are written to: a text, or families that are made into something else.

use std::fmt::Arguments;

use hostler_decide::durations::Durations;

use super::text::Metric;

/// Takes metrics in the order of the catalogue.
pub(super) trait Sink {
    /// Begins a metric; `scope` goes before its name.
    fn begin(&mut self, scope: &str, metric: &Metric);

    /// Takes a sample of the metric begun last, with labels as `OpenMetrics` writes them.
    fn sample(&mut self, labels: Arguments<'_>, value: f64);

    /// Takes a distribution of durations; its sum is exact if it is given, in s, and else that of the
    /// middles of its buckets.
    fn histogram(&mut self, labels: Arguments<'_>, durations: &Durations, sum_s: Option<f64>);

    /// Series that were taken.
    fn series(&self) -> usize;
}

/// Buckets begin with this power of two, in ns, and end with the other: 1 µs to 69 s.
const BOUNDS_LOG2: std::ops::RangeInclusive<u32> = 10..=36;

/// Series of one histogram.
pub(super) const HISTOGRAM_SERIES: usize = (*BOUNDS_LOG2.end() - *BOUNDS_LOG2.start()) as usize + 4;

/// A distribution by octaves.
pub(super) struct Octaves {
    /// Upper bounds in ns, and how many durations are not above each of them.
    pub(super) below: Vec<(u64, u64)>,
    /// Durations in all.
    pub(super) count: u64,
    /// Their sum, in s.
    pub(super) sum_s: f64,
}

impl Octaves {
    pub(super) fn of(durations: &Durations, sum_s: Option<f64>) -> Self {
        let mut buckets = durations.buckets().peekable();
        let (mut count, mut middles_ns) = (0_u64, 0.0);
        let mut below = Vec::with_capacity(HISTOGRAM_SERIES);
        for log2 in BOUNDS_LOG2 {
            let bound_ns = 1_u64 << log2;
            while let Some(bucket) = buckets.next_if(|bucket| bucket.end_ns <= bound_ns) {
                count += bucket.count;
                middles_ns += bucket.count as f64 * middle_ns(bucket.start_ns, bucket.end_ns);
            }
            below.push((bound_ns, count));
        }
        for bucket in buckets {
            count += bucket.count;
            middles_ns += bucket.count as f64 * middle_ns(bucket.start_ns, bucket.end_ns);
        }
        Self {
            below,
            count,
            sum_s: sum_s.unwrap_or(middles_ns / 1e9),
        }
    }
}

fn middle_ns(start_ns: u64, end_ns: u64) -> f64 {
    start_ns.midpoint(end_ns) as f64
}
