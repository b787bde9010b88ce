//! Where threads run, where memory lies, and who wakes whom: their sources.

use std::path::Path;

use super::SignalSource;
use crate::{observer::Observer, topology::has_several_nodes};

impl Observer {
    /// The sources of what is known of places.
    pub(super) fn placement_sources(&self) -> [SignalSource; 3] {
        let signals = self.facts().signals;
        let has_several_nodes = has_several_nodes();
        let where_threads_run =
            "the scheduler's programs, by the node of the CPU; sched_migrate_task";
        let wakes = "sched_waking; interrupts apart, by the tracepoints of handlers, softirqs and \
                     high-resolution timers; over loopback by who sends";
        [
            SignalSource {
                signal: "on which NUMA nodes threads run",
                in_use: signals.placement.then(|| where_threads_run.to_owned()),
                better: Vec::new(),
                note: if has_several_nodes {
                    "counted by `topology`, `explain` and `record` only".to_owned()
                } else {
                    "this host has one node".to_owned()
                },
            },
            memory_source(has_several_nodes),
            SignalSource {
                signal: "who wakes whom",
                in_use: signals.wakes.then(|| wakes.to_owned()),
                better: Vec::new(),
                note: "counted by `trace wakes` and `record --wakes` only".to_owned(),
            },
        ]
    }
}

fn memory_source(has_several_nodes: bool) -> SignalSource {
    let source = "numa_maps of each process, in turn".to_owned();
    let is_there = Path::new("/proc/self/numa_maps").exists();
    let (in_use, better, note) = match (has_several_nodes, is_there) {
        (false, _) => {
            let why_not = "this host has one node, where all of it lies".to_owned();
            (None, vec![(source, why_not)], "")
        }
        (true, true) => {
            let note = "for 3 ms a second, each agent every half minute at the most; agents with a \
                        process of more than 8 GiB are left out";
            (Some(source), Vec::new(), note)
        }
        (true, false) => {
            let why_not = "this kernel has no such file (CONFIG_NUMA)".to_owned();
            (None, vec![(source, why_not)], "")
        }
    };
    SignalSource {
        signal: "on which NUMA nodes memory lies",
        in_use,
        better,
        note: note.to_owned(),
    }
}
