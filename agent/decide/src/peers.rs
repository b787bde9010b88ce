//! Who an agent's TCP sockets talk to, and how that went: cumulative, and in a window.

use std::{
    collections::BTreeMap,
    ops::{Add, Sub},
    sync::Arc,
};

use hostler_common::peer::{PeerKey, class};

use crate::durations::{BucketReadings, Durations};

/// Peers that a sum of windows keeps apart: more than there can be at a time.
const MAX_PEERS_APART: usize = 4 * hostler_common::peer::MAX_PEERS as usize;

/// Counts of an agent and a peer; what they mean is said at
/// [`hostler_common::peer::PeerRecord`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerCounts {
    /// Sum of the round trips, in µs.
    pub rtt_us: u64,
    /// Bytes that were sent and acknowledged.
    pub sent_bytes: u64,
    /// Bytes that were received in order.
    pub received_bytes: u64,
    /// Segments sent again.
    pub retransmitted: u64,
    /// Segments that a socket dropped.
    pub dropped: u64,
    /// Connections that the agent made.
    pub connected: u64,
    /// Connections that it began in vain.
    pub not_connected: u64,
    /// Connections that others made to it.
    pub accepted: u64,
    /// Connections that were there before.
    pub adopted: u64,
    /// Connections that have ended.
    pub closed: u64,
}

impl PeerCounts {
    fn each(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            rtt_us: combine(self.rtt_us, other.rtt_us),
            sent_bytes: combine(self.sent_bytes, other.sent_bytes),
            received_bytes: combine(self.received_bytes, other.received_bytes),
            retransmitted: combine(self.retransmitted, other.retransmitted),
            dropped: combine(self.dropped, other.dropped),
            connected: combine(self.connected, other.connected),
            not_connected: combine(self.not_connected, other.not_connected),
            accepted: combine(self.accepted, other.accepted),
            adopted: combine(self.adopted, other.adopted),
            closed: combine(self.closed, other.closed),
        }
    }

    /// Connections that stand, of cumulative counts. Two counts are not read at one instant: a
    /// connection may have ended in between.
    pub fn open(&self) -> u64 {
        let begun = self
            .connected
            .wrapping_add(self.accepted)
            .wrapping_add(self.adopted);
        begun.saturating_sub(self.closed)
    }
}

/// Adds counts of two windows.
impl Add for PeerCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }
}

/// What came to the counts since an earlier reading.
impl Sub for PeerCounts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        self.each(earlier, u64::wrapping_sub)
    }
}

/// Histograms of an agent and a peer, cumulative.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerHistograms {
    /// Round trips.
    pub round_trip: BucketReadings,
    /// From a connection's first packet until it stood.
    pub connect: BucketReadings,
}

/// An agent's and a peer's cumulative signals at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerSignal {
    /// The counts.
    pub counts: PeerCounts,
    /// The smoothed round trip as of the last one that was counted, in µs; 0 before.
    pub smoothed_rtt_us: u32,
    /// The shortest that the kernel remembers of that socket, in µs.
    pub min_rtt_us: u32,
    /// The histograms.
    pub histograms: Arc<PeerHistograms>,
}

/// What an agent and a peer had to do with each other in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerWindow {
    /// What came to the counts.
    pub counts: PeerCounts,
    /// The smoothed round trip at the window's end, in µs; 0 if there never was one.
    pub smoothed_rtt_us: u32,
    /// The shortest round trip that the kernel remembered then, in µs.
    pub min_rtt_us: u32,
    /// Connections that stood at the window's end.
    pub open: u64,
    /// Round trips that ended in the window.
    pub round_trip: Durations,
    /// Connections that came to stand in the window, from their first packet on.
    pub connect: Durations,
}

impl PeerWindow {
    /// What happened between two readings.
    #[must_use]
    pub fn between(earlier: &PeerSignal, later: &PeerSignal) -> Self {
        let (before, now) = (&earlier.histograms, &later.histograms);
        let (round_trip, connect) = if Arc::ptr_eq(before, now) {
            Default::default()
        } else {
            (
                now.round_trip.since(&before.round_trip),
                now.connect.since(&before.connect),
            )
        };
        Self {
            counts: later.counts - earlier.counts,
            smoothed_rtt_us: later.smoothed_rtt_us,
            min_rtt_us: later.min_rtt_us,
            open: later.counts.open(),
            round_trip,
            connect,
        }
    }

    /// Adds what happened in the window that follows.
    pub fn append(&mut self, next: &Self) {
        self.counts = self.counts + next.counts;
        self.smoothed_rtt_us = next.smoothed_rtt_us;
        self.min_rtt_us = next.min_rtt_us;
        self.open = next.open;
        self.round_trip.add(&next.round_trip);
        self.connect.add(&next.connect);
    }

    /// Whether nothing was sent, received, connected or closed.
    pub fn is_idle(&self) -> bool {
        self.counts == PeerCounts::default()
            && self.round_trip.is_empty()
            && self.connect.is_empty()
    }

    /// The mean of the round trips, in µs; `None` if there were none.
    pub fn mean_rtt_us(&self) -> Option<f64> {
        let round_trips = self.round_trip.total();
        (round_trips > 0).then(|| self.counts.rtt_us as f64 / round_trips as f64)
    }
}

/// Names of peers that are not the user's.
pub const CLASS_NAMES: [&str; 5] = ["nobody", "loopback", "host", "lan", "wan"];

/// What a class of peers is called, where the user has named `named`.
pub fn class_name(class: u32, named: &[String]) -> &str {
    let of_user = || {
        let index = class.checked_sub(class::FIRST_NAMED)?;
        named.get(index as usize).map(String::as_str)
    };
    let own = CLASS_NAMES.get(class as usize).copied();
    own.or_else(of_user).unwrap_or("unknown")
}

/// What agents and peers had to do with each other between two readings; who did nothing is left
/// out. Both readings are ordered by key.
pub(crate) fn peers_between(
    earlier: &[(PeerKey, Arc<PeerSignal>)],
    later: &[(PeerKey, Arc<PeerSignal>)],
) -> BTreeMap<PeerKey, PeerWindow> {
    let nothing = Arc::default();
    let mut before = earlier.iter().peekable();
    let mut windows = BTreeMap::new();
    for (key, now) in later {
        while before.next_if(|(earlier, _)| earlier < key).is_some() {}
        let was = before.next_if(|(earlier, _)| earlier == key);
        let was = was.map_or(&nothing, |(_, signal)| signal);
        if Arc::ptr_eq(was, now) {
            continue;
        }
        let window = PeerWindow::between(was, now);
        if !window.is_idle() {
            windows.insert(*key, window);
        }
    }
    windows
}

/// Appends the peers of the window that follows. Those of agents that are long gone are left out
/// once there are too many: a sum of windows must not grow with every agent that ever was.
pub(crate) fn append_peers(
    sum: &mut BTreeMap<PeerKey, PeerWindow>,
    next: BTreeMap<PeerKey, PeerWindow>,
) -> u64 {
    let mut left_out = 0;
    for (key, window) in next {
        if sum.len() >= MAX_PEERS_APART && !sum.contains_key(&key) {
            left_out += 1;
            continue;
        }
        sum.entry(key).or_default().append(&window);
    }
    left_out
}

#[cfg(test)]
mod tests {
    use hostler_common::slot::SlotLease;
    use proptest::prelude::*;

    use super::*;

    fn key(slot: u32, peer: u32) -> PeerKey {
        PeerKey {
            agent: SlotLease {
                slot,
                generation: 1,
            },
            peer,
            reserved: 0,
        }
    }

    fn signal(sent_bytes: u64, round_trips: u32) -> Arc<PeerSignal> {
        let mut histograms = PeerHistograms::default();
        histograms.round_trip.0[60] = round_trips;
        Arc::new(PeerSignal {
            counts: PeerCounts {
                sent_bytes,
                connected: 3,
                closed: 1,
                ..PeerCounts::default()
            },
            smoothed_rtt_us: 90,
            min_rtt_us: 40,
            histograms: Arc::new(histograms),
        })
    }

    #[test]
    fn who_came_between_two_readings_began_at_zero_and_who_did_nothing_is_left_out() {
        let earlier = vec![(key(5, 1), signal(10, 1)), (key(9, 1), signal(7, 1))];
        let later = vec![
            (key(5, 1), signal(10, 1)),
            (key(5, 4), signal(3, 1)),
            (key(9, 1), signal(9, 4)),
        ];
        let windows = peers_between(&earlier, &later);
        assert_eq!(windows.len(), 2);
        assert_eq!(windows[&key(5, 4)].counts.sent_bytes, 3);
        assert_eq!(windows[&key(9, 1)].counts.sent_bytes, 2);
        assert_eq!(windows[&key(9, 1)].round_trip.total(), 3);
        assert_eq!(windows[&key(9, 1)].open, 2);
    }

    #[test]
    fn a_sum_keeps_what_is_true_at_its_end() {
        let (first, second) = (signal(1, 1), signal(2, 1));
        let third = PeerSignal {
            smoothed_rtt_us: 120,
            ..(*signal(5, 3)).clone()
        };
        let mut sum = PeerWindow::between(&first, &second);
        sum.append(&PeerWindow::between(&second, &third));
        assert_eq!(sum, PeerWindow::between(&first, &third));
        assert_eq!(sum.smoothed_rtt_us, 120);
    }

    proptest! {
        #[test]
        fn counts_that_wrap_between_two_readings_are_right(first in any::<u64>(), more in any::<u64>()) {
            let at = |sent_bytes| PeerCounts { sent_bytes, ..PeerCounts::default() };
            prop_assert_eq!((at(first.wrapping_add(more)) - at(first)).sent_bytes, more);
        }
    }
}
