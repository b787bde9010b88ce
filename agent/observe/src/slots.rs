//! Who may have which slot: the free ones, those lent to the kernel's queue, those that agents
//! hold, and those that rest between two agents.
//!
//! The kernel gives slots to new cgroups by itself, out of a queue that is kept filled here; user
//! space gives slots to cgroups that it finds and to programs in the root cgroup. A slot that an
//! agent has left rests for [`REST_NS`] before it is given again, so that a last switch of a dying
//! thread still lands in the old agent's record, and the record is read once more.
//!
//! News of agents come late, twice or not at all; so every slot is in exactly one place, and a
//! request that does not fit that place changes nothing.

use std::collections::{BTreeSet, VecDeque};

use hostler_common::slot::{FIRST_AGENT, SLOTS};

/// How long a slot rests between two agents, in ns.
pub(crate) const REST_NS: u64 = 5_000_000_000;

/// Slots that the kernel's queue is kept filled with: agents that may start between two readings.
/// As many as the reference load has, since a node that starts brings all of them at once.
pub(crate) const LENT: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Free,
    Lent,
    Held,
    Resting { since_ns: u64 },
}

/// The place of every slot that an agent can have.
pub(crate) struct SlotBook {
    /// By slot, from [`FIRST_AGENT`] on.
    places: Vec<Place>,
    free: VecDeque<u32>,
    lent: usize,
    /// In the order in which they came; an entry whose slot is elsewhere by now is skipped.
    resting: VecDeque<(u32, u64)>,
}

impl SlotBook {
    /// All slots free.
    pub(crate) fn new() -> Self {
        Self {
            places: vec![Place::Free; (SLOTS - FIRST_AGENT) as usize],
            free: (FIRST_AGENT..SLOTS).collect(),
            lent: 0,
            resting: VecDeque::new(),
        }
    }

    /// Takes a free slot for an agent that user space has found.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let slot = self.free.pop_front()?;
        self.put(slot, Place::Held);
        Some(slot)
    }

    /// A slot that was taken back from the kernel's queue, for an agent that user space has found.
    pub(crate) fn take_lent(&mut self, slot: u32) {
        if self.place(slot) == Some(Place::Lent) {
            self.put(slot, Place::Held);
        }
    }

    /// Slots to push onto the kernel's queue, to fill it up.
    pub(crate) fn lend(&mut self) -> Vec<u32> {
        let wanted = LENT.saturating_sub(self.lent).min(self.free.len());
        let slots: Vec<u32> = self.free.drain(..wanted).collect();
        for &slot in &slots {
            self.put(slot, Place::Lent);
        }
        slots
    }

    /// The kernel has given a lent slot to a cgroup.
    pub(crate) fn given(&mut self, slot: u32) {
        if self.place(slot) == Some(Place::Lent) {
            self.put(slot, Place::Held);
        }
    }

    /// The kernel's queue was emptied. Slots that were lent and are not among the `unused` ones
    /// were given to cgroups without our hearing of it.
    pub(crate) fn reclaim(&mut self, unused: &BTreeSet<u32>) {
        for slot in FIRST_AGENT..SLOTS {
            if self.place(slot) != Some(Place::Lent) {
                continue;
            }
            if unused.contains(&slot) {
                self.free(slot);
            } else {
                self.put(slot, Place::Held);
            }
        }
    }

    /// An agent has left its slot at `now_ns`. A slot that nobody holds stays where it is.
    pub(crate) fn rest(&mut self, slot: u32, now_ns: u64) {
        if self.place(slot) == Some(Place::Held) {
            self.put(slot, Place::Resting { since_ns: now_ns });
            self.resting.push_back((slot, now_ns));
        }
    }

    /// An agent came back to its slot before the slot's rest was over.
    pub(crate) fn wake(&mut self, slot: u32) {
        if matches!(self.place(slot), Some(Place::Resting { .. })) {
            self.put(slot, Place::Held);
        }
    }

    /// The next slot whose rest is over; its record is to be cleared before [`SlotBook::free`].
    pub(crate) fn rested(&mut self, now_ns: u64) -> Option<u32> {
        while let Some(&(slot, since_ns)) = self.resting.front() {
            let still_rests = self.place(slot) == Some(Place::Resting { since_ns });
            if still_rests && now_ns.saturating_sub(since_ns) < REST_NS {
                return None;
            }
            self.resting.pop_front();
            if still_rests {
                self.put(slot, Place::Held);
                return Some(slot);
            }
        }
        None
    }

    /// A slot can be given again.
    pub(crate) fn free(&mut self, slot: u32) {
        if matches!(self.place(slot), Some(Place::Held | Place::Lent)) {
            self.put(slot, Place::Free);
            self.free.push_back(slot);
        }
    }

    /// The slots that agents hold.
    pub(crate) fn held(&self) -> BTreeSet<u32> {
        (FIRST_AGENT..SLOTS)
            .filter(|&slot| self.place(slot) == Some(Place::Held))
            .collect()
    }

    fn place(&self, slot: u32) -> Option<Place> {
        self.places
            .get(slot.checked_sub(FIRST_AGENT)? as usize)
            .copied()
    }

    fn put(&mut self, slot: u32, place: Place) {
        let Some(old) = self.places.get_mut((slot - FIRST_AGENT) as usize) else {
            return;
        };
        self.lent -= usize::from(*old == Place::Lent);
        self.lent += usize::from(place == Place::Lent);
        *old = place;
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
    fn a_slot_whose_agent_left_twice_is_given_again_once() {
        let mut book = SlotBook::new();
        let slot = book.take().expect("all are free");
        book.rest(slot, 1_000);
        book.rest(slot, 2_000);
        assert_eq!(book.rested(1_000 + REST_NS), Some(slot));
        book.free(slot);
        book.rest(slot, 3_000);
        assert_eq!(book.rested(9 * REST_NS), None);
    }

    #[test]
    fn an_agent_that_came_back_keeps_its_slot() {
        let mut book = SlotBook::new();
        let slot = book.take().expect("all are free");
        book.rest(slot, 0);
        book.wake(slot);
        assert_eq!(book.rested(9 * REST_NS), None);
        book.rest(slot, 8 * REST_NS);
        assert_eq!(book.rested(9 * REST_NS), Some(slot));
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
    fn slots_given_without_our_hearing_of_it_are_held() {
        let mut book = SlotBook::new();
        let lent = book.lend();
        book.reclaim(&lent[5..].iter().copied().collect());
        assert_eq!(book.held(), lent[..5].iter().copied().collect());
        assert_eq!(book.lend().len(), LENT);
    }

    #[derive(Clone, Debug)]
    enum Move {
        Take,
        Lend,
        Give(usize),
        Rest(usize),
        Wake(usize),
        Free(usize),
        Recycle(u64),
        Reclaim(usize),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            Just(Move::Take),
            Just(Move::Lend),
            (0..20_usize).prop_map(Move::Give),
            (0..20_usize).prop_map(Move::Rest),
            (0..20_usize).prop_map(Move::Wake),
            (0..20_usize).prop_map(Move::Free),
            (0..3 * REST_NS).prop_map(Move::Recycle),
            (0..40_usize).prop_map(Move::Reclaim),
        ];
        prop::collection::vec(one, 0..60)
    }

    proptest! {
        /// News in any order, also such that make no sense: the first few slots are named again
        /// and again.
        #[test]
        fn every_slot_is_in_one_place_whatever_the_news(moves in moves()) {
            let slot = |index: usize| FIRST_AGENT + u32::try_from(index).expect("it is small");
            let mut book = SlotBook::new();
            let mut now_ns = 0;
            for step in moves {
                match step {
                    Move::Take => drop(book.take()),
                    Move::Lend => drop(book.lend()),
                    Move::Give(index) => book.given(slot(index)),
                    Move::Rest(index) => book.rest(slot(index), now_ns),
                    Move::Wake(index) => book.wake(slot(index)),
                    Move::Free(index) => book.free(slot(index)),
                    Move::Recycle(later_ns) => {
                        now_ns += later_ns;
                        while let Some(slot) = book.rested(now_ns) {
                            book.free(slot);
                        }
                    }
                    Move::Reclaim(first) => {
                        book.reclaim(&(slot(first)..SLOTS).collect());
                    }
                }
                let mut free: Vec<u32> = book.free.iter().copied().collect();
                free.sort_unstable();
                free.dedup();
                prop_assert_eq!(free.len(), book.free.len(), "no slot is free twice");
                let count = |place: fn(&Place) -> bool| {
                    book.places.iter().filter(|&at| place(at)).count()
                };
                prop_assert_eq!(count(|at| *at == Place::Free), free.len());
                prop_assert_eq!(count(|at| *at == Place::Lent), book.lent);
                prop_assert_eq!(book.places.len(), MAX_AGENTS as usize);
            }
        }
    }
}
