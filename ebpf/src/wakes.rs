//! Who wakes whom. Loaded only where somebody asks.
//!
//! At `sched_waking` the running thread is the one that wakes, unless an interrupt has taken its CPU:
//! interrupts are told apart by their depth (`interrupts`), to which the handlers of high-resolution
//! timers, who wake those that sleep for a time, are added. What wakes on an idle CPU is an interrupt,
//! too.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_get_current_task_btf, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use hostler_common::{
    pair::INTERRUPTS,
    slot::OTHER,
    wake::{WakeKey, WakeTotals},
};

use crate::{
    counter::add,
    interrupts,
    maps::{THREADS, WAKES, count_loss},
    offsets::Task,
    placement::node_of,
    threads::current_cpu,
};

/// A thread is about to be woken.
#[btf_tracepoint(function = "sched_waking")]
pub(crate) fn sched_waking(ctx: BtfTracePointContext) -> i32 {
    let task = Task::new(ctx.arg::<*const c_void>(0));
    let Some(woken) = THREADS.get(task) else {
        return 0;
    };
    let cpu = current_cpu();
    let key = WakeKey {
        woken: woken.lease,
        waker: waker(cpu),
        reserved: 0,
    };
    count(key, node_of(cpu) != node_of(task.cpu()));
    0
}

/// The handler of a high-resolution timer begins.
#[btf_tracepoint(function = "hrtimer_expire_entry")]
pub(crate) fn hrtimer_expire_entry(_ctx: BtfTracePointContext) -> i32 {
    interrupts::enter()
}

/// The handler of a high-resolution timer ends.
#[btf_tracepoint(function = "hrtimer_expire_exit")]
pub(crate) fn hrtimer_expire_exit(_ctx: BtfTracePointContext) -> i32 {
    interrupts::leave()
}

#[inline(always)]
fn waker(cpu: u32) -> u32 {
    // SAFETY: the helper takes nothing and returns the running task.
    let current = Task::new(unsafe { bpf_get_current_task_btf() }.cast());
    if interrupts::is_in_one(cpu) || current.is_idle() {
        return INTERRUPTS;
    }
    THREADS
        .get(current)
        .map_or(OTHER, |thread| thread.lease.slot)
}

/// Adds a wake-up to its edge. The map is preallocated: nothing is allocated here.
#[inline(always)]
fn count(key: WakeKey, is_other_node: bool) {
    if let Some(totals) = WAKES.get_ptr_mut(key) {
        // SAFETY: entries are removed by user space only after their slot has rested, or if nobody
        // woke between two readings. The memory stays an edge's in any case.
        let totals = unsafe { &*totals };
        if is_other_node {
            add(&totals.node_wakes, 1);
        }
        add(&totals.wakes, 1);
        return;
    }
    /// `BPF_NOEXIST`: another CPU that was first must not be overwritten.
    const ONLY_NEW: u64 = 1;
    if WAKES
        .insert(key, WakeTotals::first(is_other_node), ONLY_NEW)
        .is_err()
    {
        count_loss!(wakes_not_counted);
    }
}
