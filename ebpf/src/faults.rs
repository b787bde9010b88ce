//! Page faults of threads.
//!
//! The kernel counts them for each thread anyway. Whatever has come to these counts while a thread
//! was on a CPU is added to its agent when it leaves that, also for the last time.

use hostler_common::{
    agent_record::AgentRecord, faults::UNKNOWN_FAULTS, thread_record::ThreadRecord,
};

use crate::counter::add;

/// Adds the thread's faults since it was last switched out.
#[inline(always)]
pub(crate) fn count_faults(
    agent: &AgentRecord,
    thread: &mut ThreadRecord,
    (minor, major): (u64, u64),
) {
    if minor != thread.minor_faults {
        if thread.minor_faults != UNKNOWN_FAULTS {
            add(&agent.faults.minor, minor.wrapping_sub(thread.minor_faults));
        }
        thread.minor_faults = minor;
    }
    if major != thread.major_faults {
        if thread.major_faults != UNKNOWN_FAULTS {
            add(&agent.faults.major, major.wrapping_sub(thread.major_faults));
        }
        thread.major_faults = major;
    }
}
