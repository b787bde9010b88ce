//! The time ledger: how much time an agent's threads have spent in each state.
//!
//! Each state is one 64-bit word. A thread that enters it adds `1 − (now << 16)`, one that leaves
//! adds `(now << 16) − 1`, with `now` in units of 128 ns. So the lower 16 bits count the threads
//! that are inside, the upper 48 hold the time of those that have left less the times at which the
//! others came, and a reader adds `threads × now`. Time that is still passing counts too, a single
//! addition can't be seen half done, and since whoever leaves one state enters another at the same
//! `now`, the states add up to threads × wall time in every window.
//!
//! The limits: 65,535 threads a slot, and 2⁴⁸ units (417 days of thread time) between two readings.

use crate::shared::SharedU64;

/// What a thread can be doing. The numbers are the words' indices.
pub mod state {
    /// Not known yet.
    pub const UNKNOWN: u32 = 0;
    /// On a CPU.
    pub const ON_CPU: u32 = 1;
    /// Woken, waiting for a CPU.
    pub const WAITING_WOKEN: u32 = 2;
    /// Preempted or yielded, waiting for a CPU.
    pub const WAITING_PREEMPTED: u32 = 3;
    /// Could run, but its group's CPU quota is used up.
    pub const THROTTLED: u32 = 4;
    /// Blocked uninterruptibly, not on block I/O.
    pub const BLOCKED: u32 = 5;
    /// Blocked uninterruptibly on block I/O.
    pub const BLOCKED_IO: u32 = 6;
    /// Asleep: waits for something by its own will.
    pub const ASLEEP: u32 = 7;
    /// Gone. Like [`UNKNOWN`], it falls on the word that nobody reads.
    pub const DEAD: u32 = 8;
}

/// Words of a ledger; the first is nobody's.
pub const STATES: usize = 8;

/// Threads that a ledger can count at a time. With more its times are wrong.
pub const MAX_THREADS: u64 = (1 << COUNT_BITS) - 1;

/// A unit of the ledger, in ns. A power of two, since a division costs the kernel side more than
/// the rest of it.
pub const UNIT_NS: u64 = 1 << UNIT_LOG2;

const UNIT_LOG2: u32 = 7;
const COUNT_BITS: u32 = 16;
const TIME_BITS: u32 = u64::BITS - COUNT_BITS;

/// One word a state, by the numbers in [`state`].
#[repr(C)]
#[derive(Default)]
pub struct Ledger {
    /// The words.
    pub words: [SharedU64; STATES],
}

const _: () = assert!(size_of::<Ledger>() == 64);

/// What a thread adds to a word when it enters the state at `now_ns`; its negative when it leaves.
#[inline(always)]
pub const fn entry(now_ns: u64) -> u64 {
    1_u64.wrapping_sub((now_ns >> UNIT_LOG2) << COUNT_BITS)
}

/// What is added to a word for time that has passed in the state without a thread that came or went.
#[inline(always)]
pub const fn passed(ns: u64) -> u64 {
    (ns >> UNIT_LOG2) << COUNT_BITS
}

/// How many threads are in a state, by its word. For a sharded slot, the sum of the words.
pub const fn threads(word: u64) -> u64 {
    word & ((1 << COUNT_BITS) - 1)
}

/// The time that threads have spent in a state up to `now_ns`, in units modulo 2⁴⁸.
pub const fn units(word: u64, now_ns: u64) -> u64 {
    let passing = threads(word).wrapping_mul(now_ns >> UNIT_LOG2);
    (word >> COUNT_BITS).wrapping_add(passing) & ((1 << TIME_BITS) - 1)
}

/// The time between two readings of [`units`], in ns. It can be a little below zero, when a thread
/// changed its state between the reading of the clock and that of a word; another state has as
/// much too much, and the next window makes up for both.
pub const fn elapsed_ns(earlier: u64, later: u64) -> i64 {
    // Shifting up and down again extends the sign of 48 bits.
    let difference = later.wrapping_sub(earlier).cast_signed();
    (difference << COUNT_BITS >> COUNT_BITS) << UNIT_LOG2
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_that_is_still_passing_counts() {
        let word = entry(1_000 * UNIT_NS);
        assert_eq!(threads(word), 1);
        assert_eq!(units(word, 1_500 * UNIT_NS), 500);
    }

    #[test]
    fn a_thread_that_has_left_leaves_its_time() {
        let word = entry(1_000 * UNIT_NS).wrapping_sub(entry(1_700 * UNIT_NS));
        assert_eq!(threads(word), 0);
        assert_eq!(units(word, 9_999 * UNIT_NS), 700);
    }

    #[test]
    fn a_reading_that_was_ahead_of_a_change_gives_a_small_negative_time() {
        assert_eq!(elapsed_ns(5, 3), -2 * UNIT_NS.cast_signed());
        assert_eq!(elapsed_ns((1 << 48) - 1, 1), 2 * UNIT_NS.cast_signed());
    }

    proptest! {
        /// Threads that go from state to state: each window's states add up to threads × time.
        #[test]
        fn the_states_add_up_to_threads_times_wall_time_in_every_window(
            threads_count in 1_usize..40,
            start in 0_u64..1 << 50,
            moves in prop::collection::vec((0_usize..40, 1_usize..8, 1_u64..1_000_000), 1..80),
        ) {
            let mut words = [0_u64; STATES];
            let mut now_ns = start;
            let mut current: Vec<usize> = vec![7; threads_count];
            for _ in 0..threads_count {
                words[7] = words[7].wrapping_add(entry(now_ns));
            }
            let mut before: Vec<u64> = words.iter().map(|&word| units(word, now_ns)).collect();
            let mut before_ns = now_ns;
            for (thread, to, later_ns) in moves {
                now_ns += later_ns;
                let thread = thread % threads_count;
                let from = std::mem::replace(&mut current[thread], to);
                words[from] = words[from].wrapping_sub(entry(now_ns));
                words[to] = words[to].wrapping_add(entry(now_ns));
                let after: Vec<u64> = words.iter().map(|&word| units(word, now_ns)).collect();
                let sum: i64 = before.iter().zip(&after).map(|(&b, &a)| elapsed_ns(b, a)).sum();
                let wall = ((now_ns >> UNIT_LOG2) - (before_ns >> UNIT_LOG2)) << UNIT_LOG2;
                prop_assert_eq!(sum, (wall * threads_count as u64).cast_signed());
                before = after;
                before_ns = now_ns;
            }
        }
    }
}
