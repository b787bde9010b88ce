//! What goes when its time is over, or when the file would become too large.

use std::time::Duration;

use prost::Message as _;
use redb::{ReadableTable as _, WriteTransaction};

use super::{
    Resolution, Retention,
    error::Trouble,
    schema::Stretch,
    tables::{MARKS, stretch},
};

/// Stretches that go in one transaction at the most, by resolution: twice as many as can come. So a clock
/// that is wrong for a moment can't take a whole history with it.
const MOST_AT_A_TIME: usize = 8;

/// Of the file, what is not for samples, in bytes: names, and room for what changes.
const FIXED_BYTES: u64 = 2 << 20;

/// How much of the rest the samples may fill: a database's pages are not full, and what is replaced is free
/// a little later. With 4,000 agents the file is 1.5 times as large as its samples.
const FILL: f64 = 0.5;

/// Removes what is too old at `now_ms`, and the oldest of what is too much. How many stretches went for
/// want of room.
pub(super) fn expire(
    transaction: &WriteTransaction,
    retention: &Retention,
    now_ms: u64,
) -> Result<u64, Trouble> {
    for resolution in Resolution::ALL {
        let span = retention.spans[resolution.index()];
        let oldest_ms = now_ms.saturating_sub(milliseconds(span));
        for _ in 0..MOST_AT_A_TIME {
            if !remove_first(transaction, resolution, oldest_ms)? {
                break;
            }
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a size"
    )]
    let most_bytes = (retention.size_bytes.saturating_sub(FIXED_BYTES) as f64 * FILL) as u64;
    let mut gone = 0;
    for _ in 0..MOST_AT_A_TIME {
        let sizes = sizes(transaction)?;
        if sizes.iter().sum::<u64>() <= most_bytes {
            break;
        }
        let largest = Resolution::ALL
            .into_iter()
            .max_by_key(|resolution| sizes[resolution.index()]);
        let largest = largest.expect("there are three");
        // The newest one stays, whatever its size.
        if !remove_first(transaction, largest, now_ms)? {
            break;
        }
        gone += 1;
    }
    Ok(gone)
}

/// What the samples of each resolution take, in bytes.
pub(super) fn sizes(transaction: &WriteTransaction) -> Result<[u64; 3], Trouble> {
    let marks = transaction.open_table(MARKS)?;
    let mut sizes = [0; 3];
    for resolution in Resolution::ALL {
        let bytes = marks.get(resolution.bytes_mark())?;
        sizes[resolution.index()] = bytes.map_or(0, |bytes| bytes.value());
    }
    Ok(sizes)
}

/// Notes that the samples of a resolution take so much more or less.
pub(super) fn add_bytes(
    transaction: &WriteTransaction,
    resolution: Resolution,
    change: i64,
) -> Result<(), Trouble> {
    let mut marks = transaction.open_table(MARKS)?;
    let mark = resolution.bytes_mark();
    let bytes = marks.get(mark)?.map_or(0, |bytes| bytes.value());
    marks.insert(mark, bytes.saturating_add_signed(change))?;
    Ok(())
}

/// Removes the first stretch of a resolution if it began before `before_ms`; whether there was one.
fn remove_first(
    transaction: &WriteTransaction,
    resolution: Resolution,
    before_ms: u64,
) -> Result<bool, Trouble> {
    let gone = {
        let mut stretches = transaction.open_table(resolution.stretches())?;
        let first = {
            let first = stretches.range(..before_ms)?.next().transpose()?;
            match first {
                Some((at, value)) => Some((at.value(), stretch(value.value())?)),
                None => None,
            }
        };
        if let Some((at, _)) = &first {
            stretches.remove(at)?;
        }
        first
    };
    let Some((at, stretch)) = gone else {
        return Ok(false);
    };
    remove_chunks(transaction, resolution, at, &stretch)?;
    Ok(true)
}

/// Removes the samples of a stretch.
pub(super) fn remove_chunks(
    transaction: &WriteTransaction,
    resolution: Resolution,
    at_ms: u64,
    stretch: &Stretch,
) -> Result<(), Trouble> {
    let mut table = transaction.open_table(resolution.chunks())?;
    for chunk in &stretch.chunks {
        table.remove((*chunk, at_ms))?;
    }
    drop(table);
    let bytes = i64::try_from(stretch.bytes + stretch.encoded_len() as u64).unwrap_or(i64::MAX);
    add_bytes(transaction, resolution, -bytes)
}

fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
