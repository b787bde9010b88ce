//! How long threads wait for a CPU, how long they keep it, and how they lose it.
//!
//! A thread becomes runnable when it is woken (`sched_wakeup`, `sched_wakeup_new`) or when it is
//! switched out while it could go on; the wait ends when it is switched in. The two kinds are kept
//! apart, since they have different remedies. Waits are charged to the thread that waited, never
//! to `current`.
//!
//! These programs run under a run-queue lock with interrupts off: they neither allocate nor log.

use core::ffi::c_void;

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use hostler_common::{
    agent_record::AgentRecord,
    ledger::state,
    pair::{NOBODY, relation},
    run_queue::{CpuRecord, RunQueue, cpu_view},
    slot::SlotLease,
    thread_record::{ThreadRecord, flag},
};

use crate::{
    block_io::count_bytes,
    clock::{measure_difference, now_at_wake_up_ns, now_ns},
    counter::{add, add_own, record, record_own},
    faults::count_faults,
    interrupts::{are_over, note_wake_up, or_interrupts},
    ledger::{change_state, enter, leave, move_time, note_change, replace_state},
    maps::{CPUS, LEASES, THREADS, count_loss},
    offsets::Task,
    pairs::{count_long_wait, is_long},
    placement::count_stretch,
    threads::{agent_of, current_cpu},
    throttle,
    wait_events::{Wait, remember_preemptor, send},
};

/// One of [`cpu_view`], set before loading.
#[unsafe(no_mangle)]
static CPU_VIEW: Global<u32> = Global::new(cpu_view::OFF);

/// `TASK_UNINTERRUPTIBLE` of the kernel's `sched.h`.
const TASK_UNINTERRUPTIBLE: u32 = 0x2;

/// `TASK_NOLOAD`: uninterruptible for want of signals only, as idle kernel threads are.
const TASK_NOLOAD: u32 = 0x400;

/// `TASK_DEAD`: the thread will not run again.
const TASK_DEAD: u32 = 0x80;

/// How far the difference of the clocks may be off, in ns: by what steering may change between two
/// measurements, and some more.
const MAX_CLOCK_ERROR_NS: u64 = 100_000;

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
    let previous = Task::new(ctx.arg::<*const c_void>(1));
    let next = Task::new(ctx.arg::<*const c_void>(2));
    let switch = Switch {
        previous,
        next,
        preempted: ctx.arg::<u64>(0) as u8 != 0,
        previous_state: ctx.arg::<u32>(3),
        now_ns: now_ns(),
        cpu: current_cpu(),
    };
    are_over(switch.cpu);
    let mut outgoing = record_unless_idle(previous);
    let mut incoming = record_unless_idle(next);
    // A stretch during which the thread moved is its new agent's: who starts an agent moves into
    // its cgroup first and becomes the agent then.
    let leaving = agent_at(outgoing.as_deref_mut(), previous, &switch);
    let coming = agent_at(incoming.as_deref_mut(), next, &switch);
    let holder = slot_of(outgoing.as_deref());
    let preemptor = slot_of(incoming.as_deref());
    let (mut stopped, mut then, mut ended) = (state::UNKNOWN, state::UNKNOWN, state::UNKNOWN);
    if let (Some(thread), Some(agent)) = (outgoing, leaving) {
        then = switched_out(agent, thread, &switch, preemptor);
        stopped = replace_state(thread, then, switch.now_ns);
    }
    if let (Some(thread), Some(agent)) = (incoming, coming) {
        switched_in(agent, thread, &switch, holder);
        ended = replace_state(thread, state::ON_CPU, switch.now_ns);
    }
    if let (Some(agent), Some(_)) = (leaving, coming)
        && holder == preemptor
        && stopped == state::ON_CPU
    {
        // As many threads of the agent's are on this CPU as before.
        if then == ended {
            note_change(agent);
        } else {
            enter(agent, then, switch.now_ns);
            leave(agent, ended, switch.now_ns);
        }
        return 0;
    }
    if let Some(agent) = leaving {
        leave(agent, stopped, switch.now_ns);
        enter(agent, then, switch.now_ns);
    }
    if let Some(agent) = coming {
        leave(agent, ended, switch.now_ns);
        enter(agent, state::ON_CPU, switch.now_ns);
    }
    0
}

/// What is true of a switch for both of its threads.
struct Switch {
    previous: Task,
    next: Task,
    preempted: bool,
    previous_state: u32,
    now_ns: u64,
    cpu: u32,
}

#[inline(always)]
fn record_of(task: Task) -> Option<&'static mut ThreadRecord> {
    let thread = THREADS.get(task);
    if thread.is_none() {
        count_loss!(threads_without_record);
    }
    thread
}

#[inline(always)]
fn record_unless_idle(task: Task) -> Option<&'static mut ThreadRecord> {
    if task.is_idle() {
        None
    } else {
        record_of(task)
    }
}

#[inline(always)]
fn agent_at(
    thread: Option<&mut ThreadRecord>,
    task: Task,
    switch: &Switch,
) -> Option<&'static AgentRecord> {
    agent_of(thread?, task, switch.cpu, switch.now_ns)
}

/// Whose the thread is, or nobody if the CPU is idle.
#[inline(always)]
fn slot_of(thread: Option<&ThreadRecord>) -> u32 {
    thread.map_or(NOBODY, |thread| thread.lease.slot)
}

#[inline(always)]
fn woken(task: Task) -> i32 {
    let now_ns = now_at_wake_up_ns(task);
    let Some(thread) = record_of(task) else {
        // The first to be woken have no record yet, and how the clock stands must be known before.
        measure_difference(now_ns);
        return 0;
    };
    // A thread can be woken before it has left its CPU, or while it waits after a preemption: it
    // does not start to wait by that.
    if matches!(
        thread.state.load(),
        state::ON_CPU | state::WAITING_WOKEN | state::WAITING_PREEMPTED | state::THROTTLED
    ) {
        return 0;
    }
    thread.flags &= !flag::SINCE_UNKNOWN;
    measure_difference(now_ns);
    if let Some(agent) = agent_of(thread, task, current_cpu(), now_ns) {
        let to = if task.is_throttled() {
            state::THROTTLED
        } else {
            state::WAITING_WOKEN
        };
        change_state(agent, thread, to, now_ns);
        throttle::note(thread, task, to);
        note_wake_up(task);
    }
    0
}

/// Counts what the thread did on its CPU, and returns the state in which it leaves that.
#[inline(always)]
fn switched_out(
    agent: &AgentRecord,
    thread: &mut ThreadRecord,
    switch: &Switch,
    preemptor: u32,
) -> u32 {
    let task = switch.previous;
    count_run(agent, thread, switch);
    count_bytes_and_faults(agent, thread, task);
    thread.set_preemptor_slot(preemptor);
    let to = state_after(task, switch);
    if to == state::WAITING_PREEMPTED {
        remember_preemptor(thread, switch.next);
    }
    throttle::note(thread, task, to);
    to
}

/// Adds the bytes and faults that have come to the kernel's counts of the thread.
#[inline(always)]
fn count_bytes_and_faults(agent: &AgentRecord, thread: &mut ThreadRecord, task: Task) {
    let (bytes, faults) = (task.read_and_written_bytes(), task.faults());
    let (read, written) = bytes.unwrap_or_default();
    let sum = read
        .wrapping_add(written)
        .wrapping_add(faults.0)
        .wrapping_add(faults.1);
    if sum != thread.counts_sum {
        thread.counts_sum = sum;
        if let Some(bytes) = bytes {
            count_bytes(agent, thread, bytes);
        }
        count_faults(agent, thread, faults);
    }
}

/// What a thread that leaves its CPU does from then on.
#[inline(always)]
fn state_after(task: Task, switch: &Switch) -> u32 {
    // A preempted thread may already have marked itself as about to sleep: it still waits.
    if switch.preempted || task.is_runnable() {
        return if task.is_throttled() {
            state::THROTTLED
        } else {
            state::WAITING_PREEMPTED
        };
    }
    if switch.previous_state & TASK_DEAD != 0 {
        return state::DEAD;
    }
    if switch.previous_state & (TASK_UNINTERRUPTIBLE | TASK_NOLOAD) != TASK_UNINTERRUPTIBLE {
        return state::ASLEEP;
    }
    if task.is_in_iowait() {
        state::BLOCKED_IO
    } else {
        state::BLOCKED
    }
}

/// Counts the wait that ends as the thread gets the CPU.
#[inline(always)]
fn switched_in(agent: &AgentRecord, thread: &mut ThreadRecord, switch: &Switch, holder: u32) {
    match thread.state.load() {
        state::WAITING_WOKEN => count_wait(agent, thread, switch, false, holder),
        state::WAITING_PREEMPTED => {
            count_wait(agent, thread, switch, true, thread.preemptor_slot());
        }
        _ => {}
    }
}

#[inline(always)]
fn count_run(agent: &AgentRecord, thread: &mut ThreadRecord, switch: &Switch) {
    // The kernel's own rule for `nvcsw` and `nivcsw`.
    let involuntary = switch.preempted || switch.previous_state == 0;
    let ran_ns = if thread.state.load() == state::ON_CPU && thread.flags & flag::SINCE_UNKNOWN == 0
    {
        elapsed_ns(thread.since_ns, switch.now_ns)
    } else {
        None
    };
    thread.flags &= !flag::SINCE_UNKNOWN;
    if let Some(ns) = ran_ns
        && thread.flags & flag::PROVISIONAL != 0
    {
        count_loss!(provisional_ns, ns);
    }
    if let Some(ns) = ran_ns {
        count_stretch(thread.lease.slot, switch.cpu, ns);
    }
    add_run(&agent.run_queue, ran_ns, involuntary);
    if let Some(cpu) = cpu_view_of(thread.lease, switch.cpu) {
        let run_queue = &cpu.run_queue;
        if let Some(ns) = ran_ns {
            record_own(&run_queue.on_cpu, ns);
            add_own(&cpu.on_cpu_ns, ns);
        } else {
            add_own(&run_queue.unmeasured_stretches, 1);
        }
        if involuntary {
            add_own(&run_queue.involuntary_switches, 1);
        }
    }
}

#[inline(always)]
fn count_wait(
    agent: &AgentRecord,
    thread: &mut ThreadRecord,
    switch: &Switch,
    preempted: bool,
    cause: u32,
) {
    if thread.flags & flag::SINCE_UNKNOWN != 0 {
        thread.flags &= !flag::SINCE_UNKNOWN;
        return;
    }
    let Some(ns) = elapsed_ns(thread.since_ns, switch.now_ns) else {
        return;
    };
    let held_back_ns = throttle::held_back_ns(thread, switch.next).min(ns);
    if held_back_ns > 0 {
        move_time(agent, thread.state.load(), state::THROTTLED, held_back_ns);
    }
    let ns = ns - held_back_ns;
    add_wait(&agent.run_queue, ns, preempted);
    let relation = if preempted {
        relation::PREEMPTOR
    } else {
        relation::HOLDER
    };
    if is_long(ns) {
        let cause = if preempted {
            cause
        } else {
            or_interrupts(cause, switch.cpu, ns)
        };
        count_long_wait(thread.lease, cause, relation, ns);
        send(&Wait {
            task: switch.next,
            thread,
            previous: switch.previous,
            cause,
            relation,
            wait_ns: ns,
            now_ns: switch.now_ns,
            cpu: switch.cpu,
        });
    }
    if let Some(cpu) = cpu_view_of(thread.lease, switch.cpu) {
        let (histogram, total_ns) = if preempted {
            (&cpu.run_queue.preempt_wait, &cpu.preempt_wait_ns)
        } else {
            (&cpu.run_queue.wake_wait, &cpu.wake_wait_ns)
        };
        record_own(histogram, ns);
        add_own(total_ns, ns);
    }
}

// Whatever is counted is counted before the ledger shows that something happened: a reader that sees
// that unchanged may skip all else.

#[inline(always)]
fn add_run(run_queue: &RunQueue, ran_ns: Option<u64>, involuntary: bool) {
    if let Some(ns) = ran_ns {
        record(&run_queue.on_cpu, ns);
    } else {
        add(&run_queue.unmeasured_stretches, 1);
    }
    if involuntary {
        add(&run_queue.involuntary_switches, 1);
    }
}

#[inline(always)]
fn add_wait(run_queue: &RunQueue, ns: u64, preempted: bool) {
    if preempted {
        record(&run_queue.preempt_wait, ns);
    } else {
        record(&run_queue.wake_wait, ns);
    }
}

/// This CPU's record, if views per CPU are asked for and count this agent.
#[inline(always)]
fn cpu_view_of(lease: SlotLease, cpu: u32) -> Option<&'static CpuRecord> {
    let counted = match CPU_VIEW.load() {
        cpu_view::OFF => false,
        cpu_view::ALL => true,
        _ => LEASES
            .get(lease.slot)
            .is_some_and(|state| state.selected.load() != 0),
    };
    if counted { CPUS.get(cpu) } else { None }
}

/// Time since `since_ns`; `None` if that lies ahead because the clocks of two CPUs differ by more
/// than what the two ways to read the time may.
#[inline(always)]
fn elapsed_ns(since_ns: u64, now_ns: u64) -> Option<u64> {
    if since_ns > now_ns + MAX_CLOCK_ERROR_NS {
        count_loss!(negative_durations);
        return None;
    }
    Some(now_ns.saturating_sub(since_ns))
}
