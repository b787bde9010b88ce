//! Metrics of agents, groups and the host as the sum of all of these.

use hostler_common::ledger::state;
use hostler_decide::{bottleneck::Limit, peers::class_name, scene::HostFacts};

use super::{
    OfCounts,
    Scope::{self, Agent, Group, Host},
    seconds, seconds_of_us,
};
use crate::metrics::{
    counts::{CAUSES, Counts, PeerTotals},
    text::Metric,
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
        metric: Metric::gauge("agents", &[], "Agents that are there."),
        scopes: &[Host, Group],
        samples: |counts, _, take| take(format_args!(""), counts.agents as f64),
    },
    OfCounts {
        metric: Metric::gauge("threads", &[], "Threads."),
        scopes: ALL,
        samples: |counts, _, take| take(format_args!(""), counts.threads as f64),
    },
    OfCounts {
        metric: Metric::counter(
            "thread_seconds",
            &["state"],
            "Time of all threads by state; the states add up to threads times wall time.",
        ),
        scopes: ALL,
        samples: |counts, _, take| {
            for (state, name) in STATES {
                let ns = counts.state_ns[state as usize];
                take(format_args!("state=\"{name}\""), seconds(ns));
            }
        },
    },
    OfCounts {
        metric: Metric::counter(
            "run_queue_waits",
            &["after"],
            "Waits for a CPU that ended, after a wakeup or a preemption.",
        ),
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
        metric: Metric::counter(
            "long_wait_seconds",
            &["cause"],
            "Time in long waits for a CPU, by who had the CPU or took it.",
        ),
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
        metric: Metric::counter(
            "bottleneck_seconds",
            &["bottleneck"],
            "Time in which agents were busy, by what held each of them up most; its rate is a number of \
             agents.",
        ),
        scopes: ALL,
        samples: |counts, _, take| {
            for (limit, ns) in Limit::ALL.iter().zip(counts.bottleneck_ns) {
                if ns > 0 {
                    take(
                        format_args!("bottleneck=\"{}\"", limit.as_str()),
                        seconds(ns),
                    );
                }
            }
        },
    },
    OfCounts {
        metric: Metric::counter(
            "context_switches",
            &["kind"],
            "Switches by which a thread gave the CPU up (voluntary) or lost it (involuntary).",
        ),
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
        metric: Metric::counter(
            "page_faults",
            &["kind"],
            "Page faults that found their page in memory (minor) or waited for storage (major).",
        ),
        scopes: ALL,
        samples: |counts, _, take| {
            take(format_args!("kind=\"minor\""), counts.minor_faults as f64);
            take(format_args!("kind=\"major\""), counts.major_faults as f64);
        },
    },
    OfCounts {
        metric: Metric::counter(
            "storage_read_bytes",
            &[],
            "Bytes whose reading from storage was submitted.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            if facts.signals.block_io {
                take(format_args!(""), counts.read_bytes as f64);
            }
        },
    },
    OfCounts {
        metric: Metric::counter(
            "storage_written_bytes",
            &[],
            "Bytes that were dirtied, or written to storage directly.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            if facts.signals.block_io {
                take(format_args!(""), counts.written_bytes as f64);
            }
        },
    },
    OfCounts {
        metric: Metric::counter(
            "oom_kills",
            &[],
            "Processes that the kernel ended because memory ran out.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            if facts.signals.oom_kills {
                take(format_args!(""), counts.oom_kills as f64);
            }
        },
    },
    OfCounts {
        metric: Metric::gauge(
            "memory_bytes",
            &["kind"],
            "Memory of cgroups, when it was last read: anonymous, of files, other, and swapped out.",
        ),
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
        metric: Metric::counter(
            "pressure_seconds",
            &["resource", "kind"],
            "Time in which some or all (full) threads of the agent were held up for want of a \
                   resource.",
        ),
        scopes: AGENTS,
        samples: |counts, _, take| {
            if let Some(pressure) = counts.pressure {
                super::host::pressure_samples(&pressure, take);
            }
        },
    },
    OfCounts {
        metric: Metric::counter(
            "node_cpu_seconds",
            &["node"],
            "Time on CPUs of each NUMA node, as far as stretches on a CPU have ended.",
        ),
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
        metric: Metric::counter(
            "migrations",
            &["to"],
            "How often a thread was put on another CPU of the same NUMA node, or of another.",
        ),
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
        metric: Metric::gauge(
            "node_memory_bytes",
            &["node", "kind"],
            "Memory on each NUMA node when it was last looked at: anonymous, and mapped of files.",
        ),
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
        metric: Metric::counter(
            "tcp_sent_bytes",
            &["peer"],
            "Bytes that were sent and acknowledged.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.counts.sent_bytes as f64);
        },
    },
    OfCounts {
        metric: Metric::counter(
            "tcp_received_bytes",
            &["peer"],
            "Bytes that were received in order.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| {
                peer.counts.received_bytes as f64
            });
        },
    },
    OfCounts {
        metric: Metric::counter(
            "tcp_retransmitted_segments",
            &["peer"],
            "Segments that were sent again.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.counts.retransmitted as f64);
        },
    },
    OfCounts {
        metric: Metric::counter(
            "tcp_dropped_segments",
            &["peer"],
            "Segments that a socket dropped.",
        ),
        scopes: ALL,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.counts.dropped as f64);
        },
    },
    OfCounts {
        metric: Metric::counter(
            "tcp_connections",
            &["peer", "outcome"],
            "Connections that were made, failed, or were accepted.",
        ),
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
        metric: Metric::counter(
            "tcp_round_trips",
            &["peer"],
            "Round trips that were told of.",
        ),
        scopes: AGENTS,
        samples: |counts, facts, take| {
            each_peer(counts, facts, take, |peer| peer.round_trips as f64);
        },
    },
    OfCounts {
        metric: Metric::counter(
            "tcp_round_trip_seconds",
            &["peer"],
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
