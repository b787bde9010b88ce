//! Who made whom wait: what a cause is, and which pairs give their place to others before the
//! kernel's map of them runs full.

use std::collections::BTreeMap;

use hostler_common::{
    pair::{INTERRUPTS, NOBODY},
    slot::{KERNEL, OTHER},
};

use crate::signal::DEPARTED;

/// Who made an agent wait.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Its own threads.
    Itself,
    /// Another agent, by its name.
    Agent(String),
    /// Kernel threads.
    Kernel,
    /// Threads that could not be attributed.
    Unattributed,
    /// Interrupts, for at least half of each wait.
    Interrupts,
    /// No thread: the CPU was idle, or taken by a hypervisor.
    Nobody,
}

impl Who {
    /// Reads the cause of a [`PairKey`] or event in which `waiter` is the slot of who waited.
    /// `name_of` names slots.
    pub fn of<'a>(cause: u32, waiter: u32, name_of: &impl Fn(u32) -> Option<&'a str>) -> Self {
        match cause {
            NOBODY => Self::Nobody,
            INTERRUPTS => Self::Interrupts,
            // What two threads of no known agent have in common is not known either.
            OTHER => Self::Unattributed,
            KERNEL => Self::Kernel,
            slot if slot == waiter => Self::Itself,
            slot => Self::Agent(name_of(slot).unwrap_or(DEPARTED).to_owned()),
        }
    }

    /// Its class in a word, for programs.
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Itself => "same_agent",
            Self::Agent(_) => "another_agent",
            Self::Kernel => "kernel_thread",
            Self::Unattributed => "unattributed",
            Self::Interrupts => "interrupts",
            Self::Nobody => "no_thread",
        }
    }

    /// Its name in a list of agents, where `waiter` is that of who waited; `None` if nobody had the
    /// CPU.
    pub fn name<'a>(&'a self, waiter: &'a str) -> Option<&'a str> {
        match self {
            Self::Itself => Some(waiter),
            Self::Agent(name) => Some(name),
            Self::Kernel => Some("[kernel]"),
            Self::Unattributed => Some("[other]"),
            Self::Interrupts => Some("[interrupts]"),
            Self::Nobody => None,
        }
    }
}

/// The totals to remove from a map with room for `room`, such as those of pairs, as two readings of it
/// show them. None while a quarter is free; else those to which nothing came between the readings, the
/// lightest first, until half is free. What they hold has been read, so no sum changes by it; one to
/// which something comes again begins anew.
pub fn to_fold<K: Ord + Copy, V: PartialEq>(
    earlier: &BTreeMap<K, V>,
    later: &BTreeMap<K, V>,
    room: usize,
    weight: impl Fn(&V) -> u64,
) -> Vec<K> {
    if later.len() <= room / 4 * 3 {
        return Vec::new();
    }
    let mut rested: Vec<(u64, K)> = later
        .iter()
        .filter(|&(key, totals)| earlier.get(key) == Some(totals))
        .map(|(&key, totals)| (weight(totals), key))
        .collect();
    rested.sort_unstable();
    rested.truncate(later.len().saturating_sub(room / 2));
    rested.into_iter().map(|(_, key)| key).collect()
}

#[cfg(test)]
mod tests {
    use hostler_common::{
        pair::{PairKey, relation},
        slot::SlotLease,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::signal::PairSignal;

    fn key(slot: u32) -> PairKey {
        PairKey {
            waiter: SlotLease {
                slot,
                generation: 1,
            },
            cause: 1,
            relation: relation::HOLDER,
        }
    }

    fn pairs(waits: &[u64]) -> BTreeMap<PairKey, PairSignal> {
        let pair = |(slot, &wait_ns)| (key(slot), PairSignal { waits: 1, wait_ns });
        (0..).zip(waits).map(pair).collect()
    }

    fn folded_of(
        earlier: &BTreeMap<PairKey, PairSignal>,
        later: &BTreeMap<PairKey, PairSignal>,
        room: usize,
    ) -> Vec<PairKey> {
        to_fold(earlier, later, room, |totals| totals.wait_ns)
    }

    #[test]
    fn the_classes_of_causes_are_told_apart_by_slot() {
        let who = |waiter, cause| Who::of(cause, waiter, &|slot| (slot == 130).then_some("a1"));
        assert_eq!(who(130, 130), Who::Itself);
        assert_eq!(who(131, 130), Who::Agent("a1".to_owned()));
        assert_eq!(who(130, 131), Who::Agent(DEPARTED.to_owned()));
        assert_eq!(who(130, KERNEL), Who::Kernel);
        assert_eq!(who(KERNEL, KERNEL), Who::Kernel);
        assert_eq!(who(130, OTHER), Who::Unattributed);
        assert_eq!(who(OTHER, OTHER), Who::Unattributed);
        assert_eq!(who(130, NOBODY), Who::Nobody);
        assert_eq!(who(130, INTERRUPTS), Who::Interrupts);
    }

    #[test]
    fn while_a_quarter_is_free_every_pair_stays() {
        let all = pairs(&[5, 6, 7, 8, 9, 10]);
        assert_eq!(folded_of(&all, &all, 8), []);
    }

    #[test]
    fn the_lightest_that_have_rested_go_until_half_is_free() {
        let earlier = pairs(&[50, 10, 70, 20, 90, 30, 40]);
        let mut later = earlier.clone();
        // The lightest of all has just waited again, and one is new.
        later.insert(
            key(1),
            PairSignal {
                waits: 2,
                wait_ns: 11,
            },
        );
        later.insert(
            key(7),
            PairSignal {
                waits: 1,
                wait_ns: 1,
            },
        );
        assert_eq!(
            folded_of(&earlier, &later, 8),
            [key(3), key(5), key(6), key(0)]
        );
    }

    #[test]
    fn where_all_have_waited_none_can_go() {
        assert_eq!(folded_of(&pairs(&[1; 8]), &pairs(&[2; 8]), 8), []);
        assert_eq!(folded_of(&BTreeMap::new(), &pairs(&[2; 8]), 8), []);
    }

    proptest! {
        #[test]
        fn no_pair_that_waited_goes_and_none_heavier_than_one_that_rested_and_stays(
            before in prop::collection::vec(1_u64..50, 0..40),
            more in prop::collection::vec(0_u64..2, 40),
            room in 1_usize..40,
        ) {
            let earlier = pairs(&before);
            let after: Vec<u64> = before.iter().zip(&more).map(|(a, b)| a + b).collect();
            let later = pairs(&after);
            let folded = folded_of(&earlier, &later, room);
            for gone in &folded {
                prop_assert_eq!(earlier[gone], later[gone]);
                for (stays, totals) in later.iter().filter(|(stays, _)| !folded.contains(stays)) {
                    let rested = earlier[stays] == *totals;
                    prop_assert!(!rested || totals.wait_ns >= later[gone].wait_ns);
                }
            }
            prop_assert!(folded.is_empty() || later.len() - folded.len() >= room / 2);
        }
    }
}
