//! Pairs: who made whom wait.

use std::collections::BTreeMap;

use hostler_common::{
    pair::{MAX_PAIRS, PairKey},
    slot::SlotLease,
};
use hostler_decide::signal::PairSignal;

use super::{
    columns::{Changes, ColumnOut},
    rows::{Gaps, Malformed, Step, follow, rows_of, steps},
    schema,
};

type Row = (PairKey, PairSignal);

/// What makes `now` of `before`.
pub(super) fn changes(
    before: &BTreeMap<PairKey, PairSignal>,
    now: &BTreeMap<PairKey, PairSignal>,
) -> schema::Pairs {
    let mut message = schema::Pairs::default();
    let (mut gone, mut changed) = <(Gaps, Gaps)>::default();
    let (mut waits, mut wait_ns) = <(ColumnOut, ColumnOut)>::default();
    for step in steps(&rows(before), &rows(now), |(key, _)| *key) {
        let (row, old, new) = match step {
            Step::Gone(row) => {
                gone.push(row);
                continue;
            }
            Step::Stayed(row, (_, old), (_, new)) => (row, *old, *new),
            Step::Came(row, (key, new)) => {
                message.came_slot.push(key.waiter.slot);
                message.came_generation.push(key.waiter.generation);
                message.came_cause.push(key.cause);
                message.came_relation.push(key.relation);
                (row, PairSignal::default(), *new)
            }
        };
        if old != new {
            changed.push(row);
            waits.push(old.waits, new.waits);
            wait_ns.push(old.wait_ns, new.wait_ns);
        }
    }
    schema::Pairs {
        gone: gone.gaps,
        changed: changed.gaps,
        waits: waits.into(),
        wait_ns: wait_ns.into(),
        ..message
    }
}

fn rows(pairs: &BTreeMap<PairKey, PairSignal>) -> Vec<Row> {
    pairs.iter().map(|(&key, &signal)| (key, signal)).collect()
}

/// The table that follows `before`.
pub(super) fn apply(
    before: &BTreeMap<PairKey, PairSignal>,
    message: &schema::Pairs,
) -> Result<BTreeMap<PairKey, PairSignal>, Malformed> {
    let came: Vec<Row> = came(message)?;
    let mut now = follow(
        &rows(before),
        &message.gone,
        came,
        2 * MAX_PAIRS as usize,
        |(key, _)| *key,
    )?;
    let changed = rows_of(&message.changed, now.len())?;
    let waits = Changes::of(message.waits.as_ref(), changed.len())?;
    let wait_ns = Changes::of(message.wait_ns.as_ref(), changed.len())?;
    for (number, row) in changed.into_iter().enumerate() {
        let signal = &mut now[row].1;
        signal.waits = waits.apply(number, signal.waits);
        signal.wait_ns = wait_ns.apply(number, signal.wait_ns);
    }
    Ok(now.into_iter().collect())
}

fn came(message: &schema::Pairs) -> Result<Vec<Row>, Malformed> {
    let rows = message.came_slot.len();
    let others = [
        &message.came_generation,
        &message.came_cause,
        &message.came_relation,
    ];
    if others.iter().any(|column| column.len() != rows) {
        return Err(Malformed::because("the keys of new pairs are uneven"));
    }
    let key = |row: usize| PairKey {
        waiter: SlotLease {
            slot: message.came_slot[row],
            generation: message.came_generation[row],
        },
        cause: message.came_cause[row],
        relation: message.came_relation[row],
    };
    Ok((0..rows)
        .map(|row| (key(row), PairSignal::default()))
        .collect())
}
