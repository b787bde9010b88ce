//! Reports as a busy host gives them, for the tests of the renderers.

use hostler_common::{
    histogram::{BUCKETS, bucket_of},
    ledger::state,
    slot::SlotLease,
};
use hostler_decide::{
    block_io::BlockIoWindow,
    durations::{BucketReadings, Durations},
    faults::{FaultLatencyWindow, FaultWindow},
    identity::Kind,
    signal::{Agent, AgentSource, LossSignal},
    window::{LedgerWindow, RunQueueWindow},
};

use crate::{
    args::GroupBy,
    report::{DoctorReport, EffectRow, MapRow, ProgramRow, Row, RunqReport, SignalRow},
};

/// Some `count` durations about `typical_ns`, a quarter as many for each octave away from it.
pub(super) fn durations(count: u32, typical_ns: u64) -> Durations {
    let mut readings = BucketReadings::default();
    let peak = bucket_of(typical_ns);
    for index in 0..BUCKETS {
        let octaves_away = u32::try_from(index.abs_diff(peak) / 8).expect("few octaves");
        readings.0[index] = count.checked_shr(2 * octaves_away + 4).unwrap_or(0);
    }
    readings.since(&BucketReadings::default())
}

/// A window with `woken` waits about `typical_ns` and some longer waits after preemptions.
pub(super) fn window(woken: u32, preempted: u32, typical_ns: u64) -> RunQueueWindow {
    let (wake_wait, preempt_wait) = (
        durations(woken, typical_ns),
        durations(preempted, typical_ns * 64),
    );
    let on_cpu = durations(woken, 91_000);
    let mut ledger = LedgerWindow {
        threads: 4,
        ..LedgerWindow::default()
    };
    for (state, spent_ns) in [
        (state::WAITING_WOKEN, sum_ns(&wake_wait)),
        (state::WAITING_PREEMPTED, sum_ns(&preempt_wait)),
        (state::ON_CPU, sum_ns(&on_cpu)),
        (state::THROTTLED, typical_ns * 1_000),
        (state::BLOCKED_IO, typical_ns * 300),
        (state::ASLEEP, 30_000_000_000),
    ] {
        ledger.ns[state as usize] = spent_ns.cast_signed();
    }
    RunQueueWindow {
        ledger,
        voluntary_switches: wake_wait.total(),
        involuntary_switches: preempt_wait.total(),
        wake_wait,
        preempt_wait,
        on_cpu,
        block_io: BlockIoWindow::default(),
        faults: FaultWindow::default(),
        fault_latency: FaultLatencyWindow::default(),
        oom_kills: 0,
        placement: None,
        node_memory: None,
        polled: None,
    }
}

fn sum_ns(durations: &Durations) -> u64 {
    durations
        .buckets()
        .map(|bucket| bucket.start_ns * bucket.count)
        .sum()
}

/// Ten seconds of a host with six agents, one of which chose a name to deceive.
pub(super) fn report() -> RunqReport {
    let row = |name: &str, source, window| Row {
        agent: Some(Agent {
            id: SlotLease {
                slot: 200,
                generation: 1,
            },
            name: name.into(),
            group: "agents".into(),
            kind: Kind::Agent,
            source,
            place: "/".into(),
        }),
        name: name.to_owned(),
        window,
    };
    RunqReport {
        from_ns: 5_000_000_000,
        to_ns: 15_000_000_000,
        group_by: GroupBy::Agent,
        rows: vec![
            row("other", AgentSource::Other, window(31, 0, 3_000)),
            row(
                "/kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017",
                AgentSource::Cgroup,
                window(84_211, 9_120, 41_000),
            ),
            row(
                "/kubepods.slice/kubepods-burstable.slice/pod-77b1/mcp-filesystem",
                AgentSource::Cgroup,
                window(1_204_000, 90, 4_100),
            ),
            row(
                "python3 (session 812)",
                AgentSource::Program,
                window(4_021, 311, 9_000),
            ),
            row(
                "kernel threads",
                AgentSource::Kernel,
                window(52_002, 1_200, 2_100),
            ),
            row(
                "/evil\u{1b}[2J\nagent",
                AgentSource::Cgroup,
                window(17, 3, 800_000),
            ),
        ],
        losses: LossSignal {
            events_not_sent: 3,
            provisional_ns: 1_200_000_000,
            ..LossSignal::default()
        },
    }
}

/// What `hostler doctor` says of a host that lacks some things.
pub(super) fn doctor() -> DoctorReport {
    let text = str::to_owned;
    DoctorReport {
        host: vec![
            (text("kernel"), text("6.1.0-25-cloud-amd64")),
            (text("CPUs"), text("64 on 2 NUMA nodes")),
            (text("cgroups"), text("v2, at /sys/fs/cgroup")),
        ],
        signals: vec![
            SignalRow {
                signal: text("run-queue waits"),
                in_use: Some(text("BTF tracepoints")),
                ..SignalRow::default()
            },
            SignalRow {
                signal: text("threads already running"),
                in_use: Some(text("files below /proc")),
                better: vec![(
                    text("the kernel's task iterator"),
                    text("this kernel was built without BPF iterators (CONFIG_BPF_SYSCALL)"),
                )],
                note: text("threads that end while they are being listed may be missed"),
            },
            SignalRow {
                signal: text("CPU throttling"),
                ..SignalRow::default()
            },
        ],
        effects: vec![EffectRow {
            effect: text("threads onto a NUMA node"),
            in_use: Some(text("sched_setaffinity")),
            note: text("done if `plan.mode` is `act`"),
            ..EffectRow::default()
        }],
        maps: vec![
            MapRow {
                name: text("AGENTS"),
                kind: text("array"),
                entries: 8_192,
                bytes: Some(25_690_112),
            },
            MapRow {
                name: text("THREADS"),
                kind: text("task_storage"),
                entries: 0,
                bytes: None,
            },
        ],
        programs: vec![
            ProgramRow {
                name: text("sched_switch"),
                hook: text("tp_btf/sched_switch"),
                runs: 12_345_678,
                nanoseconds_per_run: Some(143.27),
                instructions: Some(412),
                bytes: 2_345,
            },
            ProgramRow {
                name: text("cgroup_mkdir"),
                hook: text("tp_btf/cgroup_mkdir"),
                bytes: 812,
                ..ProgramRow::default()
            },
        ],
        limits: vec![text(
            "Processes in the root cgroup are told apart by program and session only, which takes \
             up to a second after they start.",
        )],
    }
}
