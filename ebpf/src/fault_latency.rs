//! How long page faults take, where this kernel lets programs run as its functions begin and end.
//!
//! A fault may take several attempts: one that has to wait for storage lets go of its locks
//! meanwhile, and is tried again. What counts is the time from the first attempt to the end of the
//! last, and what is a fault, and a major one, is the kernel's own rule (`mm_account_fault`). So
//! there are as many lengths as the kernel counts faults; those of a thread that moves to another
//! agent count for the one that it was last known to belong to, and one that was given up for a
//! signal and happens again counts from its first attempt.

use aya_ebpf::{
    helpers::generated::bpf_get_current_task_btf,
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use hostler_common::{slot::OTHER, thread_record::ThreadRecord};

use crate::{
    clock::monotonic_ns,
    counter::record,
    maps::{FAULT_LATENCIES, LEASES, THREADS, count_loss},
    offsets::Task,
};

/// The arguments of `handle_mm_fault`, and what it returns.
const ADDRESS: usize = 1;
const FLAGS: usize = 2;
const OUTCOME: usize = 4;

/// `FAULT_FLAG_TRIED` of the kernel's `mm_types.h`.
const TRIED: u64 = 1 << 5;

/// Values of `enum vm_fault_reason` of the same.
const MAJOR: u64 = 0x4;
const RETRY: u64 = 0x400;
/// `VM_FAULT_ERROR`: out of memory, bus error, poisoned memory (two), segmentation fault, fallback.
const ERROR: u64 = 0x1 | 0x2 | 0x10 | 0x20 | 0x40 | 0x800;

/// The kernel begins to handle a fault of the running thread.
#[fentry(function = "handle_mm_fault")]
pub(crate) fn fault_begins(ctx: FEntryContext) -> i32 {
    let Some(thread) = running_thread() else {
        count_loss!(threads_without_record);
        return 0;
    };
    let address = ctx.arg::<u64>(ADDRESS);
    if thread.fault_began_ns == 0 || thread.fault_address != address {
        thread.fault_began_ns = monotonic_ns();
        thread.fault_address = address;
    }
    0
}

/// It has handled it, or given up.
#[fexit(function = "handle_mm_fault")]
pub(crate) fn fault_ends(ctx: FExitContext) -> i32 {
    let Some(thread) = running_thread() else {
        return 0;
    };
    let outcome = ctx.arg::<u64>(OUTCOME);
    if outcome & RETRY != 0 || thread.fault_began_ns == 0 {
        return 0;
    }
    let took_ns = monotonic_ns().saturating_sub(thread.fault_began_ns);
    thread.fault_began_ns = 0;
    if outcome & ERROR != 0 {
        return 0;
    }
    let Some(latencies) = FAULT_LATENCIES.get(slot_of(thread)) else {
        return 0;
    };
    let is_major = outcome & MAJOR != 0 || ctx.arg::<u64>(FLAGS) & TRIED != 0;
    record(
        if is_major {
            &latencies.major
        } else {
            &latencies.minor
        },
        took_ns,
    );
    0
}

#[inline(always)]
fn running_thread() -> Option<&'static mut ThreadRecord> {
    // SAFETY: the helper takes nothing and returns the running task.
    let task = unsafe { bpf_get_current_task_btf() };
    THREADS.get(Task::new(task.cast()))
}

/// The slot of the thread's agent, as far as it is still that agent's.
#[inline(always)]
fn slot_of(thread: &ThreadRecord) -> u32 {
    let lease = thread.lease;
    let is_held = LEASES
        .get(lease.slot)
        .is_some_and(|state| state.generation.load() == lease.generation);
    if is_held { lease.slot } else { OTHER }
}
