//! Minutes made of seconds, and hours of minutes.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use hostler_decide::samples::Sample;
use redb::{ReadableTable as _, WriteTransaction};

use super::{
    Resolution,
    error::Trouble,
    rows::{decode, encode},
    store::put,
    tables::{MARKS, stretches_in},
};

/// Stretches that are made in one transaction at the most: after a long gap it goes on in the next ones.
const MOST_AT_A_TIME: usize = 4;

/// Makes the stretches of `to` that are over at `now_ms` of those of `from`. When each began, and who has
/// samples in it.
pub(super) fn roll_up(
    transaction: &WriteTransaction,
    (from, to): (Resolution, Resolution),
    now_ms: u64,
) -> Result<Vec<(u64, HashSet<u32>)>, Trouble> {
    let length_ms = to.length_ms();
    let floor = |ms: u64| ms - ms % length_ms;
    let mark = to.rolled_mark();
    let (mut next, mut made) = {
        let marks = transaction.open_table(MARKS)?;
        let mark = marks.get(mark)?.map_or(0, |at| at.value());
        // A clock that was set back: what comes again is made again.
        (mark.min(floor(now_ms)), Vec::new())
    };
    while made.len() < MOST_AT_A_TIME {
        let first = {
            let stretches = transaction.open_table(from.stretches())?;
            let first = stretches.range(next..floor(now_ms))?.next().transpose()?;
            first.map(|(at, _)| at.value())
        };
        let Some(first) = first else {
            next = floor(now_ms);
            break;
        };
        let began = floor(first);
        made.push((began, sum_up(transaction, (from, to), began)?));
        next = began + length_ms;
    }
    let mut marks = transaction.open_table(MARKS)?;
    marks.insert(mark, next)?;
    Ok(made)
}

/// Makes one stretch. Who has samples in it.
fn sum_up(
    transaction: &WriteTransaction,
    (from, to): (Resolution, Resolution),
    began_ms: u64,
) -> Result<HashSet<u32>, Trouble> {
    let stretches = {
        let table = transaction.open_table(from.stretches())?;
        stretches_in(&table, began_ms, began_ms + to.length_ms())?
    };
    let length_us = (stretches.iter()).fold(0, |sum: u64, (_, stretch)| {
        sum.saturating_add(stretch.length_us)
    });
    let chunks: BTreeSet<u32> = (stretches.iter())
        .flat_map(|(_, stretch)| stretch.chunks.iter().copied())
        .collect();
    let mut touched = HashSet::new();
    let mut encoded = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let sums = {
            let table = transaction.open_table(from.chunks())?;
            let mut sums: BTreeMap<u32, Sample> = BTreeMap::new();
            for (at, stretch) in &stretches {
                if let Some(bytes) = table.get((chunk, *at))? {
                    for (series, sample) in decode(bytes.value(), stretch.length_us)? {
                        sums.entry(series).or_default().append(&sample);
                    }
                }
            }
            sums
        };
        touched.extend(sums.keys().copied());
        let rows: Vec<(u32, Sample)> = sums.into_iter().collect();
        encoded.push((chunk, encode(&rows)));
    }
    put(transaction, to, began_ms, length_us, &encoded)?;
    Ok(touched)
}
