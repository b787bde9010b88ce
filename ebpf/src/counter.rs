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

/// As [`add_u32`], and returns what was there before.
#[inline(always)]
pub(crate) fn fetch_add_u32(counter: &SharedU32, value: u32) -> u32 {
    // SAFETY: as in `add`.
    unsafe { atomic_xadd::<u32, u32, { AtomicOrdering::SeqCst }>(counter.as_ptr(), value) }
}

/// Puts a value in place of another and returns that one, atomically.
#[inline(always)]
pub(crate) fn exchange(word: &SharedU32, value: u32) -> u32 {
    // SAFETY: as in `add`.
    unsafe { atomic_xchg::<u32, { AtomicOrdering::SeqCst }>(word.as_ptr(), value) }
}

/// Adds to a counter of this CPU's own, which nobody else writes to: with interrupts off.
#[inline(always)]
pub(crate) fn add_own(counter: &SharedU64, value: u64) {
    counter.store(counter.load().wrapping_add(value));
}

/// Counts one duration in a histogram of this CPU's own, likewise.
#[inline(always)]
pub(crate) fn record_own(histogram: &Histogram, ns: u64) {
    let bucket = bucket(histogram, ns);
    bucket.store(bucket.load().wrapping_add(1));
}

/// Counts one duration.
#[inline(always)]
pub(crate) fn record(histogram: &Histogram, ns: u64) {
    add_u32(bucket(histogram, ns), 1);
}

#[inline(always)]
fn bucket(histogram: &Histogram, ns: u64) -> &SharedU32 {
    // The mask changes nothing, but is the bound that every verifier understands.
    let index = bucket_of(ns) & (BUCKETS - 1);
    // SAFETY: the mask keeps the index below BUCKETS. A checked index would leave a panic path
    // with its formatting code in the program.
    unsafe { histogram.buckets.get_unchecked(index) }
}
