//! What keeps an agent from getting its work done sooner: one word for each busy agent and window.
//!
//! An agent's time in a window is cut into parts by what it went to, and no part is told twice: thread time
//! awake, as the ledger has it, and time in which a packet was under way for it while it slept. The largest
//! part that is not computing is its bottleneck, if it is worth a word ([`HINDERS`]). Counts that overlap
//! are taken out of the ledger's states, where that time lies: stalls for want of memory first, since they
//! show as faults and as storage, too; then page faults; what is left of the states is what it is called.
//!
//! What a remote server computes for an agent is not seen: the agent sleeps, as one does that has nothing to
//! do. Only packets under way to other hosts count as the network's, for one thread that waits; within this one, an acknowledgement
//! that takes its time says nothing of who waits for it.

use std::collections::BTreeMap;

use hostler_common::{ledger::state, peer::class, slot::SlotLease};
use serde::Serialize;

use crate::{
    durations::Durations,
    window::{RunQueueWindow, Window},
};

/// An agent is busy that has so much to do, as a part of the window's length.
const BUSY: f64 = 0.01;

/// What takes at least this part of an agent's time is its bottleneck. Less of it would gain so little that
/// computing less is the better advice.
const HINDERS: f64 = 0.25;

/// What an agent's time can go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// It computes: nothing hinders it that is seen from outside.
    Computing,
    /// It is starved of CPUs: others have those that it waits for.
    Cpu,
    /// It has more threads than CPUs for them: they wait for each other.
    OwnThreads,
    /// Its group's CPU quota is used up.
    Quota,
    /// Memory is too small for it: pages are taken away and needed again.
    Memory,
    /// Page faults: memory that is touched for the first time, or files that are not in memory.
    Faults,
    /// Block I/O.
    Storage,
    /// Locks and devices in the kernel.
    Kernel,
    /// Packets that are under way.
    Network,
}

impl Limit {
    /// All of them, as parts are ordered.
    pub const ALL: [Self; 9] = [
        Self::Computing,
        Self::Cpu,
        Self::OwnThreads,
        Self::Quota,
        Self::Memory,
        Self::Faults,
        Self::Storage,
        Self::Kernel,
        Self::Network,
    ];

    /// Whether an agent waits for something that no CPU or memory of this host can give it.
    pub fn is_elsewhere(self) -> bool {
        matches!(self, Self::Storage | Self::Network)
    }

    /// As it is written in metrics and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Computing => "computing",
            Self::Cpu => "cpu",
            Self::OwnThreads => "own_threads",
            Self::Quota => "quota",
            Self::Memory => "memory",
            Self::Faults => "faults",
            Self::Storage => "storage",
            Self::Kernel => "kernel",
            Self::Network => "network",
        }
    }
}

/// What an agent's time went to, in ns; by [`Limit::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimeParts(pub [f64; Limit::ALL.len()]);

/// What held an agent up most, and how much of its time that took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bottleneck {
    /// What.
    pub limit: Limit,
    /// The part of the agent's time, from 0 to 1.
    pub part: f64,
}

/// What stands not in an agent's own window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// Long waits for a CPU that its own threads had, in ns.
    pub own_wait_ns: u64,
    /// Those for CPUs that somebody else had.
    pub other_wait_ns: u64,
    /// Round trips of its sockets to other hosts, added up, in ns.
    pub round_trip_ns: u64,
}

/// Whether packets leave the host for a class of peers, one of [`class`].
pub fn leaves_the_host(peer: u32) -> bool {
    !matches!(peer, class::NOBODY | class::LOOPBACK | class::HOST)
}

impl Around {
    /// Of all agents that waited long or talked to anybody, by one way through the window.
    pub fn all(window: &Window) -> BTreeMap<SlotLease, Self> {
        let mut all = BTreeMap::<SlotLease, Self>::new();
        for (pair, waits) in &window.pairs {
            let around = all.entry(pair.waiter).or_default();
            let sum = if pair.cause == pair.waiter.slot {
                &mut around.own_wait_ns
            } else {
                &mut around.other_wait_ns
            };
            *sum = sum.saturating_add(waits.wait_ns);
        }
        let peers = window.peers.iter();
        for (key, peer) in peers.filter(|(key, _)| leaves_the_host(key.peer)) {
            let sum = &mut all.entry(key.agent).or_default().round_trip_ns;
            *sum = sum.saturating_add(peer.counts.rtt_us.saturating_mul(1000));
        }
        all
    }
}

impl TimeParts {
    /// Cuts an agent's time in a window of a length in ns.
    pub fn of(window: &RunQueueWindow, around: Around, length_ns: u64) -> Self {
        let spent = |state| window.ledger.spent_ns(state) as f64;
        let mut computing = spent(state::ON_CPU);
        let mut storage = spent(state::BLOCKED_IO);
        let mut kernel = spent(state::BLOCKED);
        let stalled = memory_stall_ns(window, length_ns);
        let memory = drawn(stalled, [&mut storage, &mut kernel, &mut computing]);
        let latency = &window.fault_latency;
        // A refault is in both counts.
        let major = (sum_ns(&latency.major) - memory).max(0.0);
        let faults = drawn(major, [&mut storage, &mut kernel])
            + drawn(sum_ns(&latency.minor), [&mut computing]);
        let waits = spent(state::WAITING_WOKEN) + spent(state::WAITING_PREEMPTED);
        let own_threads = waits * own_part(around);
        // Several packets are under way at once, and one thread waits for them.
        let under_way = around.round_trip_ns.min(length_ns) as f64;
        let network = spent(state::ASLEEP).min(under_way);
        Self([
            computing,
            waits - own_threads,
            own_threads,
            spent(state::THROTTLED),
            memory,
            faults,
            storage,
            kernel,
            network,
        ])
    }

    /// Adds the parts of the window that follows; what was before counts for less by a factor.
    pub fn follow(&mut self, now: &Self, kept: f64) {
        for (sum, now) in self.0.iter_mut().zip(now.0) {
            *sum = *sum * kept + now;
        }
    }

    /// All of it, in ns.
    pub fn sum_ns(&self) -> f64 {
        self.0.iter().sum()
    }

    /// What held the agent up in `length_ns`; `None` if it was not busy.
    pub fn bottleneck(&self, length_ns: f64) -> Option<Bottleneck> {
        let all = self.sum_ns();
        if all <= 0.0 || all < BUSY * length_ns {
            return None;
        }
        let parts = Limit::ALL.into_iter().zip(self.0.map(|ns| ns / all));
        let bottlenecks = parts.map(|(limit, part)| Bottleneck { limit, part });
        let computing = Bottleneck {
            limit: Limit::Computing,
            part: self.0[0] / all,
        };
        let most = bottlenecks
            .skip(1)
            .fold(computing, |most, other| match most.limit {
                Limit::Computing => other,
                _ if other.part > most.part => other,
                _ => most,
            });
        Some(if most.part >= HINDERS {
            most
        } else {
            computing
        })
    }
}

/// What held up each agent of a window that was busy.
pub fn bottlenecks(window: &Window) -> impl Iterator<Item = (SlotLease, Bottleneck)> {
    let around = Around::all(window);
    let length_ns = window.length_ns();
    window.agents.iter().filter_map(move |(&id, (_, own))| {
        let around = around.get(&id).copied().unwrap_or_default();
        let parts = TimeParts::of(own, around, length_ns);
        Some((id, parts.bottleneck(length_ns as f64)?))
    })
}

/// Waits too short to be laid to anybody were for the same CPUs as the long ones. Where there was no long
/// one, others are taken to be at fault: threads that keep each other waiting do so for whole slices.
fn own_part(around: Around) -> f64 {
    let (own, others) = (around.own_wait_ns as f64, around.other_wait_ns as f64);
    if own > 0.0 { own / (own + others) } else { 0.0 }
}

/// Time in which threads had to wait for want of memory. Its readings lie a while apart.
fn memory_stall_ns(window: &RunQueueWindow, length_ns: u64) -> f64 {
    let polled = window.polled.as_deref();
    let polled = polled.filter(|polled| polled.length_ns > 0);
    polled.map_or(0.0, |polled| {
        let stall_us = polled
            .pressure
            .map_or(0, |pressure| pressure.memory.some_us);
        stall_us as f64 * 1e3 * length_ns as f64 / polled.length_ns as f64
    })
}

/// Takes an amount out of states, as far as they have it. How much that was.
fn drawn<const N: usize>(amount: f64, states: [&mut f64; N]) -> f64 {
    let mut owed = amount;
    for state in states {
        let taken = owed.min(*state);
        *state -= taken;
        owed -= taken;
    }
    amount - owed
}

/// The sum of durations, by the middles of their buckets.
fn sum_ns(durations: &Durations) -> f64 {
    let middle = |start: u64, end: u64| f64::midpoint(start as f64, end as f64);
    durations
        .buckets()
        .map(|bucket| bucket.count as f64 * middle(bucket.start_ns, bucket.end_ns))
        .sum()
}

#[cfg(test)]
mod tests;
