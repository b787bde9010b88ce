//! What came to the counts of agents: one column each.

use std::sync::Arc;

use hostler_common::{
    ledger::{STATES, state},
    placement::MAX_NODES,
};
use hostler_decide::{
    faults::FaultLatencySignal,
    placement::Placement,
    signal::{AgentReading, BlockIoSignal, FaultSignal, RunQueueSignal},
};

use super::super::{
    columns::{
        Changes, ColumnOut, HistogramsIn, HistogramsOut, RunQueuesIn, RunQueuesOut, expected_units,
    },
    rows::Malformed,
    schema,
};

/// The ledger's lower bits, which count threads; see [`hostler_common::ledger`].
const COUNT_BITS: u32 = 16;

/// What came to a word of a ledger: time in units, and threads. Any two words have such a difference.
fn parted(before: u64, now: u64) -> (i64, i64) {
    let change = now.wrapping_sub(before).cast_signed();
    let unused = i64::BITS - COUNT_BITS;
    let threads = change << unused >> unused;
    (change.wrapping_sub(threads) >> COUNT_BITS, threads)
}

fn joined(before: u64, units: i64, threads: i64) -> u64 {
    let change = (units << COUNT_BITS).wrapping_add(threads);
    before.wrapping_add(change.cast_unsigned())
}

/// Of the state that most threads are in, the sum over all states is written: threads take from it what
/// they add to others, so that the sum stays 0 and takes no room.
const SUM: usize = state::ASLEEP as usize;

/// The time, in units, that an agent's histograms say to have come to each state: what comes to the ledger
/// is written as the difference from that, which is smaller.
fn expected(before: &RunQueueSignal, now: &RunQueueSignal) -> [i64; STATES] {
    let mut expected = [0; STATES];
    for (state, before, now) in [
        (state::ON_CPU, &before.on_cpu, &now.on_cpu),
        (state::WAITING_WOKEN, &before.wake_wait, &now.wake_wait),
        (
            state::WAITING_PREEMPTED,
            &before.preempt_wait,
            &now.preempt_wait,
        ),
    ] {
        expected[state as usize] = expected_units(before, now);
    }
    expected
}

/// What came to the counts of agents that did something, while it is being written.
#[derive(Default)]
pub(super) struct Columns {
    units: [ColumnOut; STATES],
    threads: [ColumnOut; STATES],
    run_queues: RunQueuesOut,
    read_bytes: ColumnOut,
    written_bytes: ColumnOut,
    minor_faults: ColumnOut,
    major_faults: ColumnOut,
    oom_kills: ColumnOut,
    has_fault_latency: ColumnOut,
    minor_latency: HistogramsOut,
    major_latency: HistogramsOut,
    has_placement: ColumnOut,
    on_node_ns: [ColumnOut; MAX_NODES],
    migrations: ColumnOut,
    node_migrations: ColumnOut,
}

impl Columns {
    /// Adds what came to the next row.
    pub(super) fn push(&mut self, old: &AgentReading, new: &AgentReading) {
        let mut sum = 0_i64;
        let expected = expected(&old.run_queue, &new.run_queue);
        for (index, (&old, &new)) in old.ledger_words.iter().zip(&new.ledger_words).enumerate() {
            let (units, threads) = parted(old, new);
            sum = sum.wrapping_add(units);
            if index != SUM {
                self.units[index].push_change(units.wrapping_sub(expected[index]));
            }
            self.threads[index].push_change(threads);
        }
        self.units[SUM].push_change(sum);
        self.run_queues.push(&old.run_queue, &new.run_queue);
        let (io, faults) = ((&old.block_io, &new.block_io), (&old.faults, &new.faults));
        self.read_bytes.push(io.0.read_bytes, io.1.read_bytes);
        self.written_bytes
            .push(io.0.written_bytes, io.1.written_bytes);
        self.minor_faults.push(faults.0.minor, faults.1.minor);
        self.major_faults.push(faults.0.major, faults.1.major);
        self.oom_kills.push(old.oom_kills, new.oom_kills);
        let latency = (&old.fault_latency, &new.fault_latency);
        self.has_fault_latency
            .push(latency.0.is_some().into(), latency.1.is_some().into());
        let none = FaultLatencySignal::default();
        let before = latency.0.as_deref().unwrap_or(&none);
        let now = latency.1.as_deref().unwrap_or(&none);
        self.minor_latency.push(&before.minor, &now.minor);
        self.major_latency.push(&before.major, &now.major);
        self.push_placement(old.placement.as_deref(), new.placement.as_deref());
    }

    fn push_placement(&mut self, old: Option<&Placement>, new: Option<&Placement>) {
        self.has_placement
            .push(old.is_some().into(), new.is_some().into());
        let before = old.copied().unwrap_or_default();
        let now = new.copied().unwrap_or_default();
        for (column, (before, now)) in self
            .on_node_ns
            .iter_mut()
            .zip(before.on_cpu_ns.into_iter().zip(now.on_cpu_ns))
        {
            column.push(before, now);
        }
        self.migrations.push(before.migrations, now.migrations);
        self.node_migrations
            .push(before.node_migrations, now.node_migrations);
    }
}

impl From<Columns> for schema::Agents {
    fn from(columns: Columns) -> Self {
        Self {
            ledger_units: each_out(columns.units),
            ledger_threads: each_out(columns.threads),
            run_queues: Some(columns.run_queues.into()),
            read_bytes: columns.read_bytes.into(),
            written_bytes: columns.written_bytes.into(),
            minor_faults: columns.minor_faults.into(),
            major_faults: columns.major_faults.into(),
            oom_kills: columns.oom_kills.into(),
            has_fault_latency: columns.has_fault_latency.into(),
            minor_latency: columns.minor_latency.into(),
            major_latency: columns.major_latency.into(),
            has_placement: columns.has_placement.into(),
            on_node_ns: up_to_the_last(each_out(columns.on_node_ns)),
            migrations: columns.migrations.into(),
            node_migrations: columns.node_migrations.into(),
            ..Self::default()
        }
    }
}

/// The columns up to the last one that holds anything.
pub(super) fn up_to_the_last(mut columns: Vec<schema::Column>) -> Vec<schema::Column> {
    while columns.pop_if(|column| column.changes.is_empty()).is_some() {}
    columns
}

fn each_out<const N: usize>(columns: [ColumnOut; N]) -> Vec<schema::Column> {
    let columns = columns.map(Option::<schema::Column>::from);
    columns.into_iter().map(Option::unwrap_or_default).collect()
}

/// The same while they are being read.
pub(super) struct ColumnsIn<'a> {
    units: [Changes<'a>; STATES],
    threads: [Changes<'a>; STATES],
    run_queues: RunQueuesIn<'a>,
    block_io: [Changes<'a>; 2],
    faults: [Changes<'a>; 2],
    oom_kills: Changes<'a>,
    has_fault_latency: Changes<'a>,
    minor_latency: HistogramsIn<'a>,
    major_latency: HistogramsIn<'a>,
    has_placement: Changes<'a>,
    on_node_ns: [Changes<'a>; MAX_NODES],
    migrations: [Changes<'a>; 2],
}

impl<'a> ColumnsIn<'a> {
    /// Of so many rows.
    pub(super) fn of(message: &'a schema::Agents, rows: usize) -> Result<Self, Malformed> {
        let one = |column: &'a Option<schema::Column>| Changes::of(column.as_ref(), rows);
        Ok(Self {
            units: each(&message.ledger_units, rows)?,
            threads: each(&message.ledger_threads, rows)?,
            run_queues: RunQueuesIn::of(message.run_queues.as_ref(), rows)?,
            block_io: [one(&message.read_bytes)?, one(&message.written_bytes)?],
            faults: [one(&message.minor_faults)?, one(&message.major_faults)?],
            oom_kills: one(&message.oom_kills)?,
            has_fault_latency: one(&message.has_fault_latency)?,
            minor_latency: HistogramsIn::of(message.minor_latency.as_ref(), rows)?,
            major_latency: HistogramsIn::of(message.major_latency.as_ref(), rows)?,
            has_placement: one(&message.has_placement)?,
            on_node_ns: each(&message.on_node_ns, rows)?,
            migrations: [one(&message.migrations)?, one(&message.node_migrations)?],
        })
    }

    /// Changes row `row` of those that have changed, which is the next one.
    pub(super) fn apply(
        &mut self,
        row: usize,
        reading: &mut AgentReading,
    ) -> Result<(), Malformed> {
        let before = Arc::clone(&reading.run_queue);
        self.run_queues
            .apply(row, Arc::make_mut(&mut reading.run_queue));
        let expected = expected(&before, &reading.run_queue);
        let mut units: [i64; STATES] = std::array::from_fn(|index| {
            self.units[index].change(row).wrapping_add(expected[index])
        });
        let others = units.iter().enumerate().filter(|(index, _)| *index != SUM);
        let others = others.fold(0_i64, |sum, (_, units)| sum.wrapping_add(*units));
        // Nothing is expected of sleep: what is written of it is the sum of all.
        units[SUM] = units[SUM].wrapping_sub(others);
        for (index, word) in reading.ledger_words.iter_mut().enumerate() {
            *word = joined(*word, units[index], self.threads[index].change(row));
        }
        let BlockIoSignal {
            read_bytes,
            written_bytes,
        } = reading.block_io;
        reading.block_io = BlockIoSignal {
            read_bytes: self.block_io[0].apply(row, read_bytes),
            written_bytes: self.block_io[1].apply(row, written_bytes),
        };
        let FaultSignal { minor, major } = reading.faults;
        reading.faults = FaultSignal {
            minor: self.faults[0].apply(row, minor),
            major: self.faults[1].apply(row, major),
        };
        reading.oom_kills = self.oom_kills.apply(row, reading.oom_kills);
        let had_latency = u64::from(reading.fault_latency.is_some());
        let latency = match self.has_fault_latency.apply(row, had_latency) {
            0 => {
                reading.fault_latency = None;
                &mut FaultLatencySignal::default()
            }
            1 => Arc::make_mut(reading.fault_latency.get_or_insert_default()),
            _ => {
                return Err(Malformed::because(
                    "fault latency is neither known nor unknown",
                ));
            }
        };
        self.minor_latency.apply(&mut latency.minor);
        self.major_latency.apply(&mut latency.major);
        self.apply_placement(row, reading)
    }

    fn apply_placement(&self, row: usize, reading: &mut AgentReading) -> Result<(), Malformed> {
        let had_placement = u64::from(reading.placement.is_some());
        match self.has_placement.apply(row, had_placement) {
            0 => reading.placement = None,
            1 => {
                let placement = Arc::make_mut(reading.placement.get_or_insert_default());
                for (column, ns) in self.on_node_ns.iter().zip(&mut placement.on_cpu_ns) {
                    *ns = column.apply(row, *ns);
                }
                let [migrations, node_migrations] = self.migrations;
                placement.migrations = migrations.apply(row, placement.migrations);
                placement.node_migrations = node_migrations.apply(row, placement.node_migrations);
            }
            _ => {
                return Err(Malformed::because(
                    "where threads run is neither known nor unknown",
                ));
            }
        }
        Ok(())
    }
}

/// As many columns as there are, the last of which may be left out.
fn each<const N: usize>(
    columns: &[schema::Column],
    rows: usize,
) -> Result<[Changes<'_>; N], Malformed> {
    let mut each = [Changes::of(None, rows)?; N];
    if columns.len() > N {
        let what = format!("{} columns where there are {N}", columns.len());
        return Err(Malformed(what));
    }
    for (changes, column) in each.iter_mut().zip(columns) {
        *changes = Changes::of(Some(column), rows)?;
    }
    Ok(each)
}

#[cfg(test)]
mod tests {
    use hostler_common::ledger::entry;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_two_words_have_a_difference_that_makes_one_of_the_other(before: u64, now: u64) {
            let (units, threads) = parted(before, now);
            prop_assert_eq!(joined(before, units, threads), now);
        }
    }

    #[test]
    fn a_thread_that_changes_its_state_adds_nothing_to_the_sum() {
        let (woken_ns, now_ns) = (5_000_000, 7_000_000);
        let before = entry(1_000_000);
        let asleep = before
            .wrapping_sub(entry(woken_ns))
            .wrapping_add(entry(now_ns));
        let on_cpu = entry(woken_ns).wrapping_sub(entry(now_ns));
        let (slept, threads) = parted(before, asleep);
        let (ran, none) = parted(0, on_cpu);
        assert_eq!((threads, none), (0, 0));
        assert_eq!(slept + ran, 0);
        assert!(ran > 0);
    }
}
