//! Metrics of agents, groups and the host as the sum of all of these.

use hostler_common::ledger::state;
use hostler_decide::{peers::class_name, scene::HostFacts};

use super::{
    OfCounts, OfDistributions,
    Scope::{self, Agent, Group, Host},
    seconds, seconds_of_us,
};
use crate::metrics::{
    counts::{CAUSES, Counts, PeerTotals},
    text::{
        Kind::{Counter, Gauge, Histogram},
        Metric,
    },
};

const ALL: &[Scope] = &[Host, Group, Agent];
const AGENTS: &[Scope] = &[Agent];

/// States of a thread, as its time is told.
const STATES: [(u32, &str); 7] = [
    (state::ON_CPU, "on_cpu"),
    (state::WAITING_WOKEN, "waiting_woken"),
    (state::WAITING_PREEMPTED, "waiting_preempted"),
    (state::THROTTLED, "throttled"),
    (state::BLOCKED, "blocked"),
    (state::BLOCKED_IO, "blocked_io"),
    (state::ASLEEP, "asleep"),
];

/// All of them.
pub(in crate::metrics) const COUNTS: &[OfCounts] = &[
    OfCounts {
        metric: Metric {
            name: "agents",
            kind: Gauge,
            labels: &[],
            help: "Agents that are there.",
        },
        scopes: &[Host, Group],
        samples: |counts, _, take| take(format_args!(""), counts.agents as f64),
    },
    OfCounts {
        metric: Metric {
            name: "threads",
            kind: Gauge,
            labels: &[],
            help: "Threads.",
        },
        scopes: ALL,
        samples: |counts, _, take| take(format_args!(""), counts.threads as f64),
    },
    OfCounts {
        metric: Metric {
            name: "thread_seconds",
            kind: Counter,
            labels: &["state"],
            help: "Time of all threads by state; the states add up to threads times wall time.",
        },
        scopes: ALL,
        samples: |counts, _, take| {
            for (state, name) in STATES {
                let ns = counts.state_ns[state as usize];
                take(format_args!("state=\"{name}\""), seconds(ns));
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "run_queue_waits",
            kind: Counter,
            labels: &["after"],
            help: "Waits for a CPU that ended, after a wakeup or a preemption.",
        },
        scopes: AGENTS,
        samples: |counts, _, take| {
            take(format_args!("after=\"wakeup\""), counts.wake_waits as f64);
            take(
                format_args!("after=\"preemption\""),
                counts.preempt_waits as f64,
            );
        },
    },
    OfCounts {
        metric: Metric {
            name: "long_wait_seconds",
            kind: Counter,
            labels: &["cause"],
            help: "Time in long waits for a CPU, by who had the CPU or took it.",
        },
        scopes: ALL,
        samples: |counts, facts, take| {
            if facts.signals.long_wait_ns.is_some() {
                for (cause, ns) in CAUSES.iter().zip(counts.cause_ns) {
                    take(format_args!("cause=\"{cause}\""), seconds(ns));
                }
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "context_switches",
            kind: Counter,
            labels: &["kind"],
            help: "Switches by which a thread gave the CPU up (voluntary) or lost it (involuntary).",
        },
        scopes: ALL,
        samples: |counts, _, take| {
            take(
                format_args!("kind=\"voluntary\""),
                counts.voluntary_switches as f64,
            );
            take(
                format_args!("kind=\"involuntary\""),
                counts.involuntary_switches as f64,
            );
        },
    },
    OfCounts {
        metric: Metric {
            name: "page_faults",
            kind: Counter,
            labels: &["kind"],
            help: "Page faults that found their page in memory (minor) or waited for storage (major).",
        },
        scopes: ALL,
        samples: |counts, _, take| {
            take(format_args!("kind=\"minor\""), counts.minor_faults as f64);
            take(format_args!("kind=\"major\""), counts.major_faults as f64);
        },
    },
    OfCounts {
        metric: Metric {
            name: "storage_read_bytes",
            kind: Counter,
            labels: &[],
            help: "Bytes whose reading from storage was submitted.",
        },
        scopes: ALL,
        samples: |counts, facts, take| {
            if facts.signals.block_io {
                take(format_args!(""), counts.read_bytes as f64);
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "storage_written_bytes",
            kind: Counter,
            labels: &[],
            help: "Bytes that were dirtied, or written to storage directly.",
        },
        scopes: ALL,
        samples: |counts, facts, take| {
            if facts.signals.block_io {
                take(format_args!(""), counts.written_bytes as f64);
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "oom_kills",
            kind: Counter,
            labels: &[],
            help: "Processes that the kernel ended because memory ran out.",
        },
        scopes: ALL,
        samples: |counts, facts, take| {
            if facts.signals.oom_kills {
                take(format_args!(""), counts.oom_kills as f64);
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "memory_bytes",
            kind: Gauge,
            labels: &["kind"],
            help: "Memory of cgroups, when it was last read: anonymous, of files, other, and swapped out.",
        },
        scopes: ALL,
        samples: |counts, _, take| {
            if let Some(memory) = counts.memory {
                let known = memory.anon_bytes.saturating_add(memory.file_bytes);
                let other = memory.current_bytes.saturating_sub(known);
                take(format_args!("kind=\"anon\""), memory.anon_bytes as f64);
                take(format_args!("kind=\"file\""), memory.file_bytes as f64);
                take(format_args!("kind=\"other\""), other as f64);
                take(format_args!("kind=\"swap\""), memory.swap_bytes as f64);
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "pressure_seconds",
            kind: Counter,
            labels: &["resource", "kind"],
            help: "Time in which some or all (full) threads of the agent were held up for want of a \
                   resource.",
        },
        scopes: AGENTS,
        samples: |counts, _, take| {
            if let Some(pressure) = counts.pressure {
                super::host::pressure_samples(&pressure, take);
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "node_cpu_seconds",
            kind: Counter,
            labels: &["node"],
            help: "Time on CPUs of each NUMA node, as far as stretches on a CPU have ended.",
        },
        scopes: ALL,
        samples: |counts, facts, take| {
            if let Some(placement) = &counts.placement {
                for &node in facts.topology.nodes.keys() {
                    let ns = placement.on_cpu_ns.get(node as usize).copied();
                    take(format_args!("node=\"{node}\""), seconds(ns.unwrap_or(0)));
                }
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "migrations",
            kind: Counter,
            labels: &["to"],
            help: "How often a thread was put on another CPU of the same NUMA node, or of another.",
        },
        scopes: ALL,
        samples: |counts, _, take| {
            if let Some(placement) = &counts.placement {
                let within = placement
                    .migrations
                    .saturating_sub(placement.node_migrations);
                take(format_args!("to=\"same_node\""), within as f64);
                take(
                    format_args!("to=\"other_node\""),
                    placement.node_migrations as f64,
                );
            }
        },
    },
    OfCounts {
        metric: Metric {
            name: "node_memory_bytes",
            kind: Gauge,
            labels: &["node", "kind"],
            help: "Memory on each NUMA node when it was last looked at: anonymous, and mapped of files.",
        },
        scopes: AGENTS,
        samples: |counts, facts, take| {
            if let Some(memory) = &counts.node_memory {
                for &node in facts.topology.nodes.keys() {
                    let on = |bytes: &[u64]| bytes.get(node as usize).copied().unwrap_or(0) as f64;
                    take(
                        format_args!("node=\"{node}\",kind=\"anon\""),
                        on(&memory.bytes.anon),
                    );
                    take(
                        format_args!("node=\"{node}\",kind=\"file\""),
                        on(&memory.bytes.file),
                    );
                }
            }
        },
    },
    OfCounts {
        metric: of_peers("tcp_sent_bytes", "Bytes that were sent and acknowledged."),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.counts.sent_bytes as f64);
        },
    },
    OfCounts {
        metric: of_peers("tcp_received_bytes", "Bytes that were received in order."),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| {
                peer.counts.received_bytes as f64
            });
        },
    },
    OfCounts {
        metric: of_peers(
            "tcp_retransmitted_segments",
            "Segments that were sent again.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.counts.retransmitted as f64);
        },
    },
    OfCounts {
        metric: of_peers("tcp_dropped_segments", "Segments that a socket dropped."),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.counts.dropped as f64);
        },
    },
    OfCounts {
        metric: Metric {
            name: "tcp_connections",
            kind: Counter,
            labels: &["peer", "outcome"],
            help: "Connections that were made, failed, or were accepted.",
        },
        scopes: ALL,
        samples: |counts, facts, take| {
            for (&class, peer) in &counts.peers {
                let name = class_name(class, &facts.named_peers);
                for (outcome, number) in [
                    ("connected", peer.counts.connected),
                    ("failed", peer.counts.not_connected),
                    ("accepted", peer.counts.accepted),
                ] {
                    let labels = format_args!("peer=\"{name}\",outcome=\"{outcome}\"");
                    take(labels, number as f64);
                }
            }
        },
    },
    OfCounts {
        metric: of_peers("tcp_round_trips", "Round trips that were told of."),
        scopes: AGENTS,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.round_trips as f64);
        },
    },
    OfCounts {
        metric: of_peers(
            "tcp_round_trip_seconds",
            "Sum of the round trips that were told of.",
        ),
        scopes: AGENTS,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| {
                seconds_of_us(peer.counts.rtt_us)
            });
        },
    },
];

const fn of_peers(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Counter,
        labels: &["peer"],
        help,
    }
}

fn each_peer(
    counts: &Counts,
    facts: &HostFacts,
    take: super::Take<'_>,
    value: impl Fn(&PeerTotals) -> f64,
) {
    for (&class, peer) in &counts.peers {
        let name = class_name(class, &facts.named_peers);
        take(format_args!("peer=\"{name}\""), value(peer));
    }
}

const fn distribution(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Histogram,
        labels,
        help,
    }
}

/// Distributions, by octaves.
pub(in crate::metrics) const DISTRIBUTIONS: &[OfDistributions] = &[
    OfDistributions {
        metric: distribution(
            "run_queue_wait_seconds",
            &["after"],
            "Waits for a CPU that ended, after a wakeup or a preemption; the sum is that of the middles \
             of finer buckets.",
        ),
        samples: |distributions, _, take| {
            take(
                format_args!("after=\"wakeup\""),
                &distributions.wake_wait,
                None,
            );
            take(
                format_args!("after=\"preemption\""),
                &distributions.preempt_wait,
                None,
            );
        },
    },
    OfDistributions {
        metric: distribution(
            "on_cpu_stretch_seconds",
            &[],
            "How long a thread had a CPU before it gave it up or lost it; the sum is that of the \
             middles of finer buckets.",
        ),
        samples: |distributions, _, take| take(format_args!(""), &distributions.on_cpu, None),
    },
    OfDistributions {
        metric: distribution(
            "page_fault_seconds",
            &["kind"],
            "How long page faults took, where that is measured; the sum is that of the middles of finer \
             buckets.",
        ),
        samples: |distributions, facts, take| {
            if facts.signals.fault_latency == hostler_decide::scene::Availability::Measured {
                take(
                    format_args!("kind=\"minor\""),
                    &distributions.minor_fault,
                    None,
                );
                take(
                    format_args!("kind=\"major\""),
                    &distributions.major_fault,
                    None,
                );
            }
        },
    },
    OfDistributions {
        metric: distribution(
            "tcp_round_trip_seconds",
            &["peer"],
            "TCP round trips that were told of.",
        ),
        samples: |distributions, facts, take| {
            for (&class, (durations, sum_us)) in &distributions.round_trip {
                let name = class_name(class, &facts.named_peers);
                let sum_s = Some(seconds_of_us(*sum_us));
                take(format_args!("peer=\"{name}\""), durations, sum_s);
            }
        },
    },
    OfDistributions {
        metric: distribution(
            "tcp_connect_seconds",
            &["peer"],
            "How long connections took from their first packet until they stood; the sum is that of the \
             middles of finer buckets.",
        ),
        samples: |distributions, facts, take| {
            for (&class, durations) in &distributions.connect {
                let name = class_name(class, &facts.named_peers);
                take(format_args!("peer=\"{name}\""), durations, None);
            }
        },
    },
];
