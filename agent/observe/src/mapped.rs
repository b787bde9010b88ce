//! A map of the kernel's as memory of ours: reading a record is a load, not a system call.
#![allow(
    unsafe_code,
    reason = "mapping a map's memory and viewing it as records is unsafe"
)]

use std::{ffi::c_void, num::NonZeroUsize, os::fd::AsFd, ptr::NonNull};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::ObserveError;

/// Records that are valid as zeroes and as whatever the kernel writes, and that may be written by
/// the kernel at any time.
///
/// # Safety
///
/// All fields must be shared words or plain integers that only user space writes or nobody reads.
pub(crate) unsafe trait SharedRecord {}

// SAFETY: a record of shared words.
unsafe impl SharedRecord for hostler_common::agent_record::AgentRecord {}
// SAFETY: a record of shared words.
unsafe impl SharedRecord for hostler_common::run_queue::CpuRecord {}
// SAFETY: as above.
unsafe impl SharedRecord for hostler_common::fault_latency::FaultLatencies {}
// SAFETY: a record of shared words.
unsafe impl SharedRecord for hostler_common::slot::SlotState {}
// SAFETY: shared words and reserved ones that nobody touches.
unsafe impl SharedRecord for hostler_common::clock::ClockDifference {}
// SAFETY: shared words and reserved ones that nobody touches.
unsafe impl SharedRecord for hostler_common::changes::ProcessChanges {}
// SAFETY: shared words and reserved ones that nobody touches.
unsafe impl SharedRecord for hostler_common::losses::Losses {}
// SAFETY: shared words and reserved ones that nobody touches.
unsafe impl SharedRecord for hostler_common::peer::PeerRecord {}
// SAFETY: shared words and reserved ones that nobody touches.
unsafe impl SharedRecord for hostler_common::peer::PeerPool {}
// SAFETY: shared words and reserved ones that nobody touches.
unsafe impl SharedRecord for hostler_common::placement::PlacementRecord {}

/// The elements of an mmap-able array map.
pub(crate) struct Mapped<T> {
    memory: NonNull<c_void>,
    bytes: NonZeroUsize,
    records: NonNull<T>,
    length: usize,
}

// SAFETY: the memory stays mapped for as long as the value lives, whichever thread holds it.
unsafe impl<T: SharedRecord> Send for Mapped<T> {}

impl<T: SharedRecord> Mapped<T> {
    /// Maps all `length` elements of the map `map`.
    pub(crate) fn new(name: &str, map: impl AsFd, length: u32) -> Result<Self, ObserveError> {
        let length = length as usize;
        let refused = |error| ObserveError::refused(format!("mapping {name}"), error);
        // The kernel rounds an element's size up to 8 and the whole up to pages.
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let bytes = NonZeroUsize::new(length * size_of::<T>())
            .ok_or_else(|| refused("it has no elements"))?;
        // SAFETY: a fresh mapping at an address of the kernel's choice; it aliases nothing.
        let memory = unsafe {
            mmap(
                None,
                bytes,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                map,
                0,
            )
        }
        .map_err(|error| ObserveError::refused(format!("mapping {name}"), error))?;
        Ok(Self {
            memory,
            bytes,
            records: memory.cast(),
            length,
        })
    }

    /// The elements.
    pub(crate) fn records(&self) -> &[T] {
        // SAFETY: `length` records of T's size are mapped for as long as `self` lives, page-aligned;
        // they are shared words, which may change under a shared reference.
        unsafe { std::slice::from_raw_parts(self.records.as_ptr(), self.length) }
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; no reference outlives `self`.
        let _outcome = unsafe { munmap(self.memory, self.bytes.get()) };
    }
}
