//! Who made whom wait.

use aya_ebpf::Global;
use hostler_common::{
    pair::{PairKey, PairTotals},
    slot::SlotLease,
};

use crate::{
    counter::add,
    maps::{PAIRS, count_loss},
};

/// The shortest wait that counts, in ns; set before loading.
#[unsafe(no_mangle)]
static LONG_WAIT_NS: Global<u64> = Global::new(1_000_000);

/// Whether a wait counts as long.
#[inline(always)]
pub(crate) fn is_long(wait_ns: u64) -> bool {
    wait_ns >= LONG_WAIT_NS.load()
}

/// Adds a long wait to the totals of its pair. The map is preallocated: nothing is allocated here.
#[inline(always)]
pub(crate) fn count_long_wait(waiter: SlotLease, cause: u32, relation: u32, wait_ns: u64) {
    let key = PairKey {
        waiter,
        cause,
        relation,
    };
    if let Some(totals) = PAIRS.get_ptr_mut(key) {
        // SAFETY: entries are removed by user space only after their waiter's slot has rested, or if
        // they had no wait between two readings. The memory stays a pair's in any case.
        let totals = unsafe { &*totals };
        add(&totals.waits, 1);
        add(&totals.wait_ns, wait_ns);
        return;
    }
    let first = PairTotals::new(1, wait_ns);
    if PAIRS.insert(key, first, ONLY_NEW).is_err() {
        count_loss!(pairs_not_counted);
    }
}

/// `BPF_NOEXIST`: another CPU that was first must not be overwritten.
const ONLY_NEW: u64 = 1;
