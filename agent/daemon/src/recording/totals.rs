//! Who made whom wait, and who woke whom: two counts of each key.

use std::collections::BTreeMap;

use hostler_common::{
    pair::{MAX_PAIRS, PairKey},
    slot::SlotLease,
    wake::{MAX_WAKES, WakeKey},
};
use hostler_decide::{signal::PairSignal, wakes::WakeSignal};

use super::{
    columns::{Changes, ColumnOut},
    rows::{Gaps, Malformed, Step, follow, rows_of, steps},
    schema,
};

/// The agent's slot and generation, the other's slot, and how they stand to each other.
type Key = [u32; 4];
type Row = (Key, [u64; 2]);

/// More of a kind than a reading can tell of.
const MOST: usize = 2 * if MAX_PAIRS > MAX_WAKES {
    MAX_PAIRS
} else {
    MAX_WAKES
} as usize;

/// Counts of a kind, as rows that are ordered by key.
pub(super) trait Totals: Sized {
    /// As rows.
    fn rows(&self) -> Vec<Row>;

    /// From rows.
    fn from_rows(rows: Vec<Row>) -> Self;
}

impl Totals for BTreeMap<PairKey, PairSignal> {
    fn rows(&self) -> Vec<Row> {
        self.iter()
            .map(|(key, signal)| {
                let SlotLease { slot, generation } = key.waiter;
                let key = [slot, generation, key.cause, key.relation];
                (key, [signal.waits, signal.wait_ns])
            })
            .collect()
    }

    fn from_rows(rows: Vec<Row>) -> Self {
        rows.into_iter()
            .map(|([slot, generation, cause, relation], [waits, wait_ns])| {
                let key = PairKey {
                    waiter: SlotLease { slot, generation },
                    cause,
                    relation,
                };
                (key, PairSignal { waits, wait_ns })
            })
            .collect()
    }
}

impl Totals for BTreeMap<WakeKey, WakeSignal> {
    fn rows(&self) -> Vec<Row> {
        self.iter()
            .map(|(key, signal)| {
                let SlotLease { slot, generation } = key.woken;
                let key = [slot, generation, key.waker, key.reserved];
                (key, [signal.wakes, signal.node_wakes])
            })
            .collect()
    }

    fn from_rows(rows: Vec<Row>) -> Self {
        rows.into_iter()
            .map(|([slot, generation, by, reserved], [wakes, node_wakes])| {
                let key = WakeKey {
                    woken: SlotLease { slot, generation },
                    waker: by,
                    reserved,
                };
                (key, WakeSignal { wakes, node_wakes })
            })
            .collect()
    }
}

/// What makes `now` of `before`.
pub(super) fn changes<T: Totals>(before: &T, now: &T) -> schema::Totals {
    let mut message = schema::Totals::default();
    let (mut gone, mut changed) = <(Gaps, Gaps)>::default();
    let (mut times, mut second) = <(ColumnOut, ColumnOut)>::default();
    for step in steps(&before.rows(), &now.rows(), |(key, _)| *key) {
        let (row, old, new) = match step {
            Step::Gone(row) => {
                gone.push(row);
                continue;
            }
            Step::Stayed(row, (_, old), (_, new)) => (row, *old, *new),
            Step::Came(row, (key, new)) => {
                let [slot, generation, other, relation] = *key;
                message.came_slot.push(slot);
                message.came_generation.push(generation);
                message.came_other.push(other);
                message.came_relation.push(relation);
                (row, [0; 2], *new)
            }
        };
        if old != new {
            changed.push(row);
            times.push(old[0], new[0]);
            second.push(old[1], new[1]);
        }
    }
    schema::Totals {
        gone: gone.gaps,
        changed: changed.gaps,
        times: times.into(),
        second: second.into(),
        ..message
    }
}

/// The table that follows `before`.
pub(super) fn apply<T: Totals>(before: &T, message: &schema::Totals) -> Result<T, Malformed> {
    let came = came(message)?;
    let mut now = follow(&before.rows(), &message.gone, came, MOST, |(key, _)| *key)?;
    let changed = rows_of(&message.changed, now.len())?;
    let times = Changes::of(message.times.as_ref(), changed.len())?;
    let second = Changes::of(message.second.as_ref(), changed.len())?;
    for (number, row) in changed.into_iter().enumerate() {
        let counts = &mut now[row].1;
        *counts = [
            times.apply(number, counts[0]),
            second.apply(number, counts[1]),
        ];
    }
    Ok(T::from_rows(now))
}

fn came(message: &schema::Totals) -> Result<Vec<Row>, Malformed> {
    let rows = message.came_slot.len();
    let others = [
        &message.came_generation,
        &message.came_other,
        &message.came_relation,
    ];
    if others.iter().any(|column| column.len() != rows) {
        return Err(Malformed::because("the keys of new totals are uneven"));
    }
    let key = |row: usize| {
        [
            message.came_slot[row],
            message.came_generation[row],
            message.came_other[row],
            message.came_relation[row],
        ]
    };
    Ok((0..rows).map(|row| (key(row), [0; 2])).collect())
}
