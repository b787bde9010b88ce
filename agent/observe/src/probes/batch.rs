//! Reads a hash map many elements at a time: by the usual way each one takes two calls.
#![expect(
    unsafe_code,
    reason = "neither aya nor libbpf-rs reads a map by its descriptor in batches"
)]

use std::os::fd::{AsRawFd as _, BorrowedFd};

use libbpf_rs::libbpf_sys;
use nix::libc;

/// Elements that are read by one call; twice as many where a bucket holds more.
const AT_A_TIME: usize = 1_024;

/// No bucket of a map of ours holds more.
const MOST_AT_A_TIME: usize = 1 << 16;

/// An element of a map of totals.
pub(super) type Element = ([u32; 4], [u64; 2]);

/// All elements of a hash map with such keys and values; `None` if the kernel can't tell them in batches.
pub(super) fn elements(map: BorrowedFd) -> Option<Vec<Element>> {
    let mut all = Vec::new();
    let (mut keys, mut values) = (vec![[0; 4]; AT_A_TIME], vec![[0; 2]; AT_A_TIME]);
    // Where the kernel goes on, which is its own business.
    let (mut from, mut next) = (0_u32, 0_u32);
    let mut is_first = true;
    loop {
        let mut count = u32::try_from(keys.len()).ok()?;
        let begins = if is_first {
            std::ptr::null_mut()
        } else {
            (&raw mut from).cast()
        };
        // SAFETY: the kernel writes `count` keys of 16 bytes and as many values of 16 bytes at the most, for
        // which there is room, and reads and writes a place of four bytes in a hash map. There is no safe
        // wrapper for a map that another library has opened.
        let outcome = unsafe {
            libbpf_sys::bpf_map_lookup_batch(
                map.as_raw_fd(),
                begins,
                (&raw mut next).cast(),
                keys.as_mut_ptr().cast(),
                values.as_mut_ptr().cast(),
                &raw mut count,
                std::ptr::null(),
            )
        };
        let found = keys.iter().copied().zip(values.iter().copied());
        match -outcome {
            0 => all.extend(found.take(count as usize)),
            libc::ENOENT => {
                all.extend(found.take(count as usize));
                return Some(all);
            }
            libc::ENOSPC if keys.len() < MOST_AT_A_TIME => {
                keys.resize(2 * keys.len(), [0; 4]);
                values.resize(2 * values.len(), [0; 2]);
                continue;
            }
            _ => return None,
        }
        (from, is_first) = (next, false);
    }
}
