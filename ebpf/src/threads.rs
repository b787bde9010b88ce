//! Which agent a thread belongs to.
//!
//! A rule comes first, then the thread's cgroup, and in the root cgroup its process's program.
//! The answer is cached in the thread's record and looked up again when the thread's `css_set` is
//! another one (it moved), when user space asks for it, or when its slot was given to somebody
//! else since. With the agent, the thread's present state moves from ledger to ledger.

use aya_ebpf::{Global, helpers::generated::bpf_get_smp_processor_id};
use hostler_common::{
    agent_record::AgentRecord,
    ledger::state,
    slot::{KERNEL, OTHER, ProcessLease, SlotLease, TICK_NS, claim, record_index},
    thread_record::{ThreadRecord, flag},
};

use crate::{
    ledger::{enter, leave},
    maps::{AGENTS, CGROUP_SLOTS, LEASES, PROCESS_SLOTS, count_loss},
    offsets::Task,
};

/// Whether there are rules, 1 or 0; set before loading. Without them the verifier removes what
/// they cost.
#[unsafe(no_mangle)]
static RULES: Global<u32> = Global::new(0);

/// Whether rules may say whose a process is.
#[inline(always)]
pub(crate) fn has_rules() -> bool {
    RULES.load() != 0
}

/// The CPU that the program runs on.
#[inline(always)]
pub(crate) fn current_cpu() -> u32 {
    // SAFETY: the helper takes nothing and touches nothing.
    unsafe { bpf_get_smp_processor_id() }
}

/// The agent that the thread belongs to, looked up if it may have changed.
#[inline(always)]
pub(crate) fn agent_of(
    thread: &mut ThreadRecord,
    task: Task,
    cpu: u32,
    now_ns: u64,
) -> Option<&'static AgentRecord> {
    let css_set = task.css_set();
    let agent = leased(thread, cpu)?;
    let is_leased = thread.lease.generation == LEASES.get(thread.lease.slot)?.generation.load();
    if is_leased && thread.css_set == css_set {
        return Some(agent);
    }
    let state = thread.state.load();
    if is_leased {
        leave(agent, state, now_ns);
    }
    let was_provisional = thread.flags & flag::PROVISIONAL;
    let is_known = assign(thread, task, is_leased);
    let is_provisional = thread.flags & flag::PROVISIONAL;
    // Of whom nothing is known yet, something may be said at any time: the next change of state
    // looks again.
    let is_settled = is_known && !(has_rules() && is_provisional != 0);
    thread.css_set = if is_settled { css_set } else { 0 };
    if state == state::ON_CPU && was_provisional > is_provisional {
        count_loss!(provisional_ns, now_ns.saturating_sub(thread.since_ns));
    }
    let agent = leased(thread, cpu)?;
    enter(agent, state, now_ns);
    Some(agent)
}

/// Whose the thread is now, without taking note of it: for who must not move it from ledger to ledger.
/// Others who moved it may not have been seen yet.
#[inline(always)]
pub(crate) fn lease_now(thread: &ThreadRecord, task: Task) -> SlotLease {
    let lease = thread.lease;
    let is_leased = LEASES
        .get(lease.slot)
        .is_some_and(|state| state.generation.load() == lease.generation);
    if is_leased && (thread.css_set == task.css_set() || thread.flags & flag::RULE != 0) {
        return lease;
    }
    // SAFETY: the value is copied out at once; one that changes meanwhile was right a moment ago.
    match unsafe { CGROUP_SLOTS.get(task.cgroup_id()) } {
        Some(lease) => *lease,
        None if is_leased => lease,
        None => SlotLease {
            slot: OTHER,
            generation: 0,
        },
    }
}

/// The record that the thread's lease names, of those that this CPU writes to.
#[inline(always)]
fn leased(thread: &ThreadRecord, cpu: u32) -> Option<&'static AgentRecord> {
    AGENTS.get(record_index(thread.lease.slot, cpu))
}

/// Looks up whose the thread is, and returns whether it is anybody's. `is_leased` says that the
/// slot that it has is still its agent's.
#[inline(always)]
fn assign(thread: &mut ThreadRecord, task: Task, is_leased: bool) -> bool {
    if has_rules() && !task.is_kernel_thread() {
        match process_lease(task) {
            Some(process) if process.claim == claim::RULE => {
                thread.lease = process.lease;
                thread.flags = thread.flags & !flag::PROVISIONAL | flag::PROCESS | flag::RULE;
                return true;
            }
            Some(_) => thread.flags &= !(flag::RULE | flag::PROVISIONAL),
            // A child of a rule's agent is that agent's until user space has looked at it, also
            // when it has moved to another cgroup meanwhile.
            None if is_leased && thread.flags & flag::RULE != 0 => return true,
            None => {}
        }
    } else {
        thread.flags &= !flag::PROVISIONAL;
    }
    by_cgroup(thread, task)
}

/// As [`assign`], where no rule says anything.
#[inline(always)]
fn by_cgroup(thread: &mut ThreadRecord, task: Task) -> bool {
    // SAFETY: the value is copied out at once; a lease that changes meanwhile is noticed by its
    // generation at the next change of state.
    if let Some(lease) = unsafe { CGROUP_SLOTS.get(task.cgroup_id()) } {
        thread.lease = *lease;
        thread.flags &= !flag::PROCESS;
        return true;
    }
    if task.is_kernel_thread() {
        thread.lease = SlotLease {
            slot: KERNEL,
            generation: 0,
        };
        return true;
    }
    match process_lease(task) {
        Some(process) if process.claim == claim::PROGRAM => {
            thread.lease = process.lease;
            thread.flags |= flag::PROCESS;
            true
        }
        _ => {
            thread.lease = SlotLease {
                slot: OTHER,
                generation: 0,
            };
            thread.flags &= !flag::PROCESS;
            false
        }
    }
}

/// What user space has said of the thread's process; not of an earlier one with the same id.
#[inline(always)]
fn process_lease(task: Task) -> Option<&'static ProcessLease> {
    // SAFETY: an element stays memory of the map's during this run. It may be reused for another
    // process while it is read: whose this one is will be looked up again then, as it has gone.
    let process = unsafe { PROCESS_SLOTS.get(task.process_id()) }?;
    (process.started_ticks == task.process_started_ns() / TICK_NS).then_some(process)
}
