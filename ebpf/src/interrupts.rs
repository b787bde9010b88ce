//! Waits for a CPU that interrupts had.
//!
//! While a CPU serves an interrupt, some thread or the idle one is still its current one, and
//! would be blamed for the wait of whoever was woken for that CPU. So the time in handlers is added
//! up for each CPU, and noted when a thread is woken. All this is loaded only where somebody asks
//! who made whom wait, or who wakes whom.

use aya_ebpf::{
    Global, helpers::generated::bpf_get_current_task_btf, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use hostler_common::{interrupts::InterruptRecord, pair::INTERRUPTS as BY_INTERRUPTS};

use crate::{clock::monotonic_ns, maps::INTERRUPTS, offsets::Task, threads::current_cpu, wakes};

/// 1 if interrupts are to be told apart, set before loading.
#[unsafe(no_mangle)]
static INTERRUPTS_WANTED: Global<u32> = Global::new(0);

/// How the kernel's threads are called that serve what interrupts left, with the first bytes that
/// fit a word. They are threads, and blamed as such.
const KSOFTIRQD: [u8; 8] = *b"ksoftirq";

/// A handler begins.
#[btf_tracepoint(function = "irq_handler_entry")]
pub(crate) fn irq_handler_entry(_ctx: BtfTracePointContext) -> i32 {
    enter()
}

/// A handler ends.
#[btf_tracepoint(function = "irq_handler_exit")]
pub(crate) fn irq_handler_exit(_ctx: BtfTracePointContext) -> i32 {
    leave()
}

/// What handlers left for later begins.
#[btf_tracepoint(function = "softirq_entry")]
pub(crate) fn softirq_entry(ctx: BtfTracePointContext) -> i32 {
    if is_in_ksoftirqd() {
        return 0;
    }
    wakes::network_begins(ctx.arg::<u32>(0));
    enter()
}

/// What handlers left for later ends.
#[btf_tracepoint(function = "softirq_exit")]
pub(crate) fn softirq_exit(ctx: BtfTracePointContext) -> i32 {
    if is_in_ksoftirqd() {
        return 0;
    }
    wakes::network_ends(ctx.arg::<u32>(0));
    leave()
}

// A handler that interrupts one of these functions ends before it goes on: what it has changed in
// between is as it was.

#[inline(always)]
pub(crate) fn enter() -> i32 {
    if let Some(cpu) = INTERRUPTS.get(current_cpu()) {
        let depth = cpu.depth.load();
        if depth == 0 {
            cpu.entered_ns.store(monotonic_ns());
        }
        cpu.depth.store(depth + 1);
    }
    0
}

#[inline(always)]
pub(crate) fn leave() -> i32 {
    let Some(cpu) = INTERRUPTS.get(current_cpu()) else {
        return 0;
    };
    // A handler may have begun before this was attached.
    let Some(depth) = cpu.depth.load().checked_sub(1) else {
        return 0;
    };
    if depth == 0 {
        let took_ns = monotonic_ns().saturating_sub(cpu.entered_ns.load());
        cpu.total_ns
            .store(cpu.total_ns.load().wrapping_add(took_ns));
    }
    cpu.depth.store(depth);
    0
}

/// A CPU that goes from one thread to another serves no interrupt. An end that was not seen, as that of a
/// handler within one of these programs, is made up for here.
#[inline(always)]
pub(crate) fn are_over(cpu: u32) {
    if INTERRUPTS_WANTED.load() != 0
        && let Some(cpu) = INTERRUPTS.get(cpu)
        && cpu.depth.load() != 0
    {
        cpu.depth.store(0);
    }
}

/// Notes, as a thread is woken, what interrupts have taken until now from the CPU that it waits for.
#[inline(always)]
pub(crate) fn note_wake_up(task: Task) {
    if INTERRUPTS_WANTED.load() != 0
        && let Some(cpu) = INTERRUPTS.get(task.cpu())
    {
        let taken_ns = taken_ns(cpu);
        // Whoever wakes threads of another CPU would take this line from it each time.
        if cpu.at_wake_ns.load() != taken_ns {
            cpu.at_wake_ns.store(taken_ns);
        }
    }
}

/// Who made a woken thread wait for `wait_ns`: interrupts, if they had the CPU for at least half of
/// it, or `holder`.
#[inline(always)]
pub(crate) fn or_interrupts(holder: u32, cpu: u32, wait_ns: u64) -> u32 {
    if INTERRUPTS_WANTED.load() == 0 {
        return holder;
    }
    match INTERRUPTS.get(cpu) {
        Some(cpu) if taken_ns(cpu).wrapping_sub(cpu.at_wake_ns.load()) >= wait_ns / 2 => {
            BY_INTERRUPTS
        }
        _ => holder,
    }
}

/// Time that interrupts have taken from a CPU until now.
#[inline(always)]
fn taken_ns(cpu: &InterruptRecord) -> u64 {
    let passing_ns = if cpu.depth.load() == 0 {
        0
    } else {
        monotonic_ns().saturating_sub(cpu.entered_ns.load())
    };
    cpu.total_ns.load().wrapping_add(passing_ns)
}

#[inline(always)]
fn is_in_ksoftirqd() -> bool {
    // SAFETY: the helper takes nothing and returns the running task.
    let current = Task::new(unsafe { bpf_get_current_task_btf() }.cast());
    current.is_kernel_thread() && current.name()[..8] == KSOFTIRQD
}
