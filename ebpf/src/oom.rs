//! Processes that the kernel ended because memory ran out.
//!
//! The kernel notes in a victim's `signal_struct` the memory that it was to free; a process that
//! exits with such a note was a victim. (`oom:mark_victim` passes other things from kernel to
//! kernel.) It is counted when its first thread exits; one whose first thread had ended before is
//! missed. One that was on its way out anyway when memory ran out is counted, too.

use core::ffi::c_void;

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use crate::{
    clock::now_ns,
    counter::add,
    lifecycle::count_change,
    maps::THREADS,
    offsets::Task,
    threads::{agent_of, current_cpu},
};

/// A thread exits. It is still on its CPU, and preemption is off in here, so that nobody else
/// changes its record.
#[btf_tracepoint(function = "sched_process_exit")]
pub(crate) fn sched_process_exit(ctx: BtfTracePointContext) -> i32 {
    let task = Task::new(ctx.arg::<*const c_void>(0));
    if !task.is_first_of_process() {
        return 0;
    }
    count_change(task);
    if !task.is_oom_victim() {
        return 0;
    }
    if let Some(thread) = THREADS.get(task)
        && let Some(agent) = agent_of(thread, task, current_cpu(), now_ns())
    {
        add(&agent.oom_kills, 1);
    }
    0
}
