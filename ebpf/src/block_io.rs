//! What threads read from storage and write to it.
//!
//! The kernel counts both for each thread anyway. Whatever has come to these counts while a thread
//! was on a CPU is added to its agent when it leaves that, also for the last time; a thread that
//! did nothing of the kind costs two loads.

use hostler_common::{
    agent_record::AgentRecord, block_io::UNKNOWN_BYTES, thread_record::ThreadRecord,
};

use crate::counter::add;

/// Adds what the thread has read and written since it was last switched out.
#[inline(always)]
pub(crate) fn count_bytes(
    agent: &AgentRecord,
    thread: &mut ThreadRecord,
    (read_bytes, written_bytes): (u64, u64),
) {
    if read_bytes != thread.read_bytes {
        if thread.read_bytes != UNKNOWN_BYTES {
            add(
                &agent.block_io.read_bytes,
                read_bytes.wrapping_sub(thread.read_bytes),
            );
        }
        thread.read_bytes = read_bytes;
    }
    if written_bytes != thread.written_bytes {
        if thread.written_bytes != UNKNOWN_BYTES {
            let more_bytes = written_bytes.wrapping_sub(thread.written_bytes);
            add(&agent.block_io.written_bytes, more_bytes);
        }
        thread.written_bytes = written_bytes;
    }
}
