//! Reads who made whom wait and who woke whom, and keeps room in the kernel's maps for those that are
//! new.

use std::collections::BTreeMap;

use hostler_common::{
    pair::{MAX_PAIRS, PairKey},
    slot::SlotLease,
    wake::{MAX_WAKES, WakeKey},
};
use hostler_decide::{pairs::to_fold, signal::PairSignal, wakes::WakeSignal};

use super::Observer;
use crate::probes::{Probes, tables::Totals};

/// A map's totals as they were last read, if there were many: only a map that is filling up needs what
/// was before.
pub(super) type Last = BTreeMap<[u32; 4], [u64; 2]>;

impl Observer {
    /// The pairs, less those that have just given their place to others: these have not waited
    /// since the last reading, and begin at zero again when they do.
    pub(super) fn read_pairs(&mut self) -> BTreeMap<PairKey, PairSignal> {
        if !self.options.pairs {
            return BTreeMap::new();
        }
        let (probes, last) = (&mut self.probes, &mut self.last_pairs);
        // The lightest of pairs has waited least.
        let (pairs, folded) = read(probes, Totals::Pairs, last, MAX_PAIRS, |[_, wait_ns]| {
            wait_ns
        });
        self.pairs_folded += folded;
        let pair = |(key, [waits, wait_ns]): ([u32; 4], [u64; 2])| {
            let [slot, generation, cause, relation] = key;
            let key = PairKey {
                waiter: SlotLease { slot, generation },
                cause,
                relation,
            };
            (key, PairSignal { waits, wait_ns })
        };
        pairs.into_iter().map(pair).collect()
    }

    /// The edges along which somebody was woken, likewise.
    pub(super) fn read_wakes(&mut self) -> BTreeMap<WakeKey, WakeSignal> {
        if !self.options.wakes {
            return BTreeMap::new();
        }
        let (probes, last) = (&mut self.probes, &mut self.last_wakes);
        let (wakes, _) = read(probes, Totals::Wakes, last, MAX_WAKES, |[wakes, _]| wakes);
        let edge = |(key, [wakes, node_wakes]): ([u32; 4], [u64; 2])| {
            let [slot, generation, by, reserved] = key;
            let key = WakeKey {
                woken: SlotLease { slot, generation },
                waker: by,
                reserved,
            };
            (key, WakeSignal { wakes, node_wakes })
        };
        wakes.into_iter().map(edge).collect()
    }
}

/// The totals of a map with some room, and how many of them have just made room for others.
fn read(
    probes: &mut Probes,
    map: Totals,
    last: &mut Last,
    room: u32,
    weight: impl Fn([u64; 2]) -> u64,
) -> (Last, u64) {
    let mut now = probes.totals(map);
    let room = room as usize;
    let before = now.len();
    for key in to_fold(last, &now, room, |totals| weight(*totals)) {
        if now
            .get(&key)
            .is_some_and(|&totals| probes.fold(map, key, totals))
        {
            now.remove(&key);
        }
    }
    let folded = before - now.len();
    if folded > 0 {
        tracing::debug!(
            ?map,
            folded,
            left = now.len(),
            "totals that rested made room"
        );
    }
    *last = if now.len() > room / 2 {
        now.clone()
    } else {
        Last::new()
    };
    (now, folded as u64)
}
