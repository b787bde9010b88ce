//! Records that the kernel programs write and the user side reads.
//!
//! Both sides compile this crate, so that a layout can't differ between them. Everything here is
//! `#[repr(C)]` with explicit padding and an asserted size, holds no pointer, and is valid when it
//! is all zeroes, since that is how the kernel hands out map memory. Fields that both sides touch
//! at the same time are [`shared`] words.
#![no_std]
#![allow(
    clippy::inline_always,
    reason = "a call in a kernel program costs more than these bodies, and some verifiers lose \
              bounds across it"
)]

pub mod agent_record;
pub mod block_io;
pub mod changes;
pub mod clock;
pub mod event;
pub mod fault_latency;
pub mod faults;
pub mod histogram;
pub mod interrupts;
pub mod ledger;
pub mod losses;
pub mod pair;
pub mod peer;
pub mod placement;
pub mod run_queue;
pub mod shared;
pub mod slot;
pub mod thread_record;
pub mod wait_event;
pub mod wake;
