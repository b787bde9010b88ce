//! Which agent a thread belongs to.
//!
//! The answer is cached in the thread's record and looked up again when the thread's `css_set` is
//! another one (it moved), or when its slot was given to somebody else since.

use aya_ebpf::helpers::generated::bpf_get_smp_processor_id;
use hostler_common::{
    agent_record::AgentRecord,
    slot::{KERNEL, OTHER, SlotLease, record_index},
    thread_record::{ADOPT, ThreadRecord, flag},
};

use crate::{
    maps::{AGENTS, CGROUP_SLOTS},
    offsets::Task,
};

/// The CPU that the program runs on.
#[inline(always)]
pub(crate) fn current_cpu() -> u32 {
    // SAFETY: the helper takes nothing and touches nothing.
    unsafe { bpf_get_smp_processor_id() }
}

/// The agent that the thread belongs to now, looked up if it may have changed.
#[inline(always)]
pub(crate) fn agent_now(
    thread: &mut ThreadRecord,
    task: Task,
    cpu: u32,
) -> Option<&'static AgentRecord> {
    let css_set = task.css_set();
    let agent = leased(thread, cpu)?;
    if thread.css_set == css_set && thread.lease.generation == agent.generation.load() {
        return Some(agent);
    }
    if thread.css_set != ADOPT {
        thread.lease = look_up(task);
        thread.flags &= !(flag::PROCESS | flag::PROVISIONAL);
    }
    thread.css_set = css_set;
    leased(thread, cpu)
}

/// The record that the thread's lease names.
#[inline(always)]
fn leased(thread: &ThreadRecord, cpu: u32) -> Option<&'static AgentRecord> {
    AGENTS.get(record_index(thread.lease.slot, cpu))
}

#[inline(always)]
fn look_up(task: Task) -> SlotLease {
    // SAFETY: the value is copied out at once; a lease that changes meanwhile is noticed by its
    // generation at the next switch.
    if let Some(lease) = unsafe { CGROUP_SLOTS.get(task.cgroup_id()) } {
        return *lease;
    }
    let slot = if task.is_kernel_thread() {
        KERNEL
    } else {
        OTHER
    };
    SlotLease {
        slot,
        generation: 0,
    }
}
