//! Whose a socket is.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_get_current_task_btf;
use hostler_common::{slot::SlotLease, thread_record::flag};

use crate::{
    maps::{CGROUP_SLOTS, LEASES, THREADS},
    offsets::Task,
};

/// The agent of the process that runs.
#[inline(always)]
pub(super) fn lease_of_running_process() -> SlotLease {
    // SAFETY: the helper takes nothing and returns the running task.
    lease_of_process(Task::new(
        unsafe { bpf_get_current_task_btf() }.cast::<c_void>(),
    ))
}

/// The agent of a process: what a rule says, then the cgroup that it is in now, then what is known of
/// the thread.
#[inline(always)]
pub(super) fn lease_of_process(task: Task) -> SlotLease {
    let of_thread = THREADS.get(task).map(|thread| (thread.lease, thread.flags));
    if let Some((lease, flags)) = of_thread
        && flags & flag::RULE != 0
        && is_held(lease)
    {
        return lease;
    }
    // SAFETY: the value is copied out at once; one that is old is noticed by its generation.
    if let Some(lease) = unsafe { CGROUP_SLOTS.get(task.cgroup_id()) } {
        return *lease;
    }
    match of_thread {
        Some((lease, _)) if is_held(lease) => lease,
        _ => SlotLease::default(),
    }
}

/// The agent of a cgroup; the lease of "other" if it has none.
#[inline(always)]
pub(super) fn lease_of_cgroup(cgroup_id: u64) -> SlotLease {
    // SAFETY: as above.
    unsafe { CGROUP_SLOTS.get(cgroup_id) }
        .copied()
        .unwrap_or_default()
}

/// Whether the slot is still its agent's.
#[inline(always)]
pub(super) fn is_held(lease: SlotLease) -> bool {
    LEASES
        .get(lease.slot)
        .is_some_and(|state| state.generation.load() == lease.generation)
}
