//! From plans to the host, and back.
//!
//! Whatever is changed is a [`Knob`]: something with a value that can be read, written and written back.
//! Before one is touched, its old value and its new one are in the [`Journal`], on disk; so whoever finds
//! the journal after whatever end can tell which values are still ours, and put back what was there.
//! [`Executor`] does both, on a [`Host`]: this one ([`Kernel`]), or one that is made up for tests.
//!
//! What is yet to begin need not be changed: [`begin_in`] starts a command where it belongs.

mod cpus;
mod executor;
#[cfg(test)]
mod fake;
mod host;
mod journal;
mod kernel;
mod knob;
mod launch;
mod memory;

pub use self::{
    cpus::{CpuList, CpuListError},
    executor::{ActError, Executor, Looked, Order, Receipt, Restored, Tended, Yielded},
    host::{Compared, Found, Host, HostError, Members},
    journal::{Begun, Cause, Journal, JournalError, Past, Record, Stored},
    kernel::{Kernel, started},
    knob::{Change, Knob, Thread, Value},
    launch::{Begin, OwnCgroup, begin_in},
    memory::{MemoryMove, MemoryReceipt},
};
