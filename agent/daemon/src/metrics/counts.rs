//! What is counted of an agent, a group, or the host.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::ledger::STATES;
use hostler_decide::{
    bottleneck::Limit,
    durations::Durations,
    node_memory::NodeMemory,
    peers::{PeerCounts, PeerWindow},
    placement::Placement,
    polled::MemoryAmounts,
    pressure::Pressure,
    window::RunQueueWindow,
};

/// Classes of causes of long waits, by [`hostler_decide::pairs::Who::class`].
pub(super) const CAUSES: [&str; 6] = [
    "same_agent",
    "another_agent",
    "kernel_thread",
    "unattributed",
    "interrupts",
    "no_thread",
];

/// Counters, and the last amounts.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    /// Time by state, in ns. A window may take back a little of what the one before it told.
    sums_ns: [i64; STATES],
    /// The most that it ever was: counters do not go backwards.
    pub(super) state_ns: [u64; STATES],
    /// Agents that are there; of an agent nothing.
    pub(super) agents: u64,
    pub(super) threads: u64,
    pub(super) voluntary_switches: u64,
    pub(super) involuntary_switches: u64,
    pub(super) wake_waits: u64,
    pub(super) preempt_waits: u64,
    pub(super) minor_faults: u64,
    pub(super) major_faults: u64,
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
    pub(super) oom_kills: u64,
    /// Long waits by cause, in ns, in the order of [`CAUSES`].
    pub(super) cause_ns: [u64; CAUSES.len()],
    /// Time in which agents were busy by what held them up most, in ns, in the order of [`Limit::ALL`].
    pub(super) bottleneck_ns: [u64; Limit::ALL.len()],
    /// Time lost between readings of the agents' cgroups.
    pub(super) pressure: Option<Pressure>,
    pub(super) memory: Option<MemoryAmounts>,
    pub(super) placement: Option<Box<Placement>>,
    pub(super) node_memory: Option<Arc<NodeMemory>>,
    /// By class of peer.
    pub(super) peers: BTreeMap<u32, PeerTotals>,
}

/// What an agent, a group or the host had to do with a class of peers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PeerTotals {
    pub(super) counts: PeerCounts,
    pub(super) round_trips: u64,
}

impl Counts {
    pub(super) fn add(&mut self, window: &RunQueueWindow) {
        let states = self.sums_ns.iter_mut().zip(&mut self.state_ns);
        for ((sum, most), ns) in states.zip(window.ledger.ns) {
            *sum = sum.wrapping_add(ns);
            *most = (*most).max(sum.max(&mut 0).cast_unsigned());
        }
        self.threads += window.ledger.threads;
        for (sum, more) in [
            (&mut self.voluntary_switches, window.voluntary_switches),
            (&mut self.involuntary_switches, window.involuntary_switches),
            (&mut self.wake_waits, window.wake_wait.total()),
            (&mut self.preempt_waits, window.preempt_wait.total()),
            (&mut self.minor_faults, window.faults.minor),
            (&mut self.major_faults, window.faults.major),
            (&mut self.read_bytes, window.block_io.read_bytes),
            (&mut self.written_bytes, window.block_io.written_bytes),
            (&mut self.oom_kills, window.oom_kills),
        ] {
            *sum = sum.wrapping_add(more);
        }
        if let Some(polled) = window.polled.as_deref() {
            if let Some(more) = polled.pressure {
                self.pressure = Some(self.pressure.unwrap_or_default() + more);
            }
            if let Some((amounts, _)) = polled.memory {
                self.memory = Some(amounts);
            }
        }
        if let Some(more) = window.placement.as_deref() {
            self.placement.get_or_insert_default().add(more);
        }
        if let Some(newer) = &window.node_memory {
            self.node_memory = Some(Arc::clone(newer));
        }
    }

    pub(super) fn add_peer(&mut self, class: u32, window: &PeerWindow) {
        let totals = self.peers.entry(class).or_default();
        totals.counts = totals.counts + window.counts;
        totals.round_trips = totals.round_trips.wrapping_add(window.round_trip.total());
    }

    pub(super) fn add_cause(&mut self, class: &str, wait_ns: u64) {
        if let Some(cause) = CAUSES.iter().position(|cause| *cause == class) {
            self.cause_ns[cause] = self.cause_ns[cause].wrapping_add(wait_ns);
        }
    }

    pub(super) fn add_bottleneck(&mut self, limit: Limit, ns: u64) {
        let sum = &mut self.bottleneck_ns[limit as usize];
        *sum = sum.wrapping_add(ns);
    }

    /// Adds the counters of another, which is no more.
    pub(super) fn merge(&mut self, gone: &Self) {
        for (sum, more) in self.sums_ns.iter_mut().zip(gone.state_ns) {
            *sum = sum.wrapping_add(more.cast_signed());
        }
        for (sum, more) in self.state_ns.iter_mut().zip(gone.state_ns) {
            *sum = sum.wrapping_add(more);
        }
        let causes = self.cause_ns.iter_mut().zip(gone.cause_ns);
        let bottlenecks = self.bottleneck_ns.iter_mut().zip(gone.bottleneck_ns);
        for (sum, more) in causes.chain(bottlenecks) {
            *sum = sum.wrapping_add(more);
        }
        for (sum, more) in [
            (&mut self.voluntary_switches, gone.voluntary_switches),
            (&mut self.involuntary_switches, gone.involuntary_switches),
            (&mut self.wake_waits, gone.wake_waits),
            (&mut self.preempt_waits, gone.preempt_waits),
            (&mut self.minor_faults, gone.minor_faults),
            (&mut self.major_faults, gone.major_faults),
            (&mut self.read_bytes, gone.read_bytes),
            (&mut self.written_bytes, gone.written_bytes),
            (&mut self.oom_kills, gone.oom_kills),
        ] {
            *sum = sum.wrapping_add(more);
        }
        if let Some(more) = gone.placement.as_deref() {
            self.placement.get_or_insert_default().add(more);
        }
        for (&class, more) in &gone.peers {
            let totals = self.peers.entry(class).or_default();
            totals.counts = totals.counts + more.counts;
            totals.round_trips = totals.round_trips.wrapping_add(more.round_trips);
        }
    }

    /// Takes the amounts that are added up of those who are there.
    pub(super) fn set_amounts(&mut self, there: &Amounts) {
        self.agents = there.agents;
        self.threads = there.threads;
        self.memory = there.memory;
    }
}

/// Amounts of the agents that are there, added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Amounts {
    pub(super) agents: u64,
    pub(super) threads: u64,
    pub(super) memory: Option<MemoryAmounts>,
}

impl Amounts {
    pub(super) fn add(&mut self, agent: &Counts) {
        self.agents += 1;
        self.threads += agent.threads;
        if let Some(more) = agent.memory {
            let sum = self.memory.get_or_insert_default();
            for (sum, more) in [
                (&mut sum.current_bytes, more.current_bytes),
                (&mut sum.anon_bytes, more.anon_bytes),
                (&mut sum.file_bytes, more.file_bytes),
                (&mut sum.swap_bytes, more.swap_bytes),
            ] {
                *sum = sum.saturating_add(more);
            }
        }
    }
}

/// Distributions, which groups and the host have.
#[derive(Clone, Debug, Default)]
pub(super) struct Distributions {
    pub(super) wake_wait: Durations,
    pub(super) preempt_wait: Durations,
    pub(super) on_cpu: Durations,
    pub(super) minor_fault: Durations,
    pub(super) major_fault: Durations,
    /// Round trips by class of peer, and their exact sum in µs.
    pub(super) round_trip: BTreeMap<u32, (Durations, u64)>,
    /// Connections that came to stand, by class of peer.
    pub(super) connect: BTreeMap<u32, Durations>,
}

impl Distributions {
    pub(super) fn add(&mut self, window: &RunQueueWindow) {
        self.wake_wait.add(&window.wake_wait);
        self.preempt_wait.add(&window.preempt_wait);
        self.on_cpu.add(&window.on_cpu);
        self.minor_fault.add(&window.fault_latency.minor);
        self.major_fault.add(&window.fault_latency.major);
    }

    pub(super) fn add_peer(&mut self, class: u32, window: &PeerWindow) {
        let (durations, sum_us) = self.round_trip.entry(class).or_default();
        durations.add(&window.round_trip);
        *sum_us = sum_us.wrapping_add(window.counts.rtt_us);
        self.connect.entry(class).or_default().add(&window.connect);
    }
    /// Adds the distributions of another, which is no more.
    pub(super) fn merge(&mut self, gone: &Self) {
        for (sum, more) in [
            (&mut self.wake_wait, &gone.wake_wait),
            (&mut self.preempt_wait, &gone.preempt_wait),
            (&mut self.on_cpu, &gone.on_cpu),
            (&mut self.minor_fault, &gone.minor_fault),
            (&mut self.major_fault, &gone.major_fault),
        ] {
            sum.add(more);
        }
        for (&class, (more, more_us)) in &gone.round_trip {
            let (durations, sum_us) = self.round_trip.entry(class).or_default();
            durations.add(more);
            *sum_us = sum_us.wrapping_add(*more_us);
        }
        for (&class, more) in &gone.connect {
            self.connect.entry(class).or_default().add(more);
        }
    }
}
