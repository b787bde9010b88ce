//! Who may have which slot: the free ones, those lent to the kernel's queue, and those that rest
//! between two agents.
//!
//! The kernel gives slots to new cgroups by itself, out of a queue that is kept filled here; user
//! space gives slots to cgroups that it finds and to programs in the root cgroup. A slot that an
//! agent has left rests for [`REST_NS`] before it is given again, so that a last switch of a dying
//! thread still lands in the old agent's record, and the record is read once more.

use std::collections::{BTreeSet, VecDeque};

use hostler_common::slot::{FIRST_AGENT, RECORDS};

/// How long a slot rests between two agents, in ns.
pub(crate) const REST_NS: u64 = 5_000_000_000;

/// Slots that the kernel's queue is kept filled with: agents that may start within a tick.
pub(crate) const LENT: usize = 1024;

/// The state of every slot that an agent can have.
pub(crate) struct SlotBook {
    free: VecDeque<u32>,
    lent: BTreeSet<u32>,
    resting: VecDeque<(u32, u64)>,
}

impl SlotBook {
    /// All slots free.
    pub(crate) fn new() -> Self {
        Self {
            free: (FIRST_AGENT..RECORDS).collect(),
            lent: BTreeSet::new(),
            resting: VecDeque::new(),
        }
    }

    /// Takes a free slot for an agent that user space has found.
    pub(crate) fn take(&mut self) -> Option<u32> {
        self.free.pop_front()
    }

    /// Returns a slot that was taken but never used.
    pub(crate) fn put_back(&mut self, slot: u32) {
        self.free.push_front(slot);
    }

    /// Slots to push onto the kernel's queue, to fill it up.
    pub(crate) fn lend(&mut self) -> Vec<u32> {
        let wanted = LENT.saturating_sub(self.lent.len()).min(self.free.len());
        let slots: Vec<u32> = self.free.drain(..wanted).collect();
        self.lent.extend(&slots);
        slots
    }

    /// The kernel has given a lent slot to a cgroup.
    pub(crate) fn given(&mut self, slot: u32) {
        self.lent.remove(&slot);
    }

    /// Slots were taken back from the kernel's queue. Those lent that are not among them were
    /// given to cgroups without our hearing of it; they are returned.
    pub(crate) fn reclaim(&mut self, unused: &BTreeSet<u32>) -> Vec<u32> {
        let lent = std::mem::take(&mut self.lent);
        self.free.extend(unused);
        lent.difference(unused).copied().collect()
    }

    /// An agent has left its slot at `now_ns`.
    pub(crate) fn rest(&mut self, slot: u32, now_ns: u64) {
        self.resting.push_back((slot, now_ns));
    }

    /// An agent came back to its slot before the slot's rest was over. Returns whether it was
    /// still resting.
    pub(crate) fn wake(&mut self, slot: u32) -> bool {
        let before = self.resting.len();
        self.resting.retain(|&(resting, _)| resting != slot);
        self.resting.len() < before
    }

    /// The next slot whose rest is over; its record is to be cleared before [`SlotBook::free`].
    pub(crate) fn rested(&mut self, now_ns: u64) -> Option<u32> {
        let &(slot, since_ns) = self.resting.front()?;
        if now_ns.saturating_sub(since_ns) < REST_NS {
            return None;
        }
        self.resting.pop_front();
        Some(slot)
    }

    /// A slot can be given again.
    pub(crate) fn free(&mut self, slot: u32) {
        self.free.push_back(slot);
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::slot::MAX_AGENTS;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slot_is_given_again_only_after_its_rest() {
        let mut book = SlotBook::new();
        let slot = book.take().expect("all are free");
        book.rest(slot, 1_000);
        assert_eq!(book.rested(1_000 + REST_NS - 1), None);
        assert_eq!(book.rested(1_000 + REST_NS), Some(slot));
        assert_eq!(book.rested(1_000 + REST_NS), None);
    }

    #[test]
    fn the_queue_is_filled_up_to_its_size_and_not_beyond() {
        let mut book = SlotBook::new();
        let lent = book.lend();
        assert_eq!(lent.len(), LENT);
        assert!(book.lend().is_empty());
        book.given(lent[3]);
        assert_eq!(book.lend().len(), 1);
    }

    #[test]
    fn slots_given_without_our_hearing_of_it_are_found_when_the_queue_is_taken_back() {
        let mut book = SlotBook::new();
        let lent = book.lend();
        let unused: BTreeSet<u32> = lent[5..].iter().copied().collect();
        assert_eq!(book.reclaim(&unused), lent[..5]);
    }

    #[derive(Clone, Debug)]
    enum Move {
        Take,
        Lend,
        GiveFirst,
        RestFirst,
        Recycle(u64),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            Just(Move::Take),
            Just(Move::Lend),
            Just(Move::GiveFirst),
            Just(Move::RestFirst),
            (0..3 * REST_NS).prop_map(Move::Recycle),
        ];
        prop::collection::vec(one, 0..60)
    }

    proptest! {
        #[test]
        fn no_slot_is_ever_in_two_places_and_none_is_lost(moves in moves()) {
            let mut book = SlotBook::new();
            let mut held: Vec<u32> = Vec::new();
            let mut now_ns = 0;
            for step in moves {
                match step {
                    Move::Take => held.extend(book.take()),
                    Move::Lend => drop(book.lend()),
                    Move::GiveFirst => {
                        if let Some(&slot) = book.lent.first() {
                            book.given(slot);
                            held.push(slot);
                        }
                    }
                    Move::RestFirst => {
                        if let Some(slot) = held.pop() {
                            book.rest(slot, now_ns);
                        }
                    }
                    Move::Recycle(later_ns) => {
                        now_ns += later_ns;
                        while let Some(slot) = book.rested(now_ns) {
                            book.free(slot);
                        }
                    }
                }
                let mut all: Vec<u32> = held
                    .iter()
                    .chain(&book.free)
                    .chain(&book.lent)
                    .copied()
                    .chain(book.resting.iter().map(|&(slot, _)| slot))
                    .collect();
                all.sort_unstable();
                all.dedup();
                prop_assert_eq!(all.len(), MAX_AGENTS as usize);
            }
        }
    }
}
