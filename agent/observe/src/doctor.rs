//! What this host allows: for each signal the source in use, the better ones, and why not those.

mod effects;
mod placement;

use std::{fs, path::Path};

pub use self::effects::{Effect, effects};
use hostler_decide::scene::Availability;

use crate::{
    ProbeClock, ThreadSource, alarms::MAX_ALARMS, observer::Observer, preflight, topology,
};

/// The first kernel on which sockets that are open can be asked to tell of their round trips.
const CAN_BE_ASKED: (u32, u32) = (6, 12);

/// One signal, and where it comes from on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalSource {
    /// What is measured.
    pub signal: &'static str,
    /// The source in use; `None` if the signal can't be had here.
    pub in_use: Option<String>,
    /// Better sources that this host does not allow, each with why not.
    pub better: Vec<(String, String)>,
    /// What else one should know.
    pub note: String,
}

/// Facts of the host that explain what is possible, name and value.
pub fn host_facts() -> Vec<(String, String)> {
    let nodes = topology::nodes_of_cpus();
    let node_count = nodes
        .values()
        .collect::<std::collections::BTreeSet<_>>()
        .len()
        .max(1);
    [
        ("kernel", preflight::release()),
        ("architecture", std::env::consts::ARCH.to_owned()),
        ("possible CPUs", topology::possible_cpus().to_string()),
        ("NUMA nodes", node_count.to_string()),
        ("largest process id", read_line("/proc/sys/kernel/pid_max")),
        ("kernel BTF", size_of(preflight::BTF_PATH)),
        (
            "tracefs",
            presence(
                "/sys/kernel/tracing/events",
                "mounted",
                "not mounted (not needed)",
            ),
        ),
        (
            "bpffs",
            presence_of_mount("bpf", "mounted", "not mounted (not needed)"),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// What can't be seen because Hostler runs in namespaces of its own: a sentence each.
pub fn blind_spots() -> Vec<String> {
    /// Inode numbers of the first namespaces, from the kernel's `proc_ns.h`.
    const FIRST: [(&str, &str, &str); 2] = [
        (
            "pid",
            "pid:[4026531836]",
            "Hostler runs in a process namespace of its own (in Kubernetes: no hostPID): threads \
             outside it that are older than Hostler are not measured.",
        ),
        (
            "cgroup",
            "cgroup:[4026531835]",
            "Hostler runs in a cgroup namespace of its own: cgroups outside it that are older than \
             Hostler are not told apart.",
        ),
    ];
    FIRST
        .into_iter()
        .filter(|(name, first, _)| {
            fs::read_link(format!("/proc/self/ns/{name}"))
                .is_ok_and(|target| target != Path::new(first))
        })
        .map(|(_, _, sentence)| sentence.to_owned())
        .collect()
}

impl Observer {
    /// Each signal with its source on this host.
    pub fn signal_sources(&self) -> Vec<SignalSource> {
        let [threads, memory, wakes] = self.placement_sources();
        vec![
            run_queue_source(),
            self.clock_source(),
            block_io_source(self.available().block_io),
            fault_source(),
            self.fault_latency_source(),
            oom_source(self.available().oom_kills),
            self.socket_source(),
            self.older_socket_source(),
            pressure_source(),
            self.alarm_source(),
            self.memory_source(),
            threads,
            memory,
            wakes,
            self.cgroup_source(),
            self.thread_source(),
        ]
    }

    fn clock_source(&self) -> SignalSource {
        let chosen = self.probes().clock();
        let run_queue = "at wake-ups the run queue's own clock, by a plain load".to_owned();
        let (in_use, note) = match chosen.clock {
            ProbeClock::RunQueue => (
                run_queue.clone(),
                "at switches, where that may be old, the monotonic clock by a call, brought in step",
            ),
            ProbeClock::Monotonic => ("the monotonic clock, by a call each time".to_owned(), ""),
        };
        let reason = chosen.why_not_better.clone();
        SignalSource {
            signal: "time stamps of the scheduler's programs",
            in_use: Some(in_use),
            better: reason
                .map(|reason| (run_queue, reason))
                .into_iter()
                .collect(),
            note: note.to_owned(),
        }
    }

    fn socket_source(&self) -> SignalSource {
        let source = "round trips by a sock_ops program at the root of the cgroups, the kernel's own \
                      counts for each socket";
        of_optional(
            self.sockets(),
            "TCP round trips, bytes, retransmissions",
            source,
            "in all network namespaces, of two connections of each agent and peer in turn, and of the \
             others now and then; whose a socket is, is found when it connects or listens",
        )
    }

    fn fault_latency_source(&self) -> SignalSource {
        of_optional(
            self.fault_latency(),
            "how long page faults take",
            "programs at the beginning and end of the kernel's handle_mm_fault (fentry, fexit)",
            "measured by `trace faults` only",
        )
    }

    fn older_socket_source(&self) -> SignalSource {
        let better = "the kernel's list of sockets (BPF), which asks for each round trip";
        let sampled = "the kernel's list of sockets (BPF), by the smoothed round trip";
        let signal = "TCP connections that were there before";
        if preflight::is_at_least(&preflight::release(), CAN_BE_ASKED) {
            return of_optional(self.sockets(), signal, better, "");
        }
        let note = "one round trip each time that the list is read, every 10 s or less often";
        let mut source = of_optional(self.sockets(), signal, sampled, note);
        let reason = "Linux 6.12 is the first where a socket can be asked from outside";
        source.better.push((better.to_owned(), reason.to_owned()));
        source
    }

    fn alarm_source(&self) -> SignalSource {
        let (set, refused) = self.alarm_counts();
        let source = format!("at most {MAX_ALARMS} of the kernel's PSI triggers");
        let mut better = Vec::new();
        if let Some((count, reason)) = refused {
            better.push((format!("{count} more"), reason.clone()));
        }
        SignalSource {
            signal: "alarms when the host or a group loses a tenth of its time",
            in_use: (set > 0).then_some(source),
            better,
            note: String::new(),
        }
    }

    fn memory_source(&self) -> SignalSource {
        let source = "memory.stat of each cgroup".to_owned();
        let controllers = read_line(self.hierarchy().root().join("cgroup.subtree_control"));
        let (in_use, better) = if controllers.split(' ').any(|name| name == "memory") {
            (Some(source), Vec::new())
        } else {
            let why_not = "the memory controller is not enabled in the v2 hierarchy".to_owned();
            (None, vec![(source, why_not)])
        };
        SignalSource {
            signal: "memory of each agent, refaults, swap-ins, reclaim",
            in_use,
            better,
            note: "of the host: /proc/vmstat, huge pages by node, zram, zswap".to_owned(),
        }
    }

    fn cgroup_source(&self) -> SignalSource {
        let root = self.hierarchy().root();
        let controllers = read_line(root.join("cgroup.controllers"));
        let note = if controllers.is_empty() {
            "this hierarchy has no controllers (they are v1): agents are told apart, their \
             memory and CPU limits are not seen"
                .to_owned()
        } else {
            format!("controllers: {controllers}")
        };
        SignalSource {
            signal: "agents",
            in_use: Some(format!("v2 cgroups at {}, BTF tracepoints", root.display())),
            better: Vec::new(),
            note,
        }
    }

    fn thread_source(&self) -> SignalSource {
        let (source, reason) = self.snapshot().source();
        let iterator = "task iterator (BPF)".to_owned();
        let (in_use, note) = match source {
            ThreadSource::Iterator => (iterator.clone(), self.iterator_note()),
            ThreadSource::Procfs => (
                "files below /proc".to_owned(),
                "before Linux 6.9, threads older than Hostler that are not their process's first \
                 stay unmeasured and are counted"
                    .to_owned(),
            ),
        };
        SignalSource {
            signal: "threads that were there before",
            in_use: Some(in_use),
            better: reason
                .map(|reason| (iterator, reason.to_owned()))
                .into_iter()
                .collect(),
            note,
        }
    }

    fn iterator_note(&self) -> String {
        let hidden = self.snapshot().hidden();
        if hidden.is_empty() {
            return "sees every thread at one instant".to_owned();
        }
        format!(
            "this kernel keeps some processes from BPF, which are not measured: {}",
            hidden.join(", ")
        )
    }
}

fn run_queue_source() -> SignalSource {
    SignalSource {
        signal: "run-queue wait, time on CPU, switches",
        in_use: Some("BTF tracepoints of the scheduler, fields read by plain loads".to_owned()),
        better: Vec::new(),
        note: "waits after wake-up and after preemption are told apart".to_owned(),
    }
}

fn block_io_source(is_available: bool) -> SignalSource {
    let source = "the kernel's own count for each thread, read at its switches".to_owned();
    let (in_use, better, note) = if is_available {
        let note = "as /proc/PID/io has it: reads by who submitted them, writes by who dirtied the \
                    page";
        (Some(source), Vec::new(), note)
    } else {
        let why_not = "this kernel has no field task_io_accounting.read_bytes \
                       (CONFIG_TASK_IO_ACCOUNTING)";
        (None, vec![(source, why_not.to_owned())], "")
    };
    SignalSource {
        signal: "bytes read from storage and written to it",
        in_use,
        better,
        note: note.to_owned(),
    }
}

/// A signal of programs that not every kernel allows.
fn of_optional(
    probes: &Availability,
    signal: &'static str,
    source: &str,
    note: &str,
) -> SignalSource {
    let (in_use, better, note) = match probes {
        Availability::Measured => (Some(source.to_owned()), Vec::new(), note),
        Availability::Unwanted => (None, Vec::new(), "not asked for"),
        Availability::Refused(reason) => (None, vec![(source.to_owned(), reason.clone())], ""),
    };
    SignalSource {
        signal,
        in_use,
        better,
        note: note.to_owned(),
    }
}

fn fault_source() -> SignalSource {
    SignalSource {
        signal: "page faults, minor and major",
        in_use: Some("the kernel's own count for each thread, read at its switches".to_owned()),
        better: Vec::new(),
        note: "as getrusage has it, MAP_POPULATE and mlock included".to_owned(),
    }
}

fn pressure_source() -> SignalSource {
    let source = "the kernel's pressure stall information (PSI), of the host and each cgroup";
    let why_not = "this kernel does not count it (CONFIG_PSI, or psi=1 on its command line)";
    let (in_use, better) = if Path::new("/proc/pressure/memory").exists() {
        (Some(source.to_owned()), Vec::new())
    } else {
        (None, vec![(source.to_owned(), why_not.to_owned())])
    };
    SignalSource {
        signal: "time lost for want of CPU, memory and I/O",
        in_use,
        better,
        note: "the host at each tick; more than 64 agents in turn, each within 30 s".to_owned(),
    }
}

fn oom_source(is_available: bool) -> SignalSource {
    let source = "victims as the kernel marks them, seen as they exit".to_owned();
    let (in_use, better) = if is_available {
        (Some(source), Vec::new())
    } else {
        let why_not = "this kernel has no field signal_struct.oom_mm".to_owned();
        (None, vec![(source, why_not)])
    };
    SignalSource {
        signal: "processes ended because memory ran out",
        in_use,
        better,
        note: String::new(),
    }
}

fn read_line(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path)
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

fn size_of(path: &str) -> String {
    fs::metadata(path).map_or_else(
        |error| format!("none ({error})"),
        |metadata| format!("{path}, {} KiB", metadata.len() / 1024),
    )
}

fn presence(path: &str, present: &str, absent: &str) -> String {
    if Path::new(path).exists() {
        present
    } else {
        absent
    }
    .to_owned()
}

fn presence_of_mount(fs_type: &str, present: &str, absent: &str) -> String {
    let mounted = fs::read_to_string("/proc/self/mounts").is_ok_and(|mounts| {
        mounts
            .lines()
            .any(|line| line.split(' ').nth(2) == Some(fs_type))
    });
    if mounted { present } else { absent }.to_owned()
}
