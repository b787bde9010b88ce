//! Where the time of threads went during a window.

use hostler_common::ledger::{STATES, elapsed_ns, threads, units};

use crate::signal::LedgerSignal;

/// Where the time of an agent's threads went during a window. The states add up to threads × wall
/// time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerWindow {
    /// Time by state, in ns; it can be below zero by the time that a reading takes, which the next
    /// window makes up for.
    pub ns: [i64; STATES],
    /// Threads at the window's end.
    pub threads: u64,
}

impl LedgerWindow {
    pub(super) fn between(earlier: &LedgerSignal, later: &LedgerSignal) -> Self {
        let mut ns = [0; STATES];
        for (index, ns) in ns.iter_mut().enumerate().skip(1) {
            *ns = elapsed_ns(earlier.units[index], later.units[index]);
        }
        Self {
            ns,
            threads: later.thread_count(),
        }
    }

    /// Of a ledger that has stayed as it is: whoever was in a state spent all of the time in it.
    pub(super) fn of_unchanged(words: &[u64; STATES], from_ns: u64, to_ns: u64) -> Self {
        let mut window = Self::default();
        for (ns, &word) in window.ns.iter_mut().zip(words).skip(1) {
            *ns = elapsed_ns(units(word, from_ns), units(word, to_ns));
            window.threads += threads(word);
        }
        window
    }

    /// Time spent in a state of [`hostler_common::ledger::state`], in ns.
    pub fn spent_ns(&self, state: u32) -> u64 {
        self.ns
            .get(state as usize)
            .map_or(0, |&ns| ns.max(0).cast_unsigned())
    }

    /// Time spent in all states, in ns: threads × wall time.
    pub fn total_ns(&self) -> u64 {
        self.ns.iter().sum::<i64>().max(0).cast_unsigned()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (ns, more) in self.ns.iter_mut().zip(other.ns) {
            *ns = ns.wrapping_add(more);
        }
        self.threads = other.threads;
    }
}
