//! Who wakes whom. Loaded only where somebody asks.
//!
//! At `sched_waking` the running thread is the one that wakes, unless an interrupt has taken its CPU:
//! interrupts are told apart by their depth (`interrupts`), to which the handlers of high-resolution
//! timers, who wake those that sleep for a time, are added. What wakes on an idle CPU is an interrupt,
//! too.
//!
//! What the network leaves for later (softirqs) is laid to who asked for it: a thread that sends over
//! loopback receives on the other end's behalf right away, and is who wakes it. Asked for by a device, it
//! is an interrupt.

use core::ffi::c_void;

use aya_ebpf::{
    Global, helpers::generated::bpf_get_current_task_btf, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use hostler_common::{
    interrupts::InterruptRecord,
    pair::INTERRUPTS as BY_INTERRUPTS,
    slot::OTHER,
    wake::{WakeKey, WakeTotals},
};

use crate::{
    counter::add,
    interrupts,
    maps::{INTERRUPTS, THREADS, WAKES, count_loss},
    offsets::Task,
    placement::node_of,
    threads::{current_cpu, lease_now},
};

/// 1 if somebody asks, set before loading.
#[unsafe(no_mangle)]
static WAKES_WANTED: Global<u32> = Global::new(0);

/// A thread is about to be woken.
#[btf_tracepoint(function = "sched_waking")]
pub(crate) fn sched_waking(ctx: BtfTracePointContext) -> i32 {
    let task = Task::new(ctx.arg::<*const c_void>(0));
    let Some(woken) = THREADS.get(task) else {
        return 0;
    };
    let cpu = current_cpu();
    let Some(record) = INTERRUPTS.get(cpu) else {
        return 0;
    };
    let key = WakeKey {
        woken: lease_now(woken, task),
        waker: waker(record),
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

/// Somebody asks for what is left for later to run.
#[btf_tracepoint(function = "softirq_raise")]
pub(crate) fn softirq_raise(ctx: BtfTracePointContext) -> i32 {
    let cpu = current_cpu();
    if is_network(ctx.arg::<u32>(0))
        && let Some(record) = INTERRUPTS.get(cpu)
    {
        let by = match waker(record) {
            BY_INTERRUPTS => 0,
            slot => u64::from(slot) + 1,
        };
        record.network_asked_by.store(by);
    }
    0
}

/// What was left for later begins.
#[inline(always)]
pub(crate) fn network_begins(what: u32) {
    if WAKES_WANTED.load() != 0
        && is_network(what)
        && let Some(record) = INTERRUPTS.get(current_cpu())
    {
        record
            .network_runs_for
            .store(record.network_asked_by.load());
    }
}

/// What was left for later ends.
#[inline(always)]
pub(crate) fn network_ends(what: u32) {
    if WAKES_WANTED.load() != 0
        && is_network(what)
        && let Some(record) = INTERRUPTS.get(current_cpu())
    {
        record.network_runs_for.store(0);
    }
}

/// `NET_TX_SOFTIRQ` and `NET_RX_SOFTIRQ` of the kernel's `interrupt.h`.
#[inline(always)]
fn is_network(what: u32) -> bool {
    what == 2 || what == 3
}

/// Whose doing it is what happens now on this CPU: a slot, or interrupts.
#[inline(always)]
fn waker(cpu: &InterruptRecord) -> u32 {
    let network_runs_for = cpu.network_runs_for.load();
    match cpu.depth.load() {
        0 => {}
        1 if network_runs_for != 0 => return (network_runs_for - 1) as u32,
        _ => return BY_INTERRUPTS,
    }
    // SAFETY: the helper takes nothing and returns the running task.
    let current = Task::new(unsafe { bpf_get_current_task_btf() }.cast());
    if current.is_idle() {
        return BY_INTERRUPTS;
    }
    THREADS
        .get(current)
        .map_or(OTHER, |thread| lease_now(thread, current).slot)
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
