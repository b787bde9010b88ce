//! Metrics of Hostler itself.

use super::{Of, seconds};
use crate::metrics::{
    own_cost::{ActCost, OwnCost, ProcessCost},
    text::{Metric, escaped},
};

/// How long ticks take; written apart, since it is a distribution.
pub(in crate::metrics) const TICK_SECONDS: Metric = Metric::histogram(
    "tick_seconds",
    &["phase"],
    "How long the phases of a tick took: reading the host, and taking the window.",
);

/// Series that the text itself has; written last, when that is known.
pub(in crate::metrics) const SERIES: Metric = Metric::gauge(
    "metrics_series",
    &[],
    "Series of this scrape, this one and the next not counted.",
);

/// What the limit has left out.
pub(in crate::metrics) const SERIES_LEFT_OUT: Metric = Metric::counter(
    "metrics_series_left_out",
    &[],
    "Series that found no room in scrapes, added up over all of these.",
);

/// Of Hostler.
pub(in crate::metrics) const OWN: &[Of<OwnCost>] = &[
    Of {
        metric: Metric::gauge(
            "build_info",
            &["version"],
            "The version that runs; always 1.",
        ),
        samples: |_, take| {
            take(
                format_args!("version=\"{}\"", env!("CARGO_PKG_VERSION")),
                1.0,
            );
        },
    },
    Of {
        metric: Metric::counter("ticks", &[], "Readings of the host."),
        samples: |own, take| take(format_args!(""), own.paces.ticks as f64),
    },
    Of {
        metric: Metric::counter(
            "ticks_late",
            &[],
            "Of these, those that began half a tick late or more.",
        ),
        samples: |own, take| take(format_args!(""), own.paces.late as f64),
    },
    Of {
        metric: Metric::counter(
            "program_sampled_runs",
            &["program"],
            "Runs of each program in the kernel while the kernel's statistics were on, one tick of 60.",
        ),
        samples: |own, take| {
            for (program, (runs, _)) in &own.programs {
                take(
                    format_args!("program=\"{}\"", escaped(program)),
                    *runs as f64,
                );
            }
        },
    },
    Of {
        metric: Metric::counter(
            "program_sampled_seconds",
            &["program"],
            "Time in these runs, with what the statistics cost themselves.",
        ),
        samples: |own, take| {
            for (program, (_, ns)) in &own.programs {
                take(
                    format_args!("program=\"{}\"", escaped(program)),
                    seconds(*ns),
                );
            }
        },
    },
    Of {
        metric: Metric::gauge(
            "map_bytes",
            &["map"],
            "Kernel memory of each map, threads' and sockets' records included.",
        ),
        samples: |own, take| {
            for (map, bytes) in &own.map_bytes {
                take(format_args!("map=\"{}\"", escaped(map)), *bytes as f64);
            }
        },
    },
    Of {
        metric: Metric::counter("scrapes", &["format"], "Times that metrics were asked for."),
        samples: |own, take| {
            for (format, count) in &own.scrapes {
                take(format_args!("format=\"{format}\""), *count as f64);
            }
        },
    },
    Of {
        metric: Metric::counter(
            "metrics_writing_cpu_seconds",
            &[],
            "CPU time of writing metrics.",
        ),
        samples: |own, take| take(format_args!(""), seconds(own.writing_cpu_ns)),
    },
    Of {
        metric: Metric::counter(
            "connections_refused",
            &["interface", "reason"],
            "Connections beyond the limit, and those that were cut off, since nothing moved on them or \
             what was sent made no sense.",
        ),
        samples: |own, take| {
            for ((interface, reason), count) in &own.refused {
                let labels = format_args!("interface=\"{interface}\",reason=\"{reason}\"");
                take(labels, *count as f64);
            }
        },
    },
    Of {
        metric: Metric::counter(
            "history_written_stretches",
            &[],
            "Stretches of time (seconds, or longer ticks) that were written to the history.",
        ),
        samples: |own, take| take(format_args!(""), own.history.written as f64),
    },
    Of {
        metric: Metric::counter(
            "history_lost_stretches",
            &[],
            "Those that are not in it, since its file could not be written, or not as fast as they came.",
        ),
        samples: |own, take| take(format_args!(""), own.history.lost as f64),
    },
    Of {
        metric: Metric::counter(
            "history_expelled_stretches",
            &[],
            "Stretches of the history that went before their time, since it would have become too large.",
        ),
        samples: |own, take| take(format_args!(""), own.history.expelled as f64),
    },
    Of {
        metric: Metric::gauge(
            "history_bytes",
            &[],
            "What the samples in the history take; its file is larger, by up to as much again and 2 MiB.",
        ),
        samples: |own, take| take(format_args!(""), own.history.bytes as f64),
    },
    Of {
        metric: Metric::counter("plans", &[], "Plans that were made."),
        samples: |own, take| {
            if let Some(plans) = &own.plans {
                take(format_args!(""), plans.plans as f64);
            }
        },
    },
    Of {
        metric: Metric::counter("planning_cpu_seconds", &[], "CPU time of planning."),
        samples: |own, take| {
            if let Some(plans) = &own.plans {
                take(format_args!(""), seconds(plans.cpu_ns));
            }
        },
    },
    Of {
        metric: Metric::gauge("plan_steps", &[], "Steps of the last plan."),
        samples: |own, take| {
            if let Some(plans) = &own.plans {
                take(format_args!(""), plans.steps as f64);
            }
        },
    },
    Of {
        metric: Metric::gauge(
            "plan_loss_cpus",
            &["cause"],
            "CPUs' worth of time that the host is estimated to lose, when the last plan was made: to memory \
             of other nodes, wake-ups across nodes, nodes without room, and uneven nodes.",
        ),
        samples: |own, take| {
            if let Some(plans) = &own.plans {
                for (cause, ns) in [
                    ("remote_memory", plans.lost.remote_ns),
                    ("wake_ups", plans.lost.wakes_ns),
                    ("overload", plans.lost.overload_ns),
                    ("imbalance", plans.lost.imbalance_ns),
                ] {
                    take(format_args!("cause=\"{cause}\""), seconds(ns));
                }
            }
        },
    },
    Of {
        metric: Metric::counter(
            "steps",
            &["event"],
            "Steps of plans that were begun, could not be, were judged and kept, or did not help and were \
             taken back.",
        ),
        samples: |own, take| {
            if let Some(act) = act(own) {
                for (event, count) in [
                    ("begun", act.begun),
                    ("refused", act.refused),
                    ("kept", act.kept),
                    ("reverted", act.reverted),
                ] {
                    take(format_args!("event=\"{event}\""), count as f64);
                }
            }
        },
    },
    Of {
        metric: Metric::gauge(
            "steps_in_force",
            &[],
            "Steps that have not been taken back.",
        ),
        samples: |own, take| {
            if let Some(act) = act(own) {
                take(format_args!(""), act.in_force as f64);
            }
        },
    },
    Of {
        metric: Metric::counter(
            "knobs_yielded",
            &[],
            "What steps had set and somebody else has set since: it is left to them.",
        ),
        samples: |own, take| {
            if let Some(act) = act(own) {
                take(format_args!(""), act.yielded as f64);
            }
        },
    },
    Of {
        metric: Metric::counter(
            "memory_moved_bytes",
            &[],
            "Memory that was moved to another NUMA node.",
        ),
        samples: |own, take| {
            if let Some(act) = act(own) {
                take(format_args!(""), act.moved_bytes as f64);
            }
        },
    },
    Of {
        metric: Metric::gauge(
            "alerts_firing",
            &["alert", "severity"],
            "Alerts that fire, by the names of their rules.",
        ),
        samples: |own, take| {
            for (name, severity, count) in &own.alerts {
                let labels = format_args!("alert=\"{}\",severity=\"{severity}\"", escaped(name));
                take(labels, *count as f64);
            }
        },
    },
    Of {
        metric: Metric::counter(
            "alert_deliveries",
            &["to", "result"],
            "Messages about alerts that were taken, attempts that failed, and messages that nobody was \
             told in the end.",
        ),
        samples: |own, take| {
            for ((to, result), count) in &own.deliveries {
                take(
                    format_args!("to=\"{to}\",result=\"{result}\""),
                    *count as f64,
                );
            }
        },
    },
];

/// Of its process, by the names that Prometheus' own libraries use.
pub(in crate::metrics) const PROCESS: &[Of<ProcessCost>] = &[
    Of {
        metric: Metric::counter("process_cpu_seconds", &[], "CPU time of the process."),
        samples: |process, take| take(format_args!(""), process.cpu_s),
    },
    Of {
        metric: Metric::gauge(
            "process_resident_memory_bytes",
            &[],
            "Memory of the process.",
        ),
        samples: |process, take| take(format_args!(""), process.resident_bytes as f64),
    },
    Of {
        metric: Metric::gauge(
            "process_anonymous_memory_bytes",
            &[],
            "Of that, what is neither shared nor of a file.",
        ),
        samples: |process, take| take(format_args!(""), process.anonymous_bytes as f64),
    },
    Of {
        metric: Metric::gauge(
            "process_virtual_memory_bytes",
            &[],
            "Address space of the process.",
        ),
        samples: |process, take| take(format_args!(""), process.virtual_bytes as f64),
    },
    Of {
        metric: Metric::gauge("process_open_fds", &[], "Open file descriptors."),
        samples: |process, take| take(format_args!(""), process.open_fds as f64),
    },
    Of {
        metric: Metric::gauge("process_max_fds", &[], "File descriptors that may be open."),
        samples: |process, take| take(format_args!(""), process.max_fds as f64),
    },
    Of {
        metric: Metric::gauge("process_threads", &[], "Threads of the process."),
        samples: |process, take| take(format_args!(""), process.threads as f64),
    },
    Of {
        metric: Metric::gauge(
            "process_start_time_seconds",
            &[],
            "When the process began, since 1970.",
        ),
        samples: |process, take| take(format_args!(""), process.began_s),
    },
];

fn act(own: &OwnCost) -> Option<&ActCost> {
    own.plans.as_ref()?.act.as_ref()
}
