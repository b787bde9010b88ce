//! Metrics of the host that are no sums of its agents', and what is not exact in all of them.

use hostler_decide::{host::HostWindow, pressure::Pressure, signal::LossSignal};

use super::{Of, Take, seconds, seconds_of_us};
use crate::metrics::text::{Metric, escaped};

/// Time lost, by resource and kind.
pub(super) fn pressure_samples(pressure: &Pressure, take: Take<'_>) {
    for (resource, stall) in [
        ("cpu", pressure.cpu),
        ("memory", pressure.memory),
        ("io", pressure.io),
    ] {
        for (kind, us) in [("some", stall.some_us), ("full", stall.full_us)] {
            let labels = format_args!("resource=\"{resource}\",kind=\"{kind}\"");
            take(labels, seconds_of_us(us));
        }
    }
}

/// Of the host alone.
pub(in crate::metrics) const HOST: &[Of<HostWindow>] = &[
    Of {
        metric: Metric::counter(
            "pressure_seconds",
            &["resource", "kind"],
            "Time in which some or all (full) threads were held up for want of a resource.",
        ),
        samples: |host, take| {
            if let Some(pressure) = host.pressure {
                pressure_samples(&pressure, take);
            }
        },
    },
    Of {
        metric: Metric::counter(
            "pressure_alarms",
            &["whom"],
            "How often the kernel told that a tenth of two seconds was lost, by whom it concerned.",
        ),
        samples: |host, take| {
            for (whom, count) in &host.alarms {
                take(format_args!("whom=\"{}\"", escaped(whom)), *count as f64);
            }
        },
    },
    Of {
        metric: Metric::gauge("memory_total_bytes", &[], "Memory in all."),
        samples: |host, take| take(format_args!(""), host.pools.total_bytes as f64),
    },
    Of {
        metric: Metric::gauge("memory_free_bytes", &[], "Memory that nobody uses."),
        samples: |host, take| take(format_args!(""), host.pools.free_bytes as f64),
    },
    Of {
        metric: Metric::gauge(
            "memory_available_bytes",
            &[],
            "Memory that could be had without swapping.",
        ),
        samples: |host, take| take(format_args!(""), host.pools.available_bytes as f64),
    },
    Of {
        metric: Metric::gauge(
            "huge_pages",
            &["node", "page_bytes", "state"],
            "Huge pages in the pool of each node (total), of these free ones, and those beyond the pool.",
        ),
        samples: |host, take| {
            for pool in &host.pools.hugepages {
                for (state, pages) in [
                    ("total", pool.total),
                    ("free", pool.free),
                    ("surplus", pool.surplus),
                ] {
                    let (node, bytes) = (pool.node, pool.page_bytes);
                    let labels =
                        format_args!("node=\"{node}\",page_bytes=\"{bytes}\",state=\"{state}\"");
                    take(labels, pages as f64);
                }
            }
        },
    },
    Of {
        metric: Metric::gauge(
            "zram_bytes",
            &["device", "kind"],
            "What a zram device stores, what that is compressed, and the memory that it takes in all.",
        ),
        samples: |host, take| {
            for device in &host.pools.zram {
                for (kind, bytes) in [
                    ("stored", device.stored_bytes),
                    ("compressed", device.compressed_bytes),
                    ("memory", device.memory_bytes),
                ] {
                    let name = escaped(&device.name);
                    take(
                        format_args!("device=\"{name}\",kind=\"{kind}\""),
                        bytes as f64,
                    );
                }
            }
        },
    },
    Of {
        metric: Metric::gauge(
            "zswap_bytes",
            &["kind"],
            "What zswap stores before compression, and the memory that it takes.",
        ),
        samples: |host, take| {
            let stored = host.pools.zswapped_bytes;
            for (kind, bytes) in [("stored", stored), ("memory", host.pools.zswap_bytes)] {
                if let Some(bytes) = bytes {
                    take(format_args!("kind=\"{kind}\""), bytes as f64);
                }
            }
        },
    },
    Of {
        metric: Metric::gauge(
            "dying_cgroups",
            &[],
            "Cgroups that were removed and still hold memory.",
        ),
        samples: |host, take| take(format_args!(""), host.pools.dying_cgroups as f64),
    },
    Of {
        metric: Metric::counter(
            "reclaim_pages",
            &["what"],
            "Pages that memory was too small for: taken away, and fetched again.",
        ),
        samples: |host, take| {
            let pages = &host.reclaim;
            for (what, count) in [
                ("refaulted_anon", pages.refaulted_anon),
                ("refaulted_file", pages.refaulted_file),
                ("swapped_in", pages.swapped_in),
                ("direct_scanned", pages.direct_scanned),
                ("direct_reclaimed", pages.direct_reclaimed),
                ("numa_hint_faults", pages.numa_hint_faults),
                ("numa_migrated", pages.numa_migrated),
            ] {
                take(format_args!("what=\"{what}\""), count as f64);
            }
        },
    },
];

/// What could not be measured or attributed.
pub(in crate::metrics) const LOSSES: &[Of<LossSignal>] = &[
    Of {
        metric: Metric::counter(
            "losses",
            &["what"],
            "What could not be measured or attributed; all is exact where these do not grow.",
        ),
        samples: |losses, take| {
            for (what, count) in [
                ("threads_without_record", losses.threads_without_record),
                ("records_not_made", losses.records_not_made),
                ("negative_durations", losses.negative_durations),
                ("agents_without_slot", losses.agents_without_slot),
                ("events_not_sent", losses.events_not_sent),
                ("pairs_not_counted", losses.pairs_not_counted),
                ("peers_not_counted", losses.peers_not_counted),
                ("sockets_without_record", losses.sockets_without_record),
                ("wakes_not_counted", losses.wakes_not_counted),
            ] {
                take(format_args!("what=\"{what}\""), count as f64);
            }
        },
    },
    Of {
        metric: Metric::counter(
            "provisional_cpu_seconds",
            &[],
            "Time on CPUs charged to the parent's agent until a new process was looked at.",
        ),
        samples: |losses, take| take(format_args!(""), seconds(losses.provisional_ns)),
    },
];
