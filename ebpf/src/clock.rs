//! What time it is, at the least cost; see `hostler_common::clock`.

use aya_ebpf::{Global, helpers::bpf_ktime_get_ns};
use hostler_common::clock::{PERIOD_NS, updated};

use crate::{maps::CLOCK, offsets::Task};

/// 1 if the run queues' clock is used, set before loading: only where it is the same on all CPUs.
#[unsafe(no_mangle)]
static RUN_QUEUE_CLOCK: Global<u32> = Global::new(0);

/// The time, for a program that holds the lock of the thread's run queue: the kernel has brought
/// that run queue's clock up to date just before.
#[inline(always)]
pub(crate) fn now_ns(task: Task) -> u64 {
    if RUN_QUEUE_CLOCK.load() == 0 {
        return monotonic_ns();
    }
    task.run_queue_clock_ns()
}

/// The same time anywhere else.
#[inline(always)]
pub(crate) fn now_in_process_ns() -> u64 {
    let ahead_ns = CLOCK.get(0).map_or(0, |clock| clock.ahead_ns.load());
    monotonic_ns().wrapping_add(ahead_ns)
}

/// Measures the difference of the clocks, if nobody has done so for a while. For wake-ups: there the
/// run queue's clock is fresh, while at a switch the kernel may have left it as it was.
#[inline(always)]
pub(crate) fn measure_difference(now_ns: u64) {
    if RUN_QUEUE_CLOCK.load() == 0 {
        return;
    }
    let Some(clock) = CLOCK.get(0) else {
        return;
    };
    let measured_at_ns = clock.measured_at_ns.load();
    let since_ns = now_ns.saturating_sub(measured_at_ns);
    if since_ns < PERIOD_NS {
        return;
    }
    let measured = now_ns.wrapping_sub(monotonic_ns());
    // Several CPUs may be here at once: each leaves a difference that was true just now.
    clock.ahead_ns.store(if measured_at_ns == 0 {
        measured
    } else {
        updated(clock.ahead_ns.load(), measured, since_ns)
    });
    clock.measured_at_ns.store(now_ns);
}

/// The monotonic clock.
#[inline(always)]
pub(crate) fn monotonic_ns() -> u64 {
    // SAFETY: the helper takes nothing and touches nothing.
    unsafe { bpf_ktime_get_ns() }
}
