//! What time it is, at the least cost; see `hostler_common::clock`.

use aya_ebpf::{Global, helpers::bpf_ktime_get_ns};
use hostler_common::clock::{PERIOD_NS, updated};

use crate::{maps::CLOCK, offsets::Task};

/// 1 if the run queues' clock is used, set before loading: only where it is the same on all CPUs.
#[unsafe(no_mangle)]
static RUN_QUEUE_CLOCK: Global<u32> = Global::new(0);

/// The time at a wake-up: the kernel has just brought the clock of the run queue up to date that
/// the thread was put on, and holds its lock.
#[inline(always)]
pub(crate) fn now_at_wake_up_ns(task: Task) -> u64 {
    if RUN_QUEUE_CLOCK.load() == 0 {
        return monotonic_ns();
    }
    task.run_queue_clock_ns()
}

/// The same time anywhere else, also at a switch: where a wake-up preempts, the kernel spares itself
/// the clock at the switch that follows, and leaves the time of the wake-up, as if nobody waited.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    let ahead_ns = CLOCK.get(0).map_or(0, |clock| clock.ahead_ns.load());
    monotonic_ns().wrapping_add(ahead_ns)
}

/// Measures the difference of the clocks at a wake-up, if nobody has done so for a while.
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
