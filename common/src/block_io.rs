//! Bytes that threads had read from storage and made to be written to it.
//!
//! They are differences of the kernel's own accounting of each thread, the one that `/proc/PID/io`
//! shows: a read is charged to the thread that submitted it, a write to the one that dirtied the
//! page (or wrote past the page cache), which may be long before it is written. What is read from
//! the page cache is not counted, nor is what is swapped out. A dirtied page that is truncated
//! before it was written stays counted: the kernel knows that as `cancelled_write_bytes`, charged
//! to whoever truncates, so that taking it off here would charge the wrong one.

use crate::shared::SharedU64;

/// Cumulative bytes of one agent.
#[repr(C)]
#[derive(Default)]
pub struct BlockIo {
    /// Bytes whose reading its threads submitted.
    pub read_bytes: SharedU64,
    /// Bytes that its threads dirtied, or wrote directly.
    pub written_bytes: SharedU64,
}

const _: () = assert!(size_of::<BlockIo>() == 16);

/// In place of a thread's byte counts: how much it had read and written before is not known, so
/// its next count only sets a beginning.
pub const UNKNOWN_BYTES: u64 = u64::MAX;
