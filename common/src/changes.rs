//! Whether processes came, went, moved or run another program, of those about which user space has a
//! word to say: with rules all of them, else those in the root cgroup.
//!
//! Looking at every process of a large host costs milliseconds, and mostly there is nothing new.

use crate::shared::SharedU64;

/// How often anything changed, the only element of the map `CHANGES`.
#[repr(C, align(64))]
#[derive(Default)]
pub struct ProcessChanges {
    /// Changes so far.
    pub count: SharedU64,
    /// Keeps the size at a whole cache line.
    pub reserved: [u64; 7],
}

const _: () = assert!(size_of::<ProcessChanges>() == 64);
