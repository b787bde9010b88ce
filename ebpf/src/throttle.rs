//! CPU quotas that run out while a thread waits for its turn.
//!
//! Before Linux 6.18 the kernel throttles a group's run queue with all threads on it. Who runs when
//! the quota is used up is seen to be held back as it is switched out; who waits at that time is
//! not switched. But the run queue adds up for how long it was throttled, so that a wait is found
//! to have been one for quota in part when it ends.

use hostler_common::{ledger::state, thread_record::ThreadRecord};

use crate::offsets::Task;

/// The time is kept in units of 2¹⁵ ns, 20 bits of it: a wait of up to 34 s.
const UNIT_LOG2: u32 = 15;
const TIME_BITS: u32 = 20;

/// Notes for how long the thread's run queue has been throttled, if it begins to wait there.
#[inline(always)]
pub(crate) fn note(thread: &mut ThreadRecord, task: Task, to: u32) {
    if to == state::WAITING_WOKEN || to == state::WAITING_PREEMPTED {
        thread.throttled_stamp = stamp(task);
    }
}

/// For how long the thread's run queue was throttled while the thread waited, in ns.
#[inline(always)]
pub(crate) fn held_back_ns(thread: &ThreadRecord, task: Task) -> u64 {
    let (before, now) = (thread.throttled_stamp, stamp(task));
    // On another CPU another time is kept: what passed on the first is not known.
    if before >> TIME_BITS != now >> TIME_BITS {
        return 0;
    }
    let units = now.wrapping_sub(before) & ((1 << TIME_BITS) - 1);
    u64::from(units) << UNIT_LOG2
}

/// The time, and above it the CPU.
#[inline(always)]
fn stamp(task: Task) -> u32 {
    let Some((cpu, throttled_ns)) = task.run_queue_throttled_ns() else {
        return 0;
    };
    let time = (throttled_ns >> UNIT_LOG2) as u32 & ((1 << TIME_BITS) - 1);
    (cpu << TIME_BITS) | time
}
