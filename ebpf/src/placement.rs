//! On which NUMA nodes an agent's threads run, and how often they are put on another. Loaded only where
//! somebody asks.

use core::ffi::c_void;

use aya_ebpf::{Global, macros::btf_tracepoint, programs::BtfTracePointContext};
use hostler_common::placement::MAX_NODES;

use crate::{
    counter::add,
    maps::{CPU_NODES, PLACEMENTS, THREADS},
    offsets::Task,
    threads::lease_now,
};

/// 1 if somebody asks, set before loading.
#[unsafe(no_mangle)]
static PLACEMENT_WANTED: Global<u32> = Global::new(0);

/// A thread is put on another CPU.
#[btf_tracepoint(function = "sched_migrate_task")]
pub(crate) fn sched_migrate_task(ctx: BtfTracePointContext) -> i32 {
    let task = Task::new(ctx.arg::<*const c_void>(0));
    let to = node_of(ctx.arg::<u32>(1));
    let Some(thread) = THREADS.get(task) else {
        return 0;
    };
    if let Some(record) = PLACEMENTS.get(lease_now(thread, task).slot) {
        add(&record.migrations, 1);
        if to != node_of(task.cpu()) {
            add(&record.node_migrations, 1);
        }
    }
    0
}

/// Counts a stretch on a CPU.
#[inline(always)]
pub(crate) fn count_stretch(slot: u32, cpu: u32, ns: u64) {
    if PLACEMENT_WANTED.load() == 0 {
        return;
    }
    if let Some(record) = PLACEMENTS.get(slot) {
        let node = node_of(cpu) as usize & (MAX_NODES - 1);
        // SAFETY: the mask keeps the index below MAX_NODES. A checked index would leave a panic path
        // with its formatting code in the program.
        add(unsafe { record.on_cpu_ns.get_unchecked(node) }, ns);
    }
}

/// The node of a CPU, as user space has found it.
#[inline(always)]
pub(crate) fn node_of(cpu: u32) -> u32 {
    CPU_NODES.get(cpu).copied().unwrap_or(0)
}
