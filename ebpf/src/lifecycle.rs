//! Threads and cgroups that come and go: who gets a record, who gets a slot.
//!
//! These programs run in process context, outside the scheduler's locks: they may allocate, send
//! events and log.

use core::ffi::c_void;

use aya_ebpf::{
    Global,
    helpers::generated::{bpf_get_current_task_btf, bpf_probe_read_kernel_str},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::warn;
use hostler_common::{
    event::{PATH_BYTES, kind},
    ledger::state,
    slot::{OTHER, SlotLease},
    thread_record::flag,
};

use crate::{
    clock::{monotonic_ns, now_ns},
    counter::{add, add_u32},
    maps::{
        CGROUP_SLOTS, CHANGES, EVENTS, FREE_SLOTS, LEASES, LOSSES, PROCESS_SLOTS, THREADS,
        count_loss,
    },
    offsets::{Cgroup, Task},
    threads::{agent_of, current_cpu, has_rules},
};

/// Id of the root of the v2 hierarchy; set before loading.
#[unsafe(no_mangle)]
static ROOT_CGROUP_ID: Global<u64> = Global::new(1);

/// `CLONE_THREAD` of the kernel's `sched.h`: a thread of the same process.
const CLONE_THREAD: u64 = 0x0001_0000;

/// A thread was made (also an io_uring worker, which `sched_process_fork` never sees).
#[btf_tracepoint(function = "task_newtask")]
pub(crate) fn task_newtask(ctx: BtfTracePointContext) -> i32 {
    let child = Task::new(ctx.arg::<*const c_void>(0));
    let clone_flags = ctx.arg::<u64>(1);
    let Some(record) = THREADS.get_or_create(child) else {
        count_loss!(records_not_made);
        warn!(
            &ctx,
            "no memory for a thread's record: its waits will not be measured"
        );
        return 0;
    };
    // A new process in the root cgroup, or of an agent that a rule made, belongs to its parent's
    // agent until user space has seen what it became. Everywhere else the cgroup tells, at the
    // first switch.
    // SAFETY: the helper takes nothing and returns the running task.
    let parent = Task::new(unsafe { bpf_get_current_task_btf() }.cast::<c_void>());
    let is_process = clone_flags & CLONE_THREAD == 0;
    if is_process {
        count_change(child);
    }
    let Some(parent) = THREADS.get(parent) else {
        return 0;
    };
    let css_set = child.css_set();
    let by_rule = parent.flags & flag::RULE != 0;
    if by_rule || parent.flags & flag::PROCESS != 0 && parent.css_set == css_set {
        record.lease = parent.lease;
        record.flags = parent.flags & (flag::PROCESS | flag::RULE | flag::PROVISIONAL);
        // With rules, who is not known yet looks at each change of state until it is.
        if !(has_rules() && is_process) {
            record.css_set = parent.css_set;
        }
    } else if has_rules() {
        record.flags = parent.flags & flag::PROVISIONAL;
    } else {
        return 0;
    }
    if is_process {
        record.flags |= flag::PROVISIONAL;
    }
    0
}

/// A process runs another program: what rules said of it holds no longer.
#[btf_tracepoint(function = "sched_process_exec")]
pub(crate) fn sched_process_exec(ctx: BtfTracePointContext) -> i32 {
    let task = Task::new(ctx.arg::<*const c_void>(0));
    count_change(task);
    if !has_rules() {
        return 0;
    }
    // Its absence is the only way to fail, and means that nothing was said yet.
    let _absent = PROCESS_SLOTS.remove(task.process_id());
    if let Some(record) = THREADS.get(task) {
        record.flags |= flag::PROVISIONAL;
        record.css_set = 0;
    }
    0
}

/// A process moved to another cgroup. Threads look where they belong at their next change of state,
/// which catches every way into a cgroup; but who moves itself there may compute for long before
/// that, or to its end, so it looks at once.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub(crate) fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    let moved = Task::new(ctx.arg::<*const c_void>(2));
    // Into the root cgroup or out of it, which is too rare to be told apart.
    count_any_change();
    // SAFETY: the helper takes nothing and returns the running task.
    let current = Task::new(unsafe { bpf_get_current_task_btf() }.cast::<c_void>());
    if moved.process_id() != current.process_id() {
        return 0;
    }
    // While it is on its CPU, and preemption is off as it is in here, nobody else changes this.
    if let Some(thread) = THREADS.get(current)
        && thread.state.load() == state::ON_CPU
    {
        agent_of(thread, current, current_cpu(), now_ns());
    }
    0
}

/// Counts a change of a process that user space has a word to say about.
#[inline(always)]
pub(crate) fn count_change(task: Task) {
    if has_rules() || task.cgroup_id() == ROOT_CGROUP_ID.load() {
        count_any_change();
    }
}

#[inline(always)]
fn count_any_change() {
    if let Some(changes) = CHANGES.get(0) {
        add(&changes.count, 1);
    }
}

/// A cgroup was made: it gets a slot at once, so that its first microsecond counts.
#[btf_tracepoint(function = "cgroup_mkdir")]
pub(crate) fn cgroup_mkdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Cgroup::new(ctx.arg::<*const c_void>(0));
    if !cgroup.is_v2() {
        return 0;
    }
    let cgroup_id = cgroup.id();
    let lease = lease_slot(cgroup_id);
    if lease.slot == OTHER {
        count_loss!(cgroups_without_slot);
    }
    if lease.slot == OTHER && is_worth_a_word() {
        warn!(
            &ctx,
            "no slot was ready for cgroup {}: its threads are counted as other until it has one",
            cgroup_id
        );
    }
    send(kind::CGROUP_MADE, cgroup_id, lease, ctx.arg::<*const u8>(1));
    0
}

/// A cgroup was removed: its slot is user space's again.
#[btf_tracepoint(function = "cgroup_rmdir")]
pub(crate) fn cgroup_rmdir(ctx: BtfTracePointContext) -> i32 {
    let cgroup = Cgroup::new(ctx.arg::<*const c_void>(0));
    if !cgroup.is_v2() {
        return 0;
    }
    let cgroup_id = cgroup.id();
    // SAFETY: the value is copied out at once.
    let lease = unsafe { CGROUP_SLOTS.get(cgroup_id) }
        .copied()
        .unwrap_or_default();
    // Its absence is the only way to fail, and means that there was no slot to begin with.
    let _absent = CGROUP_SLOTS.remove(cgroup_id);
    send(
        kind::CGROUP_REMOVED,
        cgroup_id,
        lease,
        ctx.arg::<*const u8>(1),
    );
    0
}

/// A storm of cgroups must not become a storm of words: the 1st, 2nd, 4th, 8th … is worth one.
#[inline(always)]
fn is_worth_a_word() -> bool {
    LOSSES
        .get(0)
        .is_some_and(|losses| losses.cgroups_without_slot.load().is_power_of_two())
}

/// Takes a free slot for the cgroup; the lease of `OTHER` if there is none.
#[inline(always)]
fn lease_slot(cgroup_id: u64) -> SlotLease {
    let Ok(Some(slot)) = FREE_SLOTS.pop() else {
        return SlotLease::default();
    };
    let Some(state) = LEASES.get(slot) else {
        return SlotLease::default();
    };
    add_u32(&state.generation, 1);
    let lease = SlotLease {
        slot,
        generation: state.generation.load(),
    };
    if CGROUP_SLOTS.insert(cgroup_id, lease, 0).is_err() {
        return SlotLease::default();
    }
    lease
}

#[inline(always)]
fn send(kind: u32, cgroup_id: u64, lease: SlotLease, path: *const u8) {
    let Some(mut entry) = EVENTS.reserve(0) else {
        count_loss!(events_not_sent);
        return;
    };
    let event = entry.as_mut_ptr();
    let at_ns = monotonic_ns();
    // SAFETY: the kernel reserved an event's size at `event`, and each field of it is written
    // before it is submitted; the path is a string of the kernel's, read by the helper for that.
    unsafe {
        (*event).kind = kind;
        (*event).cgroup_id = cgroup_id;
        (*event).lease = lease;
        (*event).at_ns = at_ns;
        (*event).path = [0; PATH_BYTES];
        let read = bpf_probe_read_kernel_str(
            (&raw mut (*event).path).cast(),
            PATH_BYTES as u32,
            path.cast(),
        );
        // The count includes the terminating zero; an error is below zero.
        (*event).path_length = if read > 0 { read as u32 - 1 } else { 0 };
        if (*event).path_length == PATH_BYTES as u32 - 1 {
            (*event).path_length = PATH_BYTES as u32;
        }
    }
    entry.submit(0);
}
