//! Waits for a CPU, stretches on it, and switches: what `ebpf/src/sched.rs` counts.

use crate::{histogram::Histogram, shared::SharedU64};

/// Cumulative run-queue counters and histograms, of one agent or of one CPU.
#[repr(C)]
pub struct RunQueue {
    /// Times a thread lost the CPU while it could go on, as `nivcsw` counts them. All others left it
    /// by themselves (they blocked), as `nvcsw` counts them: each switch away ends a stretch.
    pub involuntary_switches: SharedU64,
    /// Stretches on a CPU whose length is not known, so that they are in no bucket.
    pub unmeasured_stretches: SharedU64,
    /// Waits for a CPU after a wake-up.
    pub wake_wait: Histogram,
    /// Waits for a CPU after a preemption or a yield.
    pub preempt_wait: Histogram,
    /// Stretches on a CPU, from switch-in to switch-out.
    pub on_cpu: Histogram,
}

const _: () = assert!(size_of::<RunQueue>() == 16 + 3 * size_of::<Histogram>());

/// What is counted on one CPU, for views per CPU and per NUMA node: one element of the map `CPUS`.
/// Only that CPU writes to it.
#[repr(C, align(64))]
pub struct CpuRecord {
    /// Sum of the waits after a wake-up that ended here, in ns.
    pub wake_wait_ns: SharedU64,
    /// Sum of the waits after a preemption or a yield that ended here, in ns.
    pub preempt_wait_ns: SharedU64,
    /// Sum of the stretches on this CPU that have ended, in ns.
    pub on_cpu_ns: SharedU64,
    /// What threads that were switched in and out on this CPU waited and ran.
    pub run_queue: RunQueue,
}

const _: () = assert!(size_of::<CpuRecord>() == 3136);

/// How the view per CPU counts. It costs some additions a switch, so it is off until asked for.
pub mod cpu_view {
    /// Nothing is counted per CPU; the verifier removes the code.
    pub const OFF: u32 = 0;
    /// All agents are counted.
    pub const ALL: u32 = 1;
    /// Only agents whose record is `selected` are counted.
    pub const SELECTED: u32 = 2;
}
