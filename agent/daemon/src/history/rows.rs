//! Samples of some series as bytes: by columns, since then numbers of one kind lie together, and
//! compressed.

use hostler_decide::{
    durations::Durations,
    samples::{NUMBERS, Numbers, Sample},
};
use prost::Message as _;

use super::{
    error::Malformed,
    schema::{Column, Distributions, Rows},
};

/// Series of one chunk: their numbers differ in the lower eight bits only.
pub(super) const SERIES_BITS: u32 = 8;

/// Most bytes of a chunk before it is compressed: 256 series with all their numbers, and all buckets of
/// both distributions.
const MAX_BYTES: usize = 8 << 20;

/// Fast rather than small: it is done each second.
const LEVEL: i32 = 1;

/// The chunk of a series.
pub(super) fn chunk_of(series: u32) -> u32 {
    series >> SERIES_BITS
}

/// Samples as bytes. Series are in ascending order; the samples' lengths are not kept, since they are that
/// of their stretch of time.
pub(super) fn encode(samples: &[(u32, Sample)]) -> Vec<u8> {
    let mut rows = Rows {
        numbers: vec![Column::default(); NUMBERS - 1],
        ..Rows::default()
    };
    let mut next = 0;
    for (series, sample) in samples {
        rows.gaps.push(series - next);
        next = series + 1;
        let numbers = sample.numbers.to_array();
        for (column, number) in rows.numbers.iter_mut().zip(&numbers[1..]) {
            column.values.push(*number);
        }
    }
    for column in &mut rows.numbers {
        if column.values.iter().all(|&value| value == 0) {
            column.values.clear();
        }
    }
    while rows.numbers.pop_if(|last| last.values.is_empty()).is_some() {}
    rows.waits = distributions(samples.iter().map(|(_, sample)| &sample.waits));
    rows.round_trips = distributions(samples.iter().map(|(_, sample)| &sample.round_trips));
    let bytes = rows.encode_to_vec();
    zstd::bulk::compress(&bytes, LEVEL).expect("memory is all that it needs")
}

fn distributions<'a>(
    durations: impl Iterator<Item = &'a Durations> + Clone,
) -> Option<Distributions> {
    if durations.clone().all(Durations::is_empty) {
        return None;
    }
    let mut message = Distributions::default();
    for durations in durations {
        let counts = durations.counts();
        let length = u32::try_from(counts.len()).expect("there are 256 buckets");
        message.lengths.push(length);
        for &(bucket, count) in counts {
            message.buckets.push(bucket);
            message.counts.push(count);
        }
    }
    Some(message)
}

/// The samples that `bytes` are, each as long as their stretch of time was, in µs.
pub(super) fn decode(bytes: &[u8], length_us: u64) -> Result<Vec<(u32, Sample)>, Malformed> {
    let bytes = zstd::bulk::decompress(bytes, MAX_BYTES)
        .map_err(|error| Malformed(format!("a chunk can't be decompressed: {error}")))?;
    let rows = Rows::decode(&*bytes)
        .map_err(|error| Malformed(format!("a chunk makes no sense: {error}")))?;
    let count = rows.gaps.len();
    let fits = |length: usize| length == 0 || length == count;
    if count > 1 << SERIES_BITS
        || rows.numbers.len() >= NUMBERS
        || !rows.numbers.iter().all(|column| fits(column.values.len()))
    {
        return Err(Malformed("a chunk's columns are uneven".to_owned()));
    }
    let mut waits = DistributionsIn::new(rows.waits, count)?;
    let mut round_trips = DistributionsIn::new(rows.round_trips, count)?;
    let mut next = 0_u32;
    let mut samples = Vec::with_capacity(count);
    for (row, gap) in rows.gaps.iter().enumerate() {
        let series = next.checked_add(*gap);
        let series = series.ok_or_else(|| Malformed("a series has no number".to_owned()))?;
        next = series.saturating_add(1);
        let mut numbers = [0; NUMBERS];
        numbers[0] = length_us;
        for (number, column) in numbers[1..].iter_mut().zip(&rows.numbers) {
            *number = column.values.get(row).copied().unwrap_or(0);
        }
        let sample = Sample {
            numbers: Numbers::from_array(numbers),
            waits: waits.next(row),
            round_trips: round_trips.next(row),
        };
        samples.push((series, sample));
    }
    Ok(samples)
}

/// Distributions that are being read.
struct DistributionsIn {
    message: Distributions,
    at: usize,
}

impl DistributionsIn {
    fn new(message: Option<Distributions>, rows: usize) -> Result<Self, Malformed> {
        let message = message.unwrap_or_default();
        let lengths = message.lengths.iter();
        let sum = lengths.fold(0_usize, |sum, &length| sum.saturating_add(length as usize));
        let is_even = [0, rows].contains(&message.lengths.len())
            && message.buckets.len() == sum
            && message.counts.len() == sum;
        if !is_even {
            return Err(Malformed("a chunk's distributions are uneven".to_owned()));
        }
        Ok(Self { message, at: 0 })
    }

    fn next(&mut self, row: usize) -> Durations {
        let length = self.message.lengths.get(row).copied().unwrap_or(0) as usize;
        let range = self.at..self.at + length;
        self.at = range.end;
        let buckets = self.message.buckets[range.clone()].iter().copied();
        Durations::from_counts(buckets.zip(self.message.counts[range].iter().copied()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> impl Strategy<Value = Sample> {
        let durations = || {
            prop::collection::vec((any::<u8>(), 1_u64..1 << 40), 0..6)
                .prop_map(Durations::from_counts)
        };
        let number = prop_oneof![Just(0), 0_u64..1 << 40, any::<u64>()];
        let numbers = prop::collection::vec(number, NUMBERS);
        (numbers, durations(), durations()).prop_map(|(numbers, waits, round_trips)| {
            let mut numbers: [u64; NUMBERS] = numbers.try_into().expect("so many");
            numbers[0] = 77;
            Sample {
                numbers: Numbers::from_array(numbers),
                waits,
                round_trips,
            }
        })
    }

    proptest! {
        #[test]
        fn samples_are_read_as_they_were_written(
            samples in prop::collection::btree_map(0_u32..256, sample(), 0..40),
            chunk in 0_u32..1 << 24,
        ) {
            let samples: Vec<(u32, Sample)> = samples
                .into_iter()
                .map(|(series, sample)| (chunk << SERIES_BITS | series, sample))
                .collect();
            prop_assert_eq!(decode(&encode(&samples), 77), Ok(samples));
        }

        #[test]
        fn whatever_bytes_there_are_they_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..400)
        ) {
            let _any = decode(&bytes, 1);
            let packed = zstd::bulk::compress(&bytes, LEVEL).expect("it can be compressed");
            let _any = decode(&packed, 1);
        }
    }
}
