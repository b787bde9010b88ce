//! Waits and switches land with the agent whose threads they are, whenever and however it came.

use std::{
    io::{BufRead, BufReader, Read, Write},
    ops::RangeInclusive,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    Need, Test,
    host::{Host, Running, hostler, reports, start_hostler},
};
use nix::sys::signal::Signal;

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "threads_that_share_a_cpu_wait_mostly_after_preemption",
        needs: &[Need::WritableCgroups],
        run: threads_that_share_a_cpu_wait_mostly_after_preemption,
    },
    Test {
        name: "a_thread_that_sleeps_often_waits_after_each_wake_up",
        needs: &[Need::WritableCgroups],
        run: a_thread_that_sleeps_often_waits_after_each_wake_up,
    },
    Test {
        name: "context_switches_agree_with_getrusage",
        needs: &[Need::WritableCgroups],
        run: context_switches_agree_with_getrusage,
    },
    Test {
        name: "threads_older_than_hostler_are_found_by_the_task_iterator",
        needs: &[Need::WritableCgroups],
        run: threads_older_than_hostler_are_found_by_the_task_iterator,
    },
    Test {
        name: "processes_older_than_hostler_are_found_below_proc",
        needs: &[Need::WritableCgroups],
        run: processes_older_than_hostler_are_found_below_proc,
    },
    Test {
        name: "each_of_many_short_lived_cgroups_is_reported",
        needs: &[Need::WritableCgroups],
        run: each_of_many_short_lived_cgroups_is_reported,
    },
    Test {
        name: "the_states_of_an_agent_s_threads_add_up_to_threads_times_wall_time",
        needs: &[Need::WritableCgroups],
        run: the_states_of_an_agent_s_threads_add_up_to_threads_times_wall_time,
    },
    Test {
        name: "a_long_wait_is_laid_to_who_took_the_cpu",
        needs: &[Need::WritableCgroups],
        run: a_long_wait_is_laid_to_who_took_the_cpu,
    },
    Test {
        name: "more_cgroups_at_once_than_slots_were_ready_are_all_told_apart",
        needs: &[Need::WritableCgroups, Need::RealSpeed],
        run: more_cgroups_at_once_than_slots_were_ready_are_all_told_apart,
    },
    Test {
        name: "a_storm_of_cgroups_leaves_every_slot_usable",
        needs: &[Need::WritableCgroups, Need::RealSpeed],
        run: a_storm_of_cgroups_leaves_every_slot_usable,
    },
    Test {
        name: "programs_in_the_root_cgroup_are_told_apart",
        needs: &[Need::WritableCgroups],
        run: programs_in_the_root_cgroup_are_told_apart,
    },
    Test {
        name: "views_per_cpu_and_per_node_count_what_the_agents_count",
        needs: &[Need::WritableCgroups],
        run: views_per_cpu_and_per_node_count_what_the_agents_count,
    },
];

/// Traces while a load runs in a cgroup of its own; the load's row and what it printed.
fn trace_load(host: &Host, label: &str, words: &[&str]) -> (Value, String) {
    let cgroup = host.cgroup(label);
    let tracer = start_hostler(&["trace", "runq", "--json"]);
    let load = cgroup
        .start_load(words)
        .wait_with_output()
        .expect("the load ends");
    assert!(load.status.success(), "the load failed: {}", load.status);
    let printed = String::from_utf8_lossy(&load.stdout).into_owned();
    (row_after_interrupt(tracer, &cgroup.name), printed)
}

/// Ends a trace by a signal, as a user does, and takes one row out of its only report.
pub(crate) fn row_after_interrupt(mut tracer: Running, name: &str) -> Value {
    tracer.send(Signal::SIGINT);
    let output = tracer.wait();
    let reports = reports(&output);
    assert_eq!(reports.len(), 1, "one report at the end");
    let mut row = row(&reports[0], name);
    row["lost"] = reports[0]["losses"]["threads_without_record"].clone();
    row
}

/// Checks a count against the kernel's own. What Hostler did not see must be among what it counted
/// as lost: a kernel may keep a process from BPF, and with it each switch away from that process.
fn assert_counted(row: &Value, field: &str, truth: &RangeInclusive<u64>) {
    let (counted, lost) = (count(row, field), count(row, "lost"));
    assert!(
        counted <= *truth.end() && counted + lost >= *truth.start(),
        "{field}: {counted} and {lost} lost are not {truth:?}: {row:#}"
    );
}

pub(crate) fn row(report: &Value, name: &str) -> Value {
    let rows = report["rows"].as_array().expect("a report has rows");
    let found = rows.iter().find(|row| row["name"] == name);
    found
        .unwrap_or_else(|| panic!("{name} is not in {report:#}"))
        .clone()
}

pub(crate) fn count(row: &Value, field: &str) -> u64 {
    row[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} is not a count in {row:#}"))
}

/// The switches that the kernel counted, as the load printed them: at least those during the load
/// must be the agent's, and at most all of the process's, with the few after the count.
struct Switches {
    voluntary: RangeInclusive<u64>,
    involuntary: RangeInclusive<u64>,
}

impl Switches {
    fn parse(printed: &str) -> Self {
        /// To write the count, to end the threads that are left, to exit.
        const AFTER: u64 = 10;
        let last = printed
            .lines()
            .last()
            .expect("the load printed its switches");
        let numbers: Vec<u64> = last
            .split(' ')
            .map(|word| word.parse().expect("a number"))
            .collect();
        Self {
            voluntary: numbers[1] - numbers[0]..=numbers[1] + AFTER,
            involuntary: numbers[3] - numbers[2]..=numbers[3] + AFTER,
        }
    }
}

fn threads_that_share_a_cpu_wait_mostly_after_preemption(host: &Host) {
    let (row, _) = trace_load(host, "spin", &["spin", "2", "1500"]);
    let (woken, preempted) = (count(&row, "waits_woken"), count(&row, "waits_preempted"));
    assert!(preempted > woken, "{row:#}");
    // Two threads that want one CPU: one of them always waits.
    let (wait_ns, on_cpu_ns) = (count(&row, "wait_ns"), count(&row, "on_cpu_ns"));
    assert!(wait_ns * 4 > on_cpu_ns, "{row:#}");
}

fn a_thread_that_sleeps_often_waits_after_each_wake_up(host: &Host) {
    let (row, printed) = trace_load(host, "sleep", &["sleep", "300"]);
    let truth = Switches::parse(&printed).voluntary;
    // A sleep that is over before the thread has left its CPU is no switch; most are.
    assert!(*truth.start() >= 250, "{printed}");
    // Each sleep is a voluntary switch and ends with a wake-up.
    assert_counted(&row, "waits_woken", &truth);
}

fn context_switches_agree_with_getrusage(host: &Host) {
    let (row, printed) = trace_load(host, "ping-pong", &["ping-pong", "5000"]);
    let truth = Switches::parse(&printed);
    assert!(*truth.voluntary.start() >= 5000, "{printed}");
    for (field, truth) in [
        ("voluntary_switches", truth.voluntary),
        ("involuntary_switches", truth.involuntary),
    ] {
        assert_counted(&row, field, &truth);
    }
}

fn threads_older_than_hostler_are_found_by_the_task_iterator(host: &Host) {
    // All three threads wake 100 times after Hostler has started.
    let woken = wakes_of_older_process(host, "iterator", 3);
    assert!(woken >= 300, "{woken} of 300 wake-ups");
}

fn processes_older_than_hostler_are_found_below_proc(host: &Host) {
    // Before Linux 6.9 only a process's first thread can be reached this way.
    let woken = wakes_of_older_process(host, "procfs", 1);
    assert!(woken >= 100, "{woken} of 100 wake-ups");
}

fn wakes_of_older_process(host: &Host, threads_from: &str, threads: u64) -> u64 {
    let cgroup = host.cgroup("older");
    let mut load = cgroup.start_load(&["wait-for-word", &threads.to_string()]);
    let mut printed = BufReader::new(load.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    printed
        .read_line(&mut line)
        .expect("the load says that it is ready");
    let tracer = start_hostler(&["trace", "runq", "--json", "--threads-from", threads_from]);
    load.stdin
        .take()
        .expect("it is a pipe")
        .write_all(b"go\n")
        .expect("the load reads");
    printed.read_to_string(&mut line).expect("the load prints");
    load.wait().expect("the load ends");
    count(&row_after_interrupt(tracer, &cgroup.name), "waits_woken")
}

fn each_of_many_short_lived_cgroups_is_reported(host: &Host) {
    const CGROUPS: usize = 100;
    let mut tracer = start_hostler(&["trace", "runq", "--json"]);
    let mut names = Vec::new();
    for _ in 0..CGROUPS {
        let cgroup = host.cgroup("short");
        cgroup.start(&["true"]).wait().expect("it ends");
        names.push(cgroup.name.clone());
    }
    tracer.send(Signal::SIGTERM);
    let output = tracer.wait();
    let report = reports(&output).remove(0);
    for name in &names {
        let row = row(&report, name);
        assert!(count(&row, "voluntary_switches") + count(&row, "involuntary_switches") > 0);
    }
    for loss in ["agents_without_slot", "events_not_sent", "records_not_made"] {
        assert_eq!(count(&report["losses"], loss), 0, "{loss}");
    }
}

fn the_states_of_an_agent_s_threads_add_up_to_threads_times_wall_time(host: &Host) {
    let cgroup = host.cgroup("ledger");
    // Three threads that sleep through every window; two that want one CPU, and one that waits
    // for these.
    let mut sleepers = cgroup.start_load(&["wait-for-word", "3"]);
    let mut printed = BufReader::new(sleepers.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    printed
        .read_line(&mut line)
        .expect("the load says that it is ready");
    let other = host.cgroup("busy");
    // Longer than even a slow guest takes to look; it is ended then.
    let mut busy = other.start_load(&["spin", "2", "60000"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    let words = [
        "trace",
        "ledger",
        "--json",
        "--interval",
        "500ms",
        "--duration",
        "2s",
    ];
    let reports = reports(&hostler(&words));
    for (name, threads) in [(&cgroup.name, 3), (&other.name, 3)] {
        for report in &reports {
            let row = row(report, name);
            let wall_ns = count(report, "to_ns") - count(report, "from_ns");
            let (total_ns, truth_ns) = (count(&row, "total_ns"), threads * wall_ns);
            let slack_ns = truth_ns / 1_000;
            assert!(
                total_ns.abs_diff(truth_ns) <= slack_ns,
                "{total_ns} for {truth_ns}: {row:#}"
            );
        }
    }
    let last = reports.last().expect("there are reports");
    let asleep = row(last, &cgroup.name);
    assert_eq!(
        count(&asleep, "asleep_ns"),
        count(&asleep, "total_ns"),
        "{asleep:#}"
    );
    let spinning = row(last, &other.name);
    assert!(count(&spinning, "on_cpu_ns") > 0 && count(&spinning, "waiting_preempted_ns") > 0);
    drop(sleepers.stdin.take());
    sleepers.wait().expect("the load ends");
    busy.kill().expect("the load is there");
    busy.wait().expect("the load ends");
}

fn a_long_wait_is_laid_to_who_took_the_cpu(host: &Host) {
    let (waiter, rival) = (host.cgroup("waiter"), host.cgroup("rival"));
    let mut tracer = start_hostler(&["trace", "runq", "--json", "--by", "preemptor"]);
    let mut loads = [&waiter, &rival].map(|cgroup| cgroup.start_load(&["spin", "1", "1500"]));
    for load in &mut loads {
        load.wait().expect("the load ends");
    }
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    let pairs = report["pairs"].as_array().expect("a report has pairs");
    let found = pairs
        .iter()
        .find(|pair| pair["waiter"] == *waiter.name && pair["cause"] == *rival.name);
    let pair = found.unwrap_or_else(|| panic!("the rival is not in {report:#}"));
    assert!(
        count(pair, "waits") > 0 && count(pair, "wait_ns") > 0,
        "{pair:#}"
    );
}

fn more_cgroups_at_once_than_slots_were_ready_are_all_told_apart(host: &Host) {
    let mut tracer = start_hostler(&["trace", "runq", "--json"]);
    // More than the kernel's queue holds, within a moment.
    let cgroups: Vec<_> = (0..4_500).map(|_| host.cgroup("many")).collect();
    let last = cgroups.last().expect("there are some");
    let mut load = last.start_load(&["sleep", "2500"]);
    load.wait().expect("the load ends");
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    let row = row(&report, &last.name);
    assert!(count(&row, "waits_woken") > 1_000, "{row:#}");
}

fn a_storm_of_cgroups_leaves_every_slot_usable(host: &Host) {
    let mut tracer = start_hostler(&["trace", "runq", "--json"]);
    // Enough to fill the ring of events more than once.
    for _ in 0..15 {
        let storm: Vec<_> = (0..400).map(|_| host.cgroup("storm")).collect();
        drop(storm);
    }
    // Slots rest for five seconds.
    std::thread::sleep(std::time::Duration::from_secs(8));
    let cgroups: Vec<_> = (0..100).map(|_| host.cgroup("after")).collect();
    for cgroup in &cgroups {
        cgroup.start(&["true"]).wait().expect("it ends");
    }
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    for cgroup in &cgroups {
        row(&report, &cgroup.name);
    }
    let slots: std::collections::BTreeSet<u64> = cgroups
        .iter()
        .map(|cgroup| count(&row(&report, &cgroup.name), "slot"))
        .collect();
    assert_eq!(slots.len(), cgroups.len(), "no slot is two agents'");
}

fn programs_in_the_root_cgroup_are_told_apart(host: &Host) {
    // Two programs in a session of their own, both in the root cgroup.
    let mut session = Command::new("setsid")
        .args([
            "sh",
            "-c",
            "echo $$ > \"$0/cgroup.procs\"; tail -f /dev/null & exec sleep 60",
        ])
        .arg(host.cgroup_root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("setsid can be run");
    let wanted = [
        format!("sleep:{}", session.id()),
        format!("tail:{}", session.id()),
    ];
    let found = agents_with_names(&wanted);
    // `tail` is the child of what is `sleep` now: end both by their session's ids.
    for process in processes_of_session(session.id()) {
        let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), Signal::SIGKILL);
    }
    session.wait().expect("it has ended");
    assert_eq!(found, 2, "{wanted:?}");
}

/// How many of the names `hostler agents` lists. A process takes a moment to become what it is
/// to be, so it looks some times.
fn agents_with_names(names: &[String]) -> usize {
    let mut found = 0;
    for _ in 0..20 {
        let listed = reports(&hostler(&["agents", "--json"]));
        let text = serde_json::to_string(&listed).expect("it was JSON");
        found = names
            .iter()
            .filter(|name| text.contains(&format!("\"{name}\"")))
            .count();
        if found == names.len() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    found
}

fn processes_of_session(session: u32) -> Vec<i32> {
    let listed = Command::new("ps")
        .args(["-o", "pid=", "-s", &session.to_string()])
        .output()
        .expect("ps can be run");
    String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect()
}

fn views_per_cpu_and_per_node_count_what_the_agents_count(host: &Host) {
    for group_by in ["cpu", "node"] {
        let cgroup = host.cgroup("view");
        // The agent must be known when the trace starts, to be selected.
        let mut load = cgroup.start_load(&["wait-for-word", "1"]);
        let mut printed = BufReader::new(load.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        printed
            .read_line(&mut line)
            .expect("the load says that it is ready");
        let words = [
            "trace",
            "runq",
            "--json",
            "--group-by",
            group_by,
            "--agent",
            &cgroup.name,
        ];
        let mut tracer = start_hostler(&words);
        load.stdin
            .take()
            .expect("it is a pipe")
            .write_all(b"go\n")
            .expect("the load reads");
        printed.read_to_string(&mut line).expect("the load prints");
        load.wait().expect("the load ends");
        tracer.send(Signal::SIGINT);
        let report = reports(&tracer.wait()).remove(0);
        let rows = report["rows"].as_array().expect("a report has rows");
        let woken: u64 = rows.iter().map(|row| count(row, "waits_woken")).sum();
        assert!(
            (100..=130).contains(&woken),
            "by {group_by}: {woken} of 100 wake-ups: {report:#}"
        );
        assert!(rows.iter().all(|row| {
            row["name"]
                .as_str()
                .is_some_and(|n| n.starts_with(group_by))
        }));
    }
}
