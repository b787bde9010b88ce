//! How long threads wait for a CPU, how long they keep it, and how they lose it.
//!
//! A thread becomes runnable when it is woken (`sched_wakeup`, `sched_wakeup_new`) or when it is
//! switched out while it could go on; the wait ends when it is switched in. The two kinds are kept
//! apart, since they have different remedies. Waits are charged to the thread that waited, never
//! to `current`.
//!
//! These programs run under a run-queue lock with interrupts off: they neither allocate nor log.

use aya_ebpf::{
    Global, helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use core::ffi::c_void;
use hostler_common::{
    agent_record::AgentRecord,
    run_queue::{RunQueue, cpu_view},
    thread_record::{ThreadRecord, flag},
};

use crate::{
    counter::{add, record},
    maps::{CPUS, THREADS, count_loss},
    offsets::Task,
    threads::{agent_now, current_cpu},
};

/// One of [`cpu_view`], set before loading.
#[unsafe(no_mangle)]
static CPU_VIEW: Global<u32> = Global::new(cpu_view::OFF);

/// A sleeping thread became runnable.
#[btf_tracepoint(function = "sched_wakeup")]
pub(crate) fn sched_wakeup(ctx: BtfTracePointContext) -> i32 {
    woken(Task::new(ctx.arg::<*const c_void>(0)))
}

/// A new thread became runnable for the first time.
#[btf_tracepoint(function = "sched_wakeup_new")]
pub(crate) fn sched_wakeup_new(ctx: BtfTracePointContext) -> i32 {
    woken(Task::new(ctx.arg::<*const c_void>(0)))
}

/// A CPU goes from one thread to another.
#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn sched_switch(ctx: BtfTracePointContext) -> i32 {
    let preempted = ctx.arg::<u64>(0) as u8 != 0;
    let previous = Task::new(ctx.arg::<*const c_void>(1));
    let next = Task::new(ctx.arg::<*const c_void>(2));
    let previous_state = ctx.arg::<u32>(3);
    let now_ns = now_ns();
    let cpu = current_cpu();
    if !previous.is_idle() {
        switched_out(previous, now_ns, cpu, preempted, previous_state);
    }
    if !next.is_idle() {
        switched_in(next, now_ns, cpu);
    }
    0
}

#[inline(always)]
fn woken(task: Task) -> i32 {
    let Some(thread) = THREADS.get(task) else {
        count_loss!(threads_without_record);
        return 0;
    };
    // A thread can be woken before it has left its CPU, or while it waits after a preemption: it
    // does not start to wait by that.
    if thread.on_cpu_since_ns == 0 && thread.runnable_since_ns == 0 {
        thread.runnable_since_ns = now_ns();
        thread.flags &= !flag::PREEMPTED;
    }
    0
}

#[inline(always)]
fn switched_out(task: Task, now_ns: u64, cpu: u32, preempted: bool, state: u32) {
    let Some(thread) = THREADS.get(task) else {
        count_loss!(threads_without_record);
        return;
    };
    // A stretch during which the thread moved is its new agent's: who starts an agent moves into
    // its cgroup first and becomes the agent then.
    if let Some(agent) = agent_now(thread, task, cpu) {
        // The kernel's own rule for `nvcsw` and `nivcsw`.
        let voluntary = !preempted && state != 0;
        count_run(agent, thread, now_ns, cpu, voluntary);
    }
    thread.on_cpu_since_ns = 0;
    // A preempted thread may already have marked itself as about to sleep: it still waits.
    if preempted || task.is_runnable() {
        thread.runnable_since_ns = now_ns;
        thread.flags |= flag::PREEMPTED;
    } else {
        thread.runnable_since_ns = 0;
    }
}

#[inline(always)]
fn switched_in(task: Task, now_ns: u64, cpu: u32) {
    let Some(thread) = THREADS.get(task) else {
        count_loss!(threads_without_record);
        return;
    };
    if let Some(agent) = agent_now(thread, task, cpu) {
        count_wait(agent, thread, now_ns, cpu);
    }
    thread.runnable_since_ns = 0;
    thread.on_cpu_since_ns = now_ns;
}

#[inline(always)]
fn count_run(agent: &AgentRecord, thread: &ThreadRecord, now_ns: u64, cpu: u32, voluntary: bool) {
    let ran_ns = elapsed_ns(thread.on_cpu_since_ns, now_ns);
    if let Some(ns) = ran_ns
        && thread.flags & flag::PROVISIONAL != 0
    {
        count_loss!(provisional_ns, ns);
    }
    add_run(&agent.run_queue, ran_ns, voluntary);
    if let Some(run_queue) = cpu_view_of(agent, cpu) {
        add_run(run_queue, ran_ns, voluntary);
    }
}

#[inline(always)]
fn count_wait(agent: &AgentRecord, thread: &ThreadRecord, now_ns: u64, cpu: u32) {
    let Some(ns) = elapsed_ns(thread.runnable_since_ns, now_ns) else {
        return;
    };
    let preempted = thread.flags & flag::PREEMPTED != 0;
    add_wait(&agent.run_queue, ns, preempted);
    if let Some(run_queue) = cpu_view_of(agent, cpu) {
        add_wait(run_queue, ns, preempted);
    }
}

// A duration is counted in its bucket before it is added to the sum: a reader that sees the sums
// unchanged may skip the buckets.

#[inline(always)]
fn add_run(run_queue: &RunQueue, ran_ns: Option<u64>, voluntary: bool) {
    if let Some(ns) = ran_ns {
        record(&run_queue.on_cpu, ns);
        add(&run_queue.on_cpu_ns, ns);
    }
    if voluntary {
        add(&run_queue.voluntary_switches, 1);
    } else {
        add(&run_queue.involuntary_switches, 1);
    }
}

#[inline(always)]
fn add_wait(run_queue: &RunQueue, ns: u64, preempted: bool) {
    if preempted {
        record(&run_queue.preempt_wait, ns);
        add(&run_queue.preempt_wait_ns, ns);
    } else {
        record(&run_queue.wake_wait, ns);
        add(&run_queue.wake_wait_ns, ns);
    }
}

/// This CPU's record, if views per CPU are asked for and count this agent.
#[inline(always)]
fn cpu_view_of(agent: &AgentRecord, cpu: u32) -> Option<&'static RunQueue> {
    let counted = match CPU_VIEW.load() {
        cpu_view::OFF => false,
        cpu_view::ALL => true,
        _ => agent.selected.load() != 0,
    };
    if counted {
        CPUS.get(cpu).map(|record| &record.run_queue)
    } else {
        None
    }
}

/// Time since `since_ns`; `None` if that is not known (0), or lies ahead because the clocks of two
/// CPUs differ.
#[inline(always)]
fn elapsed_ns(since_ns: u64, now_ns: u64) -> Option<u64> {
    if since_ns == 0 {
        return None;
    }
    if since_ns > now_ns {
        count_loss!(negative_durations);
        return None;
    }
    Some(now_ns - since_ns)
}

#[inline(always)]
fn now_ns() -> u64 {
    // SAFETY: the helper takes nothing and touches nothing.
    unsafe { bpf_ktime_get_ns() }
}
