//! Which agent a thread belongs to.
//!
//! The answer is cached in the thread's record and looked up again when the thread's `css_set` is
//! another one (it moved), when user space asks for it, or when its slot was given to somebody
//! else since. With the agent, the thread's present state moves from ledger to ledger.

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use hostler_common::{
    agent_record::AgentRecord,
    slot::{KERNEL, OTHER, SlotLease, TICK_NS, record_index},
    thread_record::{ThreadRecord, flag},
};

use crate::{
    ledger::{enter, leave},
    maps::{AGENTS, CGROUP_SLOTS, PROCESS_SLOTS},
    offsets::Task,
};

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
    let is_leased = thread.lease.generation == agent.generation.load();
    if is_leased && thread.css_set == css_set {
        return Some(agent);
    }
    let state = thread.state.load();
    if is_leased {
        leave(agent, state, now_ns);
    }
    // Who is nobody's yet may be given a slot at any time: the next change of state looks again.
    thread.css_set = if assign(thread, task) { css_set } else { 0 };
    let agent = leased(thread, cpu)?;
    enter(agent, state, now_ns);
    Some(agent)
}

/// The record that the thread's lease names.
#[inline(always)]
fn leased(thread: &ThreadRecord, cpu: u32) -> Option<&'static AgentRecord> {
    AGENTS.get(record_index(thread.lease.slot, cpu))
}

/// Looks up whose the thread is, and returns whether it is anybody's.
#[inline(always)]
fn assign(thread: &mut ThreadRecord, task: Task) -> bool {
    // SAFETY: the value is copied out at once; a lease that changes meanwhile is noticed by its
    // generation at the next change of state.
    if let Some(lease) = unsafe { CGROUP_SLOTS.get(task.cgroup_id()) } {
        thread.lease = *lease;
        thread.flags &= !(flag::PROCESS | flag::PROVISIONAL);
        return true;
    }
    if task.is_kernel_thread() {
        thread.lease = SlotLease {
            slot: KERNEL,
            generation: 0,
        };
        return true;
    }
    // SAFETY: as above.
    let process = unsafe { PROCESS_SLOTS.get(task.process_id()) };
    match process {
        // A lease of an earlier process with the same id must not be taken.
        Some(process) if process.started_ticks == task.process_started_ns() / TICK_NS => {
            thread.lease = process.lease;
            thread.flags = thread.flags & !flag::PROVISIONAL | flag::PROCESS;
            true
        }
        _ => {
            thread.lease = SlotLease {
                slot: OTHER,
                generation: 0,
            };
            thread.flags &= !(flag::PROCESS | flag::PROVISIONAL);
            false
        }
    }
}
