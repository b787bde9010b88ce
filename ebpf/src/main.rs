//! Hostler's always-on kernel programs: one signal a file.
//!
//! Rust for BPF emits no CO-RE relocations, so the offsets of kernel fields come from the running
//! kernel's BTF when the programs are loaded (`offsets`), and pointers that the verifier knows are
//! read by plain loads, which cost a tenth of `bpf_probe_read_kernel`.
//!
//! Rules that hold in here: nothing is allocated and nothing is logged under a run-queue lock
//! (allocation can wake a thread, which wants that lock); every index is masked or checked by the
//! map; whatever can't be done is counted in `LOSSES`.
#![no_std]
#![no_main]
#![allow(
    internal_features,
    reason = "this target adds atomically only by intrinsic, see `counter`"
)]
#![feature(core_intrinsics)]
#![allow(
    unsafe_code,
    reason = "kernel programs live on raw pointers that only the verifier can vouch for"
)]

mod block_io;
mod clock;
mod counter;
mod fault_latency;
mod faults;
mod interrupts;
mod ledger;
mod lifecycle;
mod maps;
mod offsets;
mod oom;
mod pairs;
mod placement;
mod sched;
mod socket_storage;
mod sockets;
mod task_storage;
mod threads;
mod throttle;
mod wait_events;
mod wakes;

/// Grants the helpers that the kernel gives to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// The verifier refuses a program that could get here.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
