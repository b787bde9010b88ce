//! What an explanation rests on.

use std::collections::BTreeMap;

use hostler_common::{
    ledger::{STATES, state},
    pair::relation,
    slot::SlotLease,
};
use serde::Serialize;

use crate::{
    bottleneck::{Around, leaves_the_host},
    pairs::Who,
    signal::PairSignal,
    window::{RunQueueWindow, Window},
};

/// A loss below one part in this of the time awake is not felt.
const FELT_OF_AWAKE: u64 = 50;

/// A loss below one part in this of the window's length is not felt: 10 ms in 5 s.
const FELT_OF_LENGTH: u64 = 500;

/// What is known of an agent in a window, and of what was around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What happened to the agent.
    pub window: RunQueueWindow,
    /// How long the window was, in ns.
    pub length_ns: u64,
    /// The shortest wait that was laid to somebody, in ns.
    pub long_wait_ns: u64,
    /// Whom it waited for.
    pub waited_for: Vec<(Who, Blame)>,
    /// Round trips of its sockets to other hosts, added up, in ns.
    pub round_trip_ns: u64,
    /// Which other agents waited for it; who waited longest comes first.
    pub kept_waiting: Vec<KeptWaiting>,
    /// The host as a whole.
    pub host: Host,
}

/// How often and how long somebody made an agent wait, counting long waits only. Where several
/// threads run in turn while one waits, the whole wait is laid to one of them: to the first if the
/// CPU was taken from the waiter, else to the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Blame {
    /// Times the CPU was taken from the agent.
    pub taken_waits: u64,
    /// The waits after that, in ns.
    pub taken_ns: u64,
    /// Times the CPU was held for which the agent had been woken.
    pub held_waits: u64,
    /// The waits until then, in ns.
    pub held_ns: u64,
    /// How long whoever did so was on CPUs in the window, in ns, if that is known. The agent can't
    /// have waited longer for them, times its threads.
    pub ran_ns: Option<u64>,
}

/// An agent that had to wait for the explained one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptWaiting {
    /// Its name.
    pub name: String,
    /// Long waits.
    pub waits: u64,
    /// Their sum, in ns.
    pub wait_ns: u64,
}

/// The host in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// CPUs that were online.
    pub cpus: u32,
    /// Time on CPUs of all threads, in ns.
    pub on_cpu_ns: u64,
}

impl Blame {
    /// Long waits.
    pub fn waits(&self) -> u64 {
        self.taken_waits.saturating_add(self.held_waits)
    }

    /// Their sum, in ns.
    pub fn wait_ns(&self) -> u64 {
        self.taken_ns.saturating_add(self.held_ns)
    }

    /// Adds what somebody else did, or the same one in another way.
    pub fn add(&mut self, other: &Self) {
        self.taken_waits = self.taken_waits.saturating_add(other.taken_waits);
        self.taken_ns = self.taken_ns.saturating_add(other.taken_ns);
        self.held_waits = self.held_waits.saturating_add(other.held_waits);
        self.held_ns = self.held_ns.saturating_add(other.held_ns);
        self.ran_ns = self
            .ran_ns
            .map(|ran_ns| ran_ns.saturating_add(other.ran_ns.unwrap_or(0)))
            .or(other.ran_ns);
    }
}

impl Host {
    /// Time that the host's CPUs had, in ns.
    pub fn capacity_ns(&self, length_ns: u64) -> u64 {
        length_ns.saturating_mul(self.cpus.into())
    }
}

impl Evidence {
    /// Takes what concerns `agent` out of a window of all agents. `name_of` names slots.
    pub fn of<'a>(
        window: &Window,
        agent: SlotLease,
        long_wait_ns: u64,
        cpus: u32,
        name_of: impl Fn(u32) -> Option<&'a str>,
    ) -> Self {
        let on_cpu_ns = window.agents.values().map(|(_, other)| other.on_cpu_ns());
        Self {
            window: window
                .agents
                .get(&agent)
                .map(|(_, own)| own.clone())
                .unwrap_or_default(),
            length_ns: window.length_ns(),
            long_wait_ns,
            waited_for: waited_for(window, agent, &name_of),
            round_trip_ns: round_trip_ns(window, agent),
            kept_waiting: kept_waiting(window, agent, &name_of),
            host: Host {
                cpus,
                on_cpu_ns: on_cpu_ns.sum(),
            },
        }
    }

    /// What is not in its own window.
    pub(super) fn around(&self) -> Around {
        let waits_ns = |is_own: bool| {
            let laid = self.waited_for.iter();
            let laid = laid.filter(|(who, _)| (*who == Who::Itself) == is_own);
            laid.fold(0_u64, |sum, (_, blame)| sum.saturating_add(blame.wait_ns()))
        };
        Around {
            own_wait_ns: waits_ns(true),
            other_wait_ns: waits_ns(false),
            round_trip_ns: self.round_trip_ns,
        }
    }

    /// Thread time that was not slept, in ns.
    pub fn awake_ns(&self) -> u64 {
        let ledger = &self.window.ledger;
        (1..u32::try_from(STATES).unwrap_or(u32::MAX))
            .filter(|&state| state != state::ASLEEP)
            .map(|state| ledger.spent_ns(state))
            .fold(0_u64, u64::saturating_add)
            .min(ledger.total_ns())
    }

    /// Threads that the agent had on average, rounded up.
    pub(super) fn threads(&self) -> u64 {
        let total_ns = self.window.ledger.total_ns();
        total_ns.div_ceil(self.length_ns.max(1)).max(1)
    }

    /// Whether a loss of thread time is worth telling.
    pub(super) fn is_felt(&self, cost_ns: u64) -> bool {
        cost_ns > 0
            && cost_ns >= self.awake_ns() / FELT_OF_AWAKE
            && cost_ns >= self.length_ns / FELT_OF_LENGTH
    }
}

fn waited_for<'a>(
    window: &Window,
    agent: SlotLease,
    name_of: &impl Fn(u32) -> Option<&'a str>,
) -> Vec<(Who, Blame)> {
    let mut ran = BTreeMap::<u32, u64>::new();
    for (id, (_, other)) in &window.agents {
        *ran.entry(id.slot).or_default() += other.on_cpu_ns();
    }
    let mut blame = BTreeMap::<(Who, u32), Blame>::new();
    for (pair, totals) in &window.pairs {
        if pair.waiter != agent {
            continue;
        }
        let who = Who::of(pair.cause, agent.slot, name_of);
        blame
            .entry((who, pair.cause))
            .or_default()
            .add(&blame_of(pair.relation, *totals));
    }
    blame
        .into_iter()
        .map(|((who, slot), blame)| {
            let ran_ns = ran.get(&slot).copied();
            (who, Blame { ran_ns, ..blame })
        })
        .collect()
}

fn round_trip_ns(window: &Window, agent: SlotLease) -> u64 {
    let peers = window.peers.iter();
    let peers = peers.filter(|(key, _)| key.agent == agent && leaves_the_host(key.peer));
    let rtt_us = peers.map(|(_, peer)| peer.counts.rtt_us);
    rtt_us.fold(0_u64, u64::saturating_add).saturating_mul(1000)
}

fn blame_of(how: u32, totals: PairSignal) -> Blame {
    if how == relation::PREEMPTOR {
        Blame {
            taken_waits: totals.waits,
            taken_ns: totals.wait_ns,
            ..Blame::default()
        }
    } else {
        Blame {
            held_waits: totals.waits,
            held_ns: totals.wait_ns,
            ..Blame::default()
        }
    }
}

fn kept_waiting<'a>(
    window: &Window,
    agent: SlotLease,
    name_of: &impl Fn(u32) -> Option<&'a str>,
) -> Vec<KeptWaiting> {
    let mut sums = BTreeMap::<SlotLease, PairSignal>::new();
    for (pair, totals) in &window.pairs {
        if pair.cause == agent.slot && pair.waiter != agent {
            let sum = sums.entry(pair.waiter).or_default();
            sum.waits = sum.waits.saturating_add(totals.waits);
            sum.wait_ns = sum.wait_ns.saturating_add(totals.wait_ns);
        }
    }
    let mut kept: Vec<KeptWaiting> = sums
        .into_iter()
        .map(|(waiter, totals)| KeptWaiting {
            name: window.name_of(waiter, name_of),
            waits: totals.waits,
            wait_ns: totals.wait_ns,
        })
        .collect();
    kept.sort_by_key(|waiter| std::cmp::Reverse(waiter.wait_ns));
    kept
}
