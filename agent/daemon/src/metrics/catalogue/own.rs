//! Metrics of Hostler itself.

use super::{Of, seconds};
use crate::metrics::{
    own_cost::{OwnCost, ProcessCost},
    text::{
        Kind::{Counter, Gauge, Histogram},
        Metric, escaped,
    },
};

/// How long ticks take; written apart, since it is a distribution.
pub(in crate::metrics) const TICK_SECONDS: Metric = Metric {
    name: "tick_seconds",
    kind: Histogram,
    labels: &["phase"],
    help: "How long the phases of a tick took: reading the host, and taking the window.",
};

/// Series that the text itself has; written last, when that is known.
pub(in crate::metrics) const SERIES: Metric = Metric {
    name: "metrics_series",
    kind: Gauge,
    labels: &[],
    help: "Series of this scrape, this one and the next not counted.",
};

/// What the limit has left out.
pub(in crate::metrics) const SERIES_LEFT_OUT: Metric = Metric {
    name: "metrics_series_left_out",
    kind: Counter,
    labels: &[],
    help: "Series that found no room in scrapes, added up over all of these.",
};

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: Counter,
        labels,
        help,
    }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric {
        name,
        kind: Gauge,
        labels: &[],
        help,
    }
}

/// Of Hostler.
pub(in crate::metrics) const OWN: &[Of<OwnCost>] = &[
    Of {
        metric: Metric {
            name: "build_info",
            kind: Gauge,
            labels: &["version"],
            help: "The version that runs; always 1.",
        },
        samples: |_, take| {
            take(
                format_args!("version=\"{}\"", env!("CARGO_PKG_VERSION")),
                1.0,
            );
        },
    },
    Of {
        metric: counter("ticks", &[], "Readings of the host."),
        samples: |own, take| take(format_args!(""), own.paces.ticks as f64),
    },
    Of {
        metric: counter(
            "ticks_late",
            &[],
            "Of these, those that began half a tick late or more.",
        ),
        samples: |own, take| take(format_args!(""), own.paces.late as f64),
    },
    Of {
        metric: counter(
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
        metric: counter(
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
        metric: Metric {
            name: "map_bytes",
            kind: Gauge,
            labels: &["map"],
            help: "Kernel memory of each map, threads' and sockets' records included.",
        },
        samples: |own, take| {
            for (map, bytes) in &own.map_bytes {
                take(format_args!("map=\"{}\"", escaped(map)), *bytes as f64);
            }
        },
    },
    Of {
        metric: counter("scrapes", &["format"], "Times that metrics were asked for."),
        samples: |own, take| {
            for (format, count) in &own.scrapes {
                take(format_args!("format=\"{format}\""), *count as f64);
            }
        },
    },
    Of {
        metric: counter(
            "metrics_writing_cpu_seconds",
            &[],
            "CPU time of writing metrics.",
        ),
        samples: |own, take| take(format_args!(""), seconds(own.writing_cpu_ns)),
    },
    Of {
        metric: counter(
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
];

/// Of its process, by the names that Prometheus' own libraries use.
pub(in crate::metrics) const PROCESS: &[Of<ProcessCost>] = &[
    Of {
        metric: counter("process_cpu_seconds", &[], "CPU time of the process."),
        samples: |process, take| take(format_args!(""), process.cpu_s),
    },
    Of {
        metric: gauge("process_resident_memory_bytes", "Memory of the process."),
        samples: |process, take| take(format_args!(""), process.resident_bytes as f64),
    },
    Of {
        metric: gauge(
            "process_anonymous_memory_bytes",
            "Of that, what is neither shared nor of a file.",
        ),
        samples: |process, take| take(format_args!(""), process.anonymous_bytes as f64),
    },
    Of {
        metric: gauge(
            "process_virtual_memory_bytes",
            "Address space of the process.",
        ),
        samples: |process, take| take(format_args!(""), process.virtual_bytes as f64),
    },
    Of {
        metric: gauge("process_open_fds", "Open file descriptors."),
        samples: |process, take| take(format_args!(""), process.open_fds as f64),
    },
    Of {
        metric: gauge("process_max_fds", "File descriptors that may be open."),
        samples: |process, take| take(format_args!(""), process.max_fds as f64),
    },
    Of {
        metric: gauge("process_threads", "Threads of the process."),
        samples: |process, take| take(format_args!(""), process.threads as f64),
    },
    Of {
        metric: gauge(
            "process_start_time_seconds",
            "When the process began, since 1970.",
        ),
        samples: |process, take| take(format_args!(""), process.began_s),
    },
];
