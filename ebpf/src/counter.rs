//! Additions to counters that several CPUs and user space share.

use core::intrinsics::{AtomicOrdering, atomic_xadd, atomic_xchg};

use hostler_common::{
    histogram::{BUCKETS, Histogram, bucket_of},
    shared::{SharedU32, SharedU64},
};

/// Adds to a shared counter, atomically.
#[inline(always)]
pub(crate) fn add(counter: &SharedU64, value: u64) {
    // SAFETY: the pointer comes from a live shared word, which may be written at any time.
    unsafe {
        atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter.as_ptr(), value);
    }
}

/// As [`add`], for 32 bits.
#[inline(always)]
pub(crate) fn add_u32(counter: &SharedU32, value: u32) {
    // SAFETY: as in `add`.
    unsafe {
        atomic_xadd::<u32, u32, { AtomicOrdering::Relaxed }>(counter.as_ptr(), value);
    }
}

/// Puts a value in place of another and returns that one, atomically.
#[inline(always)]
pub(crate) fn exchange(word: &SharedU32, value: u32) -> u32 {
    // SAFETY: as in `add`.
    unsafe { atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(word.as_ptr(), value) }
}

/// Counts one duration.
#[inline(always)]
pub(crate) fn record(histogram: &Histogram, ns: u64) {
    // The mask changes nothing, but is the bound that every verifier understands.
    let index = bucket_of(ns) & (BUCKETS - 1);
    // SAFETY: the mask keeps the index below BUCKETS. A checked index would leave a panic path
    // with its formatting code in the program.
    let bucket = unsafe { histogram.buckets.get_unchecked(index) };
    add_u32(bucket, 1);
}
