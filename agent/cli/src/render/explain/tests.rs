use std::sync::Arc;

use expect_test::{Expect, expect};
use hostler_common::{ledger::state, slot::SlotLease};
use hostler_decide::{
    block_io::BlockIoWindow,
    explain::{Blame, Evidence, Host, KeptWaiting, explain},
    identity::Kind,
    node_memory::NodeMemory,
    pairs::Who,
    peers::{PeerCounts, PeerWindow},
    placement::Placement,
    polled::PolledWindow,
    pressure::{Pressure, Stall},
    signal::{AgentSource, LossSignal},
    window::{LedgerWindow, RunQueueWindow},
};
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr as _;

use super::*;
use crate::{
    render::samples::{self, durations},
    report::{AgentLine, RttRow},
};

const MS: u64 = 1_000_000;

/// Five seconds of an agent whose threads spent so many ms in these states, on a host with two
/// CPUs that were busy for `busy_ms`.
fn report(name: &str, threads: u64, spent_ms: &[(u32, u64)], busy_ms: u64) -> ExplainReport {
    let mut ledger = LedgerWindow {
        threads,
        ..LedgerWindow::default()
    };
    for &(state, ms) in spent_ms {
        ledger.ns[state as usize] = (ms * MS).cast_signed();
    }
    let evidence = Evidence {
        window: RunQueueWindow {
            ledger,
            ..RunQueueWindow::default()
        },
        length_ns: 5_000 * MS,
        long_wait_ns: MS,
        host: Host {
            cpus: 2,
            on_cpu_ns: busy_ms * MS,
        },
        ..Evidence::default()
    };
    ExplainReport {
        from_ns: 0,
        to_ns: 5_000 * MS,
        agent: AgentLine {
            name: name.to_owned(),
            group: "agents".to_owned(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            threads,
            processes: Some(1),
            slot: SlotLease {
                slot: 200,
                generation: 1,
            },
            place: format!("/{name}"),
        },
        peers: Vec::new(),
        explanation: explain(&evidence),
        evidence,
        losses: LossSignal::default(),
    }
}

impl ExplainReport {
    /// The same with other evidence, explained again.
    fn with(mut self, change: impl FnOnce(&mut Evidence)) -> Self {
        change(&mut self.evidence);
        self.explanation = explain(&self.evidence);
        self
    }
}

fn blame(taken_waits: u64, taken_ms: u64, held_waits: u64, held_ms: u64) -> Blame {
    Blame {
        taken_waits,
        taken_ns: taken_ms * MS,
        held_waits,
        held_ns: held_ms * MS,
        ran_ns: None,
    }
}

fn kept(name: &str, waits: u64, wait_ms: u64) -> KeptWaiting {
    KeptWaiting {
        name: name.to_owned(),
        waits,
        wait_ns: wait_ms * MS,
    }
}

fn screen(columns: usize, rows: usize) -> Screen {
    Screen {
        columns,
        rows,
        color: false,
    }
}

fn check(report: &ExplainReport, columns: usize, expected: &Expect) {
    let text = explain_text(report, screen(columns, 24));
    assert!(text.lines().all(|line| line.width() <= columns), "{text}");
    expected.assert_eq(&text);
}

fn idle() -> ExplainReport {
    let spent = [(state::ASLEEP, 19_990), (state::ON_CPU, 9)];
    report("agents/sleeper", 4, &spent, 400)
}

fn against_itself() -> ExplainReport {
    let spent = [(state::ON_CPU, 4_900), (state::WAITING_PREEMPTED, 5_100)];
    report("agents/coder", 2, &spent, 5_200).with(|evidence| {
        evidence.window.preempt_wait = samples::durations(8_000, 8_000_000);
        evidence.waited_for = vec![(Who::Itself, blame(526, 5_000, 0, 0))];
    })
}

fn against_another() -> ExplainReport {
    let spent = [
        (state::ON_CPU, 2_000),
        (state::WAITING_PREEMPTED, 2_600),
        (state::WAITING_WOKEN, 300),
        (state::ASLEEP, 100),
    ];
    report("agents/planner", 1, &spent, 9_900).with(|evidence| {
        evidence.window.preempt_wait = samples::durations(8_000, 8_000_000);
        evidence.window.wake_wait = samples::durations(4_000, 4_000);
        evidence.waited_for = vec![
            (
                Who::Agent("agents/builder".to_owned()),
                blame(312, 2_400, 40, 290),
            ),
            (Who::Kernel, blame(31, 180, 0, 0)),
        ];
        evidence.kept_waiting = vec![kept("agents/builder", 290, 1_900)];
    })
}

fn throttled() -> ExplainReport {
    let spent = [
        (state::ON_CPU, 1_000),
        (state::THROTTLED, 3_200),
        (state::ASLEEP, 800),
    ];
    report("pods/limited", 1, &spent, 1_100)
}

fn blocked() -> ExplainReport {
    let spent = [
        (state::ON_CPU, 200),
        (state::BLOCKED_IO, 3_000),
        (state::BLOCKED, 900),
        (state::ASLEEP, 5_900),
    ];
    report("agents/indexer", 2, &spent, 600)
}

/// All that a screen can hold: every state, long names that were made to deceive, bursts, losses.
fn mixed() -> ExplainReport {
    let spent = [
        (state::ON_CPU, 4_000),
        (state::WAITING_WOKEN, 4_100),
        (state::WAITING_PREEMPTED, 3_100),
        (state::THROTTLED, 700),
        (state::BLOCKED_IO, 600),
        (state::BLOCKED, 500),
        (state::ASLEEP, 27_000),
    ];
    let long = "kubepods/burstable/pod-3f2a\u{1b}[2J/agent-0017/main-container";
    let mut report = report(long, 8, &spent, 10_000).with(|evidence| {
        evidence.window.wake_wait = samples::durations(400_000, 4_000);
        evidence
            .window
            .wake_wait
            .add(&samples::durations(200_000, 9_000_000));
        evidence.window.preempt_wait = samples::durations(10_000, 9_000_000);
        let rival =
            |number| format!("kubepods/burstable/pod-{number}/agent\u{202e}/main-container");
        evidence.waited_for = vec![
            (Who::Itself, blame(401, 1_100, 33, 90)),
            (Who::Nobody, blame(0, 0, 21, 310)),
            (Who::Agent(rival(1)), blame(177, 1_000, 602, 2_200)),
            (Who::Agent(rival(2)), blame(80, 500, 90, 400)),
            (Who::Agent(rival(3)), blame(70, 300, 90, 400)),
        ];
        evidence.kept_waiting = vec![
            kept(&rival(1), 400, 2_100),
            kept(&rival(2), 40, 210),
            kept("x", 3, 20),
            kept("y", 2, 10),
        ];
    });
    report.losses = LossSignal {
        threads_without_record: 1_234,
        negative_durations: 2,
        pairs_not_counted: 17,
        provisional_ns: 12 * MS,
        ..LossSignal::default()
    };
    report
}

#[test]
fn an_idle_agent_is_said_to_sleep() {
    check(
        &idle(),
        80,
        &expect![[r#"
            agents/sleeper  cgroup  /agents/sleeper
            4 threads in 5.00 s: 20.0 s in all, 9.00 ms awake; host: 2 CPUs, 4 % busy

            ················································································
            █ on CPU <1 %  · asleep >99 %

            Nothing held it up: it slept >99 % of the time, by its own will.
        "#]],
    );
}

#[test]
fn an_agent_whose_threads_share_a_cpu_is_told_so() {
    check(
        &against_itself(),
        80,
        &expect![[r#"
            agents/coder  cgroup  /agents/coder
            2 threads in 5.00 s: 10.0 s in all, 10.0 s awake; host: 2 CPUs, 52 % busy

            ███████████████████████████████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
            █ on CPU 49 %  ░ preempted, waiting 51 %

            10,124 waits for a CPU: p50 8.39 ms, p99 58.7 ms, max 252 ms; 5.10 s in all

            Bottleneck: its own threads, more than it has CPUs for; 51 % of its busy time.
            1. Waited 5.00 s, 50 % of its time awake, after its own threads took the CPU
               from each other 526 times. They wanted 2.0 CPUs and got 1.0.
               The host was only 52 % busy: let it run on more CPUs (cpuset.cpus, taskset).
        "#]],
    );
}

#[test]
fn the_agent_that_takes_the_cpu_is_named() {
    check(
        &against_another(),
        80,
        &expect![[r#"
            agents/planner  cgroup  /agents/planner
            1 thread in 5.00 s: 5.00 s in all, 4.90 s awake; host: 2 CPUs, 99 % busy

            ████████████████████████████████▒▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░··
            █ on CPU 40 %  ▒ woken, waiting 6 %  ░ preempted, waiting 52 %  · asleep 2 %

            15,154 waits for a CPU: p50 5.77 ms, p99 54.5 ms, max 252 ms; 2.90 s in all

            Bottleneck: CPUs that others have; 59 % of its busy time.
            1. Waited 2.69 s, 55 % of its time awake, after agents/builder took the CPU from
               it 312 times (2.40 s) or held the CPU it was woken for 40 times (290 ms).
               The host is full (99 % busy): more weight (cpu.weight), fewer agents, or more
               CPUs.
            2. Waited 180 ms, 4 % of its time awake, after kernel threads took the CPU from
               it 31 times.
               `top -H` names them: ksoftirqd is network, kswapd memory, kworker mostly
               storage.

            It made others wait: agents/builder 1.90 s.
        "#]],
    );
}

#[test]
fn a_used_up_quota_is_named_with_what_may_help() {
    check(
        &throttled(),
        80,
        &expect![[r#"
            pods/limited  cgroup  /pods/limited
            1 thread in 5.00 s: 5.00 s in all, 4.20 s awake; host: 2 CPUs, 11 % busy

            ████████████████xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx·············
            █ on CPU 20 %  x throttled 64 %  · asleep 16 %

            Bottleneck: its group's CPU quota; 76 % of its busy time.
            1. Throttled for 3.20 s, 76 % of its time awake: the CPU quota of its group was
               used up.
               Raise cpu.max of its cgroup or of one above (in Kubernetes, the CPU limit),
               or use fewer threads.
        "#]],
    );
}

#[test]
fn blocking_on_io_is_told_from_other_blocking() {
    check(
        &blocked(),
        80,
        &expect![[r#"
            agents/indexer  cgroup  /agents/indexer
            2 threads in 5.00 s: 10.0 s in all, 4.10 s awake; host: 2 CPUs, 6 % busy

            █oooooooooooooooooooooooo-------················································
            █ on CPU 2 %  o on block I/O 30 %  - blocked 9 %  · asleep 59 %

            Bottleneck: storage; 73 % of its busy time.
            1. Blocked on block I/O for 3.00 s, 73 % of its time awake: it waited for reads,
               writes or swap.
               `iostat -x 1` shows whether a disk is at its limit.
            2. Blocked uninterruptibly for 900 ms, 22 % of its time awake: in the kernel,
               for example on a lock, on NFS or on memory reclaim.
               /proc/PID/task/TID/stack of a thread in state D says where.
        "#]],
    );
}

#[test]
fn all_that_can_be_said_fits_a_small_terminal() {
    let text = explain_text(&mixed(), screen(80, 24));
    assert!(text.lines().count() < 24, "{text}");
    check(
        &mixed(),
        80,
        &expect![[r#"
            kubepods/burs…/agent-0017/main-container  cgroup  /kub…agent-0017/main-container
            8 threads in 5.00 s: 40.0 s in all, 13.0 s awake; host: 2 CPUs, 100 % busy

            ████████▒▒▒▒▒▒▒▒░░░░░░xoo-······················································
            █ on CPU 10 %  ▒ woken, waiting 10 %  ░ preempted, waiting 8 %  x throttled 2 %
            o on block I/O 2 %  - blocked 1 %  · asleep 68 %

            775 k waits for a CPU: p50 6.66 µs, p99 41.9 ms, max 1.07 s; 7.20 s in all
            Bursts: half of its wake-ups wait up to 6.66 µs, 1 in 100 some 37.7 ms or more.

            1. Waited 3.20 s, 25 % of its time awake, after
               kubepods/burs…ent\u{202e}/main-container took the CPU from it 177 times
               (1.00 s) or held the CPU it was woken for 602 times (2.20 s).
            2. Waited 1.60 s, 12 % of its time awake, after 2 other agents,
               kubepods/burs…ent\u{202e}/main-container first, took the CPU from it 150
               times (800 ms) or held the CPU it was woken for 180 times (800 ms).
            3. Waited 1.19 s, 9 % of its time awake, after its own threads took the CPU from
               each other 401 times (1.10 s) or held the CPU another was woken for 33 times
               (90.0 ms). They wanted 2.2 CPUs and got 0.8.

            It made others wait: kubepods/burs…ent\u{202e}/main-container 2.10 s,
            kubepods/burs…ent\u{202e}/main-container 210 ms, 2 more 30.0 ms.
            Not exact: 1,234 switches and wake-ups of threads without a record were not mea…
        "#]],
    );
}

#[test]
fn a_narrow_terminal_gets_more_and_shorter_lines() {
    check(
        &against_another(),
        50,
        &expect![[r#"
            agents/planner  cgroup  /agents/planner
            1 thread in 5.00 s: 5.00 s in all, 4.90 s awake;
            host: 2 CPUs, 99 % busy

            ████████████████████▒▒▒░░░░░░░░░░░░░░░░░░░░░░░░░░·
            █ on CPU 40 %  ▒ woken, waiting 6 %
            ░ preempted, waiting 52 %  · asleep 2 %

            15,154 waits for a CPU: p50 5.77 ms, p99 54.5 ms,
            max 252 ms; 2.90 s in all

            Bottleneck: CPUs that others have; 59 % of its
            busy time.
            1. Waited 2.69 s, 55 % of its time awake, after
               agents/builder took the CPU from it 312 times
               (2.40 s) or held the CPU it was woken for 40
               times (290 ms).
               The host is full (99 % busy): more weight
               (cpu.weight), fewer agents, or more CPUs.
            2. Waited 180 ms, 4 % of its time awake, after
               kernel threads took the CPU from it 31 times.

            It made others wait: agents/builder 1.90 s.
        "#]],
    );
}

#[test]
fn a_computing_agent_and_one_without_threads_have_a_sentence_each() {
    let computes = report(
        "a",
        1,
        &[(state::ON_CPU, 4_900), (state::ASLEEP, 100)],
        5_000,
    );
    let nothing = report("a", 0, &[], 5_000);
    let works = report(
        "a",
        1,
        &[(state::ON_CPU, 900), (state::ASLEEP, 4_100)],
        5_000,
    );
    let last = |report| {
        let text = explain_text(report, screen(100, 24));
        text.lines().last().map(str::to_owned)
    };
    expect![[r#"
        [
            Some(
                "or faster CPUs can give.",
            ),
            Some(
                "It had no threads.",
            ),
            Some(
                "Nothing held it up: of 900 ms awake it was on a CPU for 100 %.",
            ),
        ]
    "#]]
    .assert_debug_eq(&[last(&computes), last(&nothing), last(&works)]);
}

#[test]
fn where_there_is_room_each_reason_says_what_may_help() {
    let text = explain_text(&mixed(), screen(80, 60));
    assert!(
        text.contains("cpu.weight") && text.contains("fewer threads"),
        "{text}"
    );
}

#[test]
fn what_it_read_and_wrote_is_said_and_that_memory_ran_out() {
    let mut report = report("agents/coder", 1, &[(state::ASLEEP, 5_000)], 100);
    assert!(!explain_text(&report, screen(100, 40)).contains("storage"));
    report.evidence.window.block_io = BlockIoWindow {
        read_bytes: 12 << 20,
        written_bytes: 4_096,
    };
    report.evidence.window.oom_kills = 2;
    let text = explain_text(&report, screen(100, 40));
    assert!(
        text.contains(
            "storage: 12.0 MiB read, 4.0 KiB written\n\
             memory ran out: the kernel ended 2 of its processes\n"
        ),
        "{text}"
    );
}

#[test]
fn where_it_ran_and_where_its_memory_lies_is_said_of_hosts_with_several_nodes() {
    let mut report = report("agents/coder", 1, &[(state::ASLEEP, 5_000)], 100);
    let mut placement = Placement::default();
    placement.on_cpu_ns[0] = 3_000_000;
    report.evidence.window.placement = Some(Box::new(placement));
    assert!(!explain_text(&report, screen(100, 40)).contains("node"));
    placement.on_cpu_ns[1] = 1_000_000;
    placement.node_migrations = 2;
    report.evidence.window.placement = Some(Box::new(placement));
    let mut memory = NodeMemory::default();
    memory.bytes.anon[1] = 12 << 20;
    report.evidence.window.node_memory = Some(Arc::new(memory));
    let text = explain_text(&report, screen(100, 40));
    assert!(
        text.contains(
            "node 0: 75 % of its time, 0 % of its 12.0 MiB; node 1: 25 % of its time, 100 % of its \
             12.0 MiB;\nthreads moved between nodes 2×\n"
        ),
        "{text}"
    );
}

#[test]
fn machines_get_all_numbers_and_each_reason_with_its_code_and_its_sentence() {
    expect![[r#"
        {"report":"explain","from_ns":0,"to_ns":5000000000,"agent":{"name":"agents/planner","group":"agents","kind":"agent","source":"cgroup","place":"/agents/planner","slot":200,"generation":1},"verdict":"held_up","reasons":[{"cost_ns":2690000000,"reason":"other_agent","cause":"agents/builder","taken_waits":312,"taken_ns":2400000000,"held_waits":40,"held_ns":290000000,"ran_ns":null,"sentence":"Waited 2.69 s, 55 % of its time awake, after agents/builder took the CPU from it 312 times (2.40 s) or held the CPU it was woken for 40 times (290 ms).","remedy":"The host is full (99 % busy): more weight (cpu.weight), fewer agents, or more CPUs."},{"cost_ns":180000000,"reason":"kernel_threads","taken_waits":31,"taken_ns":180000000,"held_waits":0,"held_ns":0,"ran_ns":null,"sentence":"Waited 180 ms, 4 % of its time awake, after kernel threads took the CPU from it 31 times.","remedy":"`top -H` names them: ksoftirqd is network, kswapd memory, kworker mostly storage."}],"bottleneck":{"limit":"cpu","part":0.5918367346938775},"ledger":{"threads":1,"total_ns":5000000000,"on_cpu_ns":2000000000,"waiting_woken_ns":300000000,"waiting_preempted_ns":2600000000,"throttled_ns":0,"blocked_io_ns":0,"blocked_ns":0,"asleep_ns":100000000},"waits":{"waits":15154,"waits_woken":5030,"waits_preempted":10124,"wait_p50_ns":5767168,"wait_p99_ns":54525952,"wait_max_ns":251658240,"long_wait_ns":1000000},"bursts":null,"peers":[],"pressure":null,"on_node_ns":{},"node_migrations":0,"anon_bytes":null,"kept_waiting":[{"name":"agents/builder","waits":290,"wait_ns":1900000000}],"host":{"cpus":2,"on_cpu_ns":9900000000},"losses":{"threads_without_record":0,"records_not_made":0,"negative_durations":0,"agents_without_slot":0,"events_not_sent":0,"provisional_ns":0,"pairs_not_counted":0,"waits_held_back":0,"waits_not_sent":0,"pairs_folded":0,"peers_not_counted":0,"sockets_without_record":0,"wakes_not_counted":0}}
    "#]].assert_eq(&explain_json(&against_another()));
}

#[test]
fn names_are_escaped_and_their_ends_kept() {
    let text = explain_text(&mixed(), screen(80, 24));
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text}"
    );
    let value: serde_json::Value = serde_json::from_str(&explain_json(&mixed())).expect("JSON");
    assert_eq!(value["agent"]["name"], mixed().agent.name);
}

#[test]
fn each_kind_of_reason_has_its_own_words() {
    let waits = [(state::WAITING_WOKEN, 2_000), (state::ON_CPU, 100)];
    let blamed = |who| {
        report("a", 1, &waits, 5_000).with(|evidence| {
            evidence.waited_for = vec![(who, blame(0, 0, 1, 2_000))];
        })
    };
    let short = |count, each_ns| {
        report("a", 1, &waits, 5_000).with(|evidence| {
            evidence.window.wake_wait = samples::durations(count, each_ns);
        })
    };
    let sentences: Vec<String> = [
        blamed(Who::Nobody),
        blamed(Who::Unattributed),
        blamed(Who::Kernel),
        short(3_000_000, 8_000),
        short(10_000, 400_000),
        report("a", 1, &waits, 5_000),
        report("a", 1, &waits, 5_000).with(|evidence| {
            let ran_ns = Some(50 * MS);
            let blame = blame(0, 0, 1, 2_000);
            evidence.waited_for = vec![(Who::Kernel, Blame { ran_ns, ..blame })];
        }),
    ]
    .iter()
    .map(|report| {
        let reason = report.explanation.reasons.first().expect("a reason");
        let show = |name: &str| name.to_owned();
        let sentence = words::sentence(reason, &report.evidence, &show);
        format!("{sentence} {}", words::remedy(reason, &report.evidence))
    })
    .collect();
    expect![[r#"
        Waited 2.00 s, 95 % of its time awake: once for a CPU that no thread held. It was slow to leave idleness, or taken by a hypervisor. `top` shows what a hypervisor takes as st.
        Waited 2.00 s, 95 % of its time awake, while threads that belong to no known agent held the CPU it was woken for once. 
        Waited 2.00 s, 95 % of its time awake, while kernel threads held the CPU it was woken for once. `top -H` names them: ksoftirqd is network, kswapd memory, kworker mostly storage.
        Waited 2.00 s, 95 % of its time awake: 3.81 M waits of 524 ns on average, shorter than 1.00 ms, so that nobody is named. That is what a wake-up costs, 762 k times a second: fewer, larger messages save it.
        Waited 2.00 s, 95 % of its time awake: 12,671 waits of 158 µs on average, shorter than 1.00 ms, so that nobody is named. --long 100us names who caused them.
        Waited 2.00 s, 95 % of its time awake, in waits that began before this window or outlast it: who caused one is known when both its ends are seen. Watch for longer, with a longer --duration.
        Waited 1.95 s, 93 % of its time awake, for its turn: who took the CPU from it or held it ran too little for that, so others ran in between. The host was only 50 % busy: let it run on more CPUs (cpuset.cpus, taskset).
    "#]].assert_eq(&(sentences.join("\n") + "\n"));
}

proptest! {
    #[test]
    fn any_ledger_has_a_screen_as_wide_as_the_terminal(
        spent_ms in prop::collection::vec(0_u64..100_000, 8),
        columns in 50_usize..120,
    ) {
        let spent: Vec<(u32, u64)> = (1..8).zip(spent_ms).collect();
        let text = explain_text(&report("agents/a", 1, &spent, 5_000), screen(columns, 24));
        prop_assert!(text.lines().all(|line| line.width() <= columns), "{text}");
    }
}

#[test]
fn whom_it_talked_to_and_what_memory_it_has_are_told_in_a_line_each() {
    let mut report = against_itself().with(|evidence| {
        evidence.window.polled = Some(Box::new(PolledWindow {
            length_ns: 4_000 * MS,
            pressure: Some(Pressure {
                memory: Stall {
                    some_us: 200_000,
                    full_us: 0,
                },
                ..Pressure::default()
            }),
            ..PolledWindow::default()
        }));
    });
    report.peers = vec![RttRow {
        agent: String::new(),
        peer: "model".to_owned(),
        window: PeerWindow {
            counts: PeerCounts {
                sent_bytes: 2_048,
                retransmitted: 3,
                ..PeerCounts::default()
            },
            round_trip: durations(100, 31_000_000),
            ..PeerWindow::default()
        },
    }];
    let screen = Screen {
        columns: 100,
        rows: 40,
        color: false,
    };
    let text = explain_text(&report, screen);
    let line = |start: &str| text.lines().find(|line| line.starts_with(start));
    assert_eq!(
        line("TCP with model"),
        Some(
            "TCP with model: 106 round trips, p50 31.5 ms, p99 109 ms; 2.0 KiB sent, 0 B received; 3 segments"
        ),
        "{text}"
    );
    assert_eq!(
        line("memory:"),
        Some("memory: 5 % of the time lost for want of memory, 0 % for want of I/O"),
        "{text}"
    );
    assert!(explain_json(&report).contains(r#""peers":[{"peer":"model""#));
}
