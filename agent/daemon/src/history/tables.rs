//! The tables of a history.

use prost::Message as _;
use redb::{ReadableTable, TableDefinition};

use super::{
    Resolution,
    error::{Malformed, Trouble},
    schema::Stretch,
};

/// Samples: by chunk of series, and when their stretch of time began, in ms since 1970.
pub(super) type Chunks = TableDefinition<'static, (u32, u64), &'static [u8]>;

/// Stretches of time by when they began, in ms since 1970.
pub(super) type Stretches = TableDefinition<'static, u64, &'static [u8]>;

/// Who has a series, by its number.
pub(super) const SERIES: TableDefinition<'static, u32, &'static [u8]> =
    TableDefinition::new("series");

/// Numbers of series, by who has them.
pub(super) const NUMBERS: TableDefinition<'static, (u8, &'static str, &'static str), u32> =
    TableDefinition::new("numbers");

/// What holds for the file as a whole, by the names below.
pub(super) const MARKS: TableDefinition<'static, &'static str, u64> = TableDefinition::new("marks");

/// The layout that this is.
pub(super) const LAYOUT: (&str, u64) = ("layout", 1);
/// 1 while somebody writes.
pub(super) const IS_OPEN: &str = "is_open";
/// The next number of a group.
pub(super) const NEXT_GROUP: &str = "next_group";
/// The next number of an agent.
pub(super) const NEXT_AGENT: &str = "next_agent";

impl Resolution {
    pub(super) fn chunks(self) -> Chunks {
        TableDefinition::new(match self {
            Self::Seconds => "seconds",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
        })
    }

    pub(super) fn stretches(self) -> Stretches {
        TableDefinition::new(match self {
            Self::Seconds => "stretches_of_seconds",
            Self::Minutes => "stretches_of_minutes",
            Self::Hours => "stretches_of_hours",
        })
    }

    /// The mark of what its chunks take, in bytes.
    pub(super) fn bytes_mark(self) -> &'static str {
        match self {
            Self::Seconds => "bytes_of_seconds",
            Self::Minutes => "bytes_of_minutes",
            Self::Hours => "bytes_of_hours",
        }
    }

    /// The mark of when what is not yet rolled up to it begins, in ms since 1970.
    pub(super) fn rolled_mark(self) -> &'static str {
        match self {
            Self::Seconds => "rolled_to_seconds",
            Self::Minutes => "rolled_to_minutes",
            Self::Hours => "rolled_to_hours",
        }
    }
}

/// The stretches that begin from `from_ms` on and before `to_ms`, in order.
pub(super) fn stretches_in(
    table: &impl ReadableTable<u64, &'static [u8]>,
    from_ms: u64,
    to_ms: u64,
) -> Result<Vec<(u64, Stretch)>, Trouble> {
    let mut stretches = Vec::new();
    for entry in table.range(from_ms..to_ms)? {
        let (at, value) = entry?;
        stretches.push((at.value(), stretch(value.value())?));
    }
    Ok(stretches)
}

/// A stretch as it was written.
pub(super) fn stretch(bytes: &[u8]) -> Result<Stretch, Trouble> {
    Stretch::decode(bytes)
        .map_err(|error| Trouble::Malformed(Malformed(format!("a stretch of time: {error}"))))
}
