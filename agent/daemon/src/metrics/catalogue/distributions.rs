//! Distributions of groups and the host.

use hostler_decide::{peers::class_name, scene::Availability};

use super::{OfDistributions, seconds_of_us};
use crate::metrics::text::Metric;

/// Distributions, by octaves.
pub(in crate::metrics) const DISTRIBUTIONS: &[OfDistributions] = &[
    OfDistributions {
        metric: Metric::histogram(
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
        metric: Metric::histogram(
            "on_cpu_stretch_seconds",
            &[],
            "How long a thread had a CPU before it gave it up or lost it; the sum is that of the \
             middles of finer buckets.",
        ),
        samples: |distributions, _, take| take(format_args!(""), &distributions.on_cpu, None),
    },
    OfDistributions {
        metric: Metric::histogram(
            "page_fault_seconds",
            &["kind"],
            "How long page faults took, where that is measured; the sum is that of the middles of finer \
             buckets.",
        ),
        samples: |distributions, facts, take| {
            if facts.signals.fault_latency == Availability::Measured {
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
        metric: Metric::histogram(
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
        metric: Metric::histogram(
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
