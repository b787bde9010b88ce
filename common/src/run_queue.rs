//! Waits for a CPU, stretches on it, and switches: what `ebpf/src/sched.rs` counts.

use crate::shared::SharedU64;

use crate::histogram::Histogram;

/// Cumulative run-queue counters and histograms, of one agent or of one CPU.
///
/// The sums come first, on the line that every switch touches anyway.
#[repr(C)]
pub struct RunQueue {
    /// Sum of the times spent waiting for a CPU after a wake-up, in ns.
    pub wake_wait_ns: SharedU64,
    /// Sum of the times spent waiting for a CPU after a preemption or a yield, in ns.
    pub preempt_wait_ns: SharedU64,
    /// Sum of the finished stretches on a CPU, in ns.
    pub on_cpu_ns: SharedU64,
    /// Times a thread gave the CPU up by itself (it blocked), as `nvcsw` counts them.
    pub voluntary_switches: SharedU64,
    /// Times a thread lost the CPU while it could go on, as `nivcsw` counts them.
    pub involuntary_switches: SharedU64,
    /// Waits for a CPU after a wake-up.
    pub wake_wait: Histogram,
    /// Waits for a CPU after a preemption or a yield.
    pub preempt_wait: Histogram,
    /// Stretches on a CPU, from switch-in to switch-out.
    pub on_cpu: Histogram,
}

const _: () = assert!(size_of::<RunQueue>() == 40 + 3 * size_of::<Histogram>());

/// What is counted on one CPU, for views per CPU and per NUMA node: one element of the map `CPUS`.
/// Only that CPU writes to it.
#[repr(C, align(64))]
pub struct CpuRecord {
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
