//! Recordings: all that was read of a host, in a file, so that whatever reads a host can read it again
//! later and elsewhere.
//!
//! # The file
//!
//! Eight bytes that no text begins with ([`MAGIC`]), the version of the format (`u32`), then chunks.
//! A chunk is its body's length (`u32`), the CRC-32 of the body (`u32`), and the body. All numbers are
//! little-endian. The first body is a `Header`; all others, put together, are one stream of zstd, and
//! each of them brings one `Chunk` to light, with its length before it. The schema of both is
//! `agent/daemon/proto/recording.proto`. The last chunk says that nothing follows.
//!
//! One stream, since what one reading tells resembles what the one before it told; one chunk a reading,
//! since whoever is killed then loses no more than the reading under way; a checksum for each, so that
//! what is damaged is found at its place before it is taken for something else.
//!
//! What comes to a ledger is written as the difference from what the histograms let expect, and what comes
//! to sleep as the sum over all states, which is nothing: both are smaller, and give back the same.
//!
//! Nothing is lossy: a recording gives back each reading bit for bit. What was not read is not in it:
//! signals that nobody asked for, and single waits that were held back.

mod agents;
mod chunks;
mod columns;
mod cpus;
mod error;
mod header;
mod host;
mod node_memory;
mod peers;
mod polled;
mod reader;
mod readings;
mod rows;
#[cfg(test)]
mod tests;
mod totals;
mod writer;

#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::large_enum_variant,
    reason = "generated; the schema documents it"
)]
pub(crate) mod schema {
    include!(concat!(env!("OUT_DIR"), "/hostler.recording.v1.rs"));
}

/// The messages of recordings, for whoever sends them another way than in a file.
pub(crate) mod messages {
    pub(crate) use super::{
        agents::{agent, described},
        header::{check_sizes, facts, message as header},
        readings::{apply, changes},
    };
}

/// The longest message that holds a reading, in bytes.
pub(crate) const MAX_READING_BYTES: usize = chunks::MAX_BYTES as usize;

use hostler_observe::monotonic_ns;

use crate::instants::now_ms;

pub use self::{
    error::{Damage, RecordingError},
    reader::{Moment, Reader},
    writer::Writer,
};

/// The time of day at an instant of the monotonic clock, in ms since 1970, in UTC.
pub fn wall_ms_at(at_ns: u64) -> u64 {
    let ago_ms = monotonic_ns().saturating_sub(at_ns) / 1_000_000;
    now_ms().saturating_sub(ago_ms)
}

/// What a recording begins with. The first byte is none of any text, and the others show whether line
/// ends were changed on the way, as those of PNG do.
pub const MAGIC: [u8; 8] = *b"\x89HLR\r\n\x1a\n";

/// The version of the format that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;
