//! A trend: samples of a series over a span of time, in equal parts.

use hostler_decide::samples::Sample;

/// A series over a span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// When it begins, in ms since 1970.
    pub from_ms: u64,
    /// How long each part is, in ms.
    pub part_ms: u64,
    /// What happened in each part; `None` where nothing is known.
    pub parts: Vec<Option<Sample>>,
}

/// A sample and when it began.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// When it began, in ms since 1970.
    pub at_ms: u64,
    /// What happened.
    pub sample: Sample,
}

impl Trend {
    /// Nothing is known yet of `parts` parts, which end at `to_ms` or a little later: they are whole
    /// seconds long.
    pub fn new(from_ms: u64, to_ms: u64, parts: usize) -> Self {
        let span_ms = to_ms.saturating_sub(from_ms).max(1_000);
        let parts = u64::try_from(parts.max(1)).unwrap_or(u64::MAX);
        let part_ms = span_ms.div_ceil(parts).next_multiple_of(1_000);
        let parts = span_ms.div_ceil(part_ms);
        Self {
            from_ms,
            part_ms,
            parts: vec![None; usize::try_from(parts).unwrap_or(usize::MAX)],
        }
    }

    /// When the last part ends, in ms since 1970.
    pub fn to_ms(&self) -> u64 {
        let parts = u64::try_from(self.parts.len()).unwrap_or(u64::MAX);
        self.from_ms
            .saturating_add(parts.saturating_mul(self.part_ms))
    }

    /// When a part begins, in ms since 1970.
    pub fn begins_ms(&self, part: usize) -> u64 {
        let part = u64::try_from(part).unwrap_or(u64::MAX);
        self.from_ms
            .saturating_add(part.saturating_mul(self.part_ms))
    }

    /// Adds a sample to the part in which it began. One that began before the trend and reaches into it
    /// is of its first part.
    pub fn add(&mut self, point: &Point) {
        let after_ms = point.at_ms.saturating_sub(self.from_ms);
        let part = usize::try_from(after_ms / self.part_ms).unwrap_or(usize::MAX);
        if let Some(part) = self.parts.get_mut(part) {
            part.get_or_insert_default().append(&point.sample);
        }
    }

    /// All of it added up.
    pub fn whole(&self) -> Sample {
        let mut whole = Sample::default();
        for part in self.parts.iter().flatten() {
            whole.append(part);
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use hostler_decide::samples::Numbers;

    use super::*;

    fn point(at_ms: u64) -> Point {
        let numbers = Numbers {
            length_us: 1_000_000,
            on_cpu_us: 7,
            ..Numbers::default()
        };
        Point {
            at_ms,
            sample: Sample {
                numbers,
                ..Sample::default()
            },
        }
    }

    #[test]
    fn each_sample_is_in_the_part_in_which_it_began() {
        let mut trend = Trend::new(10_000, 20_000, 5);
        assert_eq!((trend.part_ms, trend.parts.len()), (2_000, 5));
        for at_ms in [9_500, 10_000, 11_999, 12_000, 19_999, 20_000] {
            trend.add(&point(at_ms));
        }
        let counts = trend.parts.iter().map(|part| {
            let sample = part.as_ref();
            sample.map_or(0, |sample| sample.numbers.on_cpu_us / 7)
        });
        assert_eq!(counts.collect::<Vec<_>>(), [3, 1, 0, 0, 1]);
        assert_eq!(trend.whole().numbers.length_us, 5_000_000);
    }

    #[test]
    fn parts_are_whole_seconds_and_cover_the_span() {
        for (span_ms, parts) in [(1, 10), (999, 3), (61_000, 60), (86_400_000, 97)] {
            let trend = Trend::new(500, 500 + span_ms, parts);
            assert_eq!(trend.part_ms % 1_000, 0);
            assert!(trend.to_ms() >= 500 + span_ms);
            assert!(trend.parts.len() <= parts);
        }
    }
}
