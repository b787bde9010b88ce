//! Columns: one number, or one histogram, of many rows.

use hostler_common::{
    histogram::{BUCKETS, bucket_start_ns},
    ledger::UNIT_NS,
};
use hostler_decide::{durations::BucketReadings, signal::RunQueueSignal};

use super::{rows::Malformed, schema};

/// A column that is being written.
#[derive(Default)]
pub(super) struct ColumnOut(Vec<i64>);

impl ColumnOut {
    /// Adds the change of a count that wraps at 2⁶⁴.
    pub(super) fn push(&mut self, before: u64, now: u64) {
        self.push_change(now.wrapping_sub(before).cast_signed());
    }

    pub(super) fn push_change(&mut self, change: i64) {
        self.0.push(change);
    }
}

impl From<ColumnOut> for Option<schema::Column> {
    fn from(column: ColumnOut) -> Self {
        let any = column.0.iter().any(|&change| change != 0);
        any.then_some(schema::Column { changes: column.0 })
    }
}

/// As many columns as there are numbers in a row.
pub(super) fn transposed<const N: usize>(
    rows: impl Iterator<Item = ([u64; N], [u64; N])>,
) -> Vec<schema::Column> {
    let mut columns: [ColumnOut; N] = std::array::from_fn(|_| ColumnOut::default());
    for (before, now) in rows {
        for (column, (before, now)) in columns.iter_mut().zip(before.into_iter().zip(now)) {
            column.push(before, now);
        }
    }
    let columns = columns.map(Option::<schema::Column>::from);
    columns.into_iter().map(Option::unwrap_or_default).collect()
}

/// Columns that are being read, each row's numbers together.
pub(super) struct Numbers<'a, const N: usize>([Changes<'a>; N]);

impl<'a, const N: usize> Numbers<'a, N> {
    /// Of columns for so many rows.
    pub(super) fn of(columns: &'a [schema::Column], rows: usize) -> Result<Self, Malformed> {
        let empty: &[i64] = &[];
        // Columns that hold nothing may be left out at the end.
        if columns.len() > N {
            let what = format!("{} columns where there are {N}", columns.len());
            return Err(Malformed(what));
        }
        let columns: [&[i64]; N] =
            std::array::from_fn(|index| columns.get(index).map_or(empty, |column| &column.changes));
        if columns.iter().any(|column| !fits(column.len(), rows)) {
            return Err(uneven());
        }
        Ok(Self(columns.map(Changes)))
    }

    /// The numbers of row `row` of those that have changed, which were `before`.
    pub(super) fn row(&self, row: usize, before: [u64; N]) -> [u64; N] {
        std::array::from_fn(|index| self.0[index].apply(row, before[index]))
    }
}

/// A column that is being read.
#[derive(Clone, Copy)]
pub(super) struct Changes<'a>(&'a [i64]);

impl<'a> Changes<'a> {
    /// Of a column for so many rows.
    pub(super) fn of(column: Option<&'a schema::Column>, rows: usize) -> Result<Self, Malformed> {
        let changes = column.map_or(&[][..], |column| &column.changes);
        if fits(changes.len(), rows) {
            Ok(Self(changes))
        } else {
            Err(uneven())
        }
    }

    /// What came to row `row` of those that have changed.
    pub(super) fn change(self, row: usize) -> i64 {
        self.0.get(row).copied().unwrap_or(0)
    }

    /// What row `row` is now, a count that wraps at 2⁶⁴ and was `before`.
    pub(super) fn apply(self, row: usize, before: u64) -> u64 {
        before.wrapping_add(self.change(row).cast_unsigned())
    }
}

fn fits(length: usize, rows: usize) -> bool {
    length == 0 || length == rows
}

fn uneven() -> Malformed {
    Malformed::because("a column has another length than its table")
}

/// Histograms that are being written.
#[derive(Default)]
pub(super) struct HistogramsOut {
    message: schema::Histograms,
    any: bool,
}

impl HistogramsOut {
    /// Adds what came to the next row.
    pub(super) fn push(&mut self, before: &BucketReadings, now: &BucketReadings) {
        let mut count = 0;
        if before != now {
            let pairs = (0_u8..=u8::MAX).zip(before.0.iter().zip(now.0.iter()));
            for (bucket, (before, now)) in pairs.filter(|(_, (before, now))| before != now) {
                count += 1;
                self.message.buckets.push(bucket);
                self.message.more.push(now.wrapping_sub(*before));
            }
        }
        self.any |= count > 0;
        self.message.buckets_of_row.push(count);
    }
}

impl From<HistogramsOut> for Option<schema::Histograms> {
    fn from(histograms: HistogramsOut) -> Self {
        histograms.any.then_some(histograms.message)
    }
}

/// Histograms that are being read, row by row.
pub(super) struct HistogramsIn<'a> {
    buckets_of_row: std::slice::Iter<'a, u32>,
    buckets: std::iter::Zip<std::slice::Iter<'a, u8>, std::slice::Iter<'a, u32>>,
}

impl<'a> HistogramsIn<'a> {
    /// Of so many rows.
    pub(super) fn of(
        message: Option<&'a schema::Histograms>,
        rows: usize,
    ) -> Result<Self, Malformed> {
        let (buckets_of_row, buckets, more) =
            message.map_or((&[][..], &[][..], &[][..]), |message| {
                (
                    message.buckets_of_row.as_slice(),
                    message.buckets.as_slice(),
                    message.more.as_slice(),
                )
            });
        let told: u64 = buckets_of_row.iter().map(|&count| u64::from(count)).sum();
        let is_even = buckets.len() == more.len() && told == buckets.len() as u64;
        if !is_even || !fits(buckets_of_row.len(), rows) {
            return Err(Malformed::because("histograms don't fit their table"));
        }
        Ok(Self {
            buckets_of_row: buckets_of_row.iter(),
            buckets: buckets.iter().zip(more),
        })
    }

    /// Changes the histogram of the next row.
    pub(super) fn apply(&mut self, histogram: &mut BucketReadings) {
        let count = self
            .buckets_of_row
            .next()
            .map_or(0, |&count| count as usize);
        for (&bucket, &more) in self.buckets.by_ref().take(count) {
            let counted = &mut histogram.0[usize::from(bucket)];
            *counted = counted.wrapping_add(more);
        }
    }
}

/// How many durations came to a histogram.
fn counted(before: &BucketReadings, now: &BucketReadings) -> i64 {
    let changes = now.0.iter().zip(before.0.iter());
    changes
        .map(|(now, before)| i64::from(now.wrapping_sub(*before).cast_signed()))
        .fold(0, i64::wrapping_add)
}

/// The time, in units of the ledger, that the durations took in all which came to a histogram, as if each
/// lay in the middle of its bucket. Those in the last bucket, which has no end, count as nothing.
pub(super) fn expected_units(before: &BucketReadings, now: &BucketReadings) -> i64 {
    let changes = now.0.iter().zip(before.0.iter());
    let mut sum = 0_i64;
    for (bucket, (now, before)) in changes.enumerate().take(BUCKETS - 1) {
        if now != before {
            let middle = u64::midpoint(bucket_start_ns(bucket), bucket_start_ns(bucket + 1));
            let units = (middle / UNIT_NS).cast_signed();
            let more = i64::from(now.wrapping_sub(*before).cast_signed());
            sum = sum.wrapping_add(units.wrapping_mul(more));
        }
    }
    sum
}

/// Run queues that are being written.
#[derive(Default)]
pub(super) struct RunQueuesOut {
    involuntary_switches: ColumnOut,
    unmeasured_stretches: ColumnOut,
    wake_wait: HistogramsOut,
    preempt_wait: HistogramsOut,
    on_cpu: HistogramsOut,
}

impl RunQueuesOut {
    /// Adds what came to the next row.
    pub(super) fn push(&mut self, before: &RunQueueSignal, now: &RunQueueSignal) {
        let switches = now
            .involuntary_switches
            .wrapping_sub(before.involuntary_switches);
        let waits = counted(&before.preempt_wait, &now.preempt_wait);
        self.involuntary_switches
            .push_change(switches.cast_signed().wrapping_sub(waits));
        self.unmeasured_stretches
            .push(before.unmeasured_stretches, now.unmeasured_stretches);
        self.wake_wait.push(&before.wake_wait, &now.wake_wait);
        self.preempt_wait
            .push(&before.preempt_wait, &now.preempt_wait);
        self.on_cpu.push(&before.on_cpu, &now.on_cpu);
    }
}

impl From<RunQueuesOut> for schema::RunQueues {
    fn from(columns: RunQueuesOut) -> Self {
        Self {
            involuntary_switches: columns.involuntary_switches.into(),
            unmeasured_stretches: columns.unmeasured_stretches.into(),
            wake_wait: columns.wake_wait.into(),
            preempt_wait: columns.preempt_wait.into(),
            on_cpu: columns.on_cpu.into(),
        }
    }
}

/// Run queues that are being read, row by row.
pub(super) struct RunQueuesIn<'a> {
    involuntary_switches: Changes<'a>,
    unmeasured_stretches: Changes<'a>,
    wake_wait: HistogramsIn<'a>,
    preempt_wait: HistogramsIn<'a>,
    on_cpu: HistogramsIn<'a>,
}

impl<'a> RunQueuesIn<'a> {
    /// Of so many rows.
    pub(super) fn of(
        message: Option<&'a schema::RunQueues>,
        rows: usize,
    ) -> Result<Self, Malformed> {
        let column = |pick: fn(&schema::RunQueues) -> Option<&schema::Column>| {
            Changes::of(message.and_then(pick), rows)
        };
        let histograms = |pick: fn(&schema::RunQueues) -> Option<&schema::Histograms>| {
            HistogramsIn::of(message.and_then(pick), rows)
        };
        Ok(Self {
            involuntary_switches: column(|message| message.involuntary_switches.as_ref())?,
            unmeasured_stretches: column(|message| message.unmeasured_stretches.as_ref())?,
            wake_wait: histograms(|message| message.wake_wait.as_ref())?,
            preempt_wait: histograms(|message| message.preempt_wait.as_ref())?,
            on_cpu: histograms(|message| message.on_cpu.as_ref())?,
        })
    }

    /// Changes row `row` of those that have changed, which is the next one.
    pub(super) fn apply(&mut self, row: usize, signal: &mut RunQueueSignal) {
        let unmeasured = &mut signal.unmeasured_stretches;
        *unmeasured = self.unmeasured_stretches.apply(row, *unmeasured);
        self.wake_wait.apply(&mut signal.wake_wait);
        let before = signal.preempt_wait.clone();
        self.preempt_wait.apply(&mut signal.preempt_wait);
        self.on_cpu.apply(&mut signal.on_cpu);
        let waits = counted(&before, &signal.preempt_wait).cast_unsigned();
        let involuntary = &mut signal.involuntary_switches;
        *involuntary = self
            .involuntary_switches
            .apply(row, involuntary.wrapping_add(waits));
    }
}
