//! Reads who made whom wait, and keeps room in the kernel's map for pairs that are new.

use std::collections::BTreeMap;

use hostler_common::pair::{MAX_PAIRS, PairKey};
use hostler_decide::{pairs::to_fold, signal::PairSignal};

use super::Observer;

const ROOM: usize = MAX_PAIRS as usize;

impl Observer {
    /// The pairs, less those that have just given their place to others: these have not waited
    /// since the last reading, and begin at zero again when they do.
    pub(super) fn read_pairs(&mut self) -> BTreeMap<PairKey, PairSignal> {
        if !self.options.pairs {
            return BTreeMap::new();
        }
        let mut pairs = self.probes.pairs();
        let rested = to_fold(&self.last_pairs, &pairs, ROOM);
        let before = pairs.len();
        for key in rested {
            if pairs
                .get(&key)
                .is_some_and(|&totals| self.probes.fold_pair(&key, totals))
            {
                pairs.remove(&key);
            }
        }
        if pairs.len() < before {
            let folded = before - pairs.len();
            self.pairs_folded += folded as u64;
            tracing::debug!(folded, left = pairs.len(), "pairs that rested made room");
        }
        // Only a map that is filling up needs what was before.
        self.last_pairs = if pairs.len() > ROOM / 2 {
            pairs.clone()
        } else {
            BTreeMap::new()
        };
        pairs
    }
}
