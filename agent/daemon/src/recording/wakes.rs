//! Wakes: who woke whom.

use std::collections::BTreeMap;

use hostler_common::{
    slot::SlotLease,
    wake::{MAX_WAKES, WakeKey},
};
use hostler_decide::wakes::WakeSignal;

use super::{
    columns::{Changes, ColumnOut},
    rows::{Gaps, Malformed, Step, follow, rows_of, steps},
    schema,
};

type Row = (WakeKey, WakeSignal);

/// What makes `now` of `before`.
pub(super) fn changes(
    before: &BTreeMap<WakeKey, WakeSignal>,
    now: &BTreeMap<WakeKey, WakeSignal>,
) -> schema::Wakes {
    let mut message = schema::Wakes::default();
    let (mut gone, mut changed) = <(Gaps, Gaps)>::default();
    let (mut wakes, mut node_wakes) = <(ColumnOut, ColumnOut)>::default();
    for step in steps(&rows(before), &rows(now), |(key, _)| *key) {
        let (row, old, new) = match step {
            Step::Gone(row) => {
                gone.push(row);
                continue;
            }
            Step::Stayed(row, (_, old), (_, new)) => (row, *old, *new),
            Step::Came(row, (key, new)) => {
                message.came_slot.push(key.woken.slot);
                message.came_generation.push(key.woken.generation);
                message.came_waker.push(key.waker);
                (row, WakeSignal::default(), *new)
            }
        };
        if old != new {
            changed.push(row);
            wakes.push(old.wakes, new.wakes);
            node_wakes.push(old.node_wakes, new.node_wakes);
        }
    }
    schema::Wakes {
        gone: gone.gaps,
        changed: changed.gaps,
        wakes: wakes.into(),
        node_wakes: node_wakes.into(),
        ..message
    }
}

fn rows(wakes: &BTreeMap<WakeKey, WakeSignal>) -> Vec<Row> {
    wakes.iter().map(|(&key, &signal)| (key, signal)).collect()
}

/// The table that follows `before`.
pub(super) fn apply(
    before: &BTreeMap<WakeKey, WakeSignal>,
    message: &schema::Wakes,
) -> Result<BTreeMap<WakeKey, WakeSignal>, Malformed> {
    let most = 2 * MAX_WAKES as usize;
    let came = came(message)?;
    let mut now = follow(&rows(before), &message.gone, came, most, |(key, _)| *key)?;
    let changed = rows_of(&message.changed, now.len())?;
    let wakes = Changes::of(message.wakes.as_ref(), changed.len())?;
    let node_wakes = Changes::of(message.node_wakes.as_ref(), changed.len())?;
    for (number, row) in changed.into_iter().enumerate() {
        let signal = &mut now[row].1;
        signal.wakes = wakes.apply(number, signal.wakes);
        signal.node_wakes = node_wakes.apply(number, signal.node_wakes);
    }
    Ok(now.into_iter().collect())
}

fn came(message: &schema::Wakes) -> Result<Vec<Row>, Malformed> {
    let rows = message.came_slot.len();
    if message.came_generation.len() != rows || message.came_waker.len() != rows {
        return Err(Malformed::because("the keys of new edges are uneven"));
    }
    let key = |row: usize| WakeKey {
        woken: SlotLease {
            slot: message.came_slot[row],
            generation: message.came_generation[row],
        },
        waker: message.came_waker[row],
        reserved: 0,
    };
    Ok((0..rows)
        .map(|row| (key(row), WakeSignal::default()))
        .collect())
}
