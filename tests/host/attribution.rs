//! Waits and switches land with the agent whose threads they are, whenever and however it came.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    Need, Test,
    host::{Host, Running, hostler, reports, start_hostler, wait_for_links, wait_until_attached},
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
    let mut tracer = start_hostler(&["trace", "runq", "--json"]);
    wait_until_attached(&mut tracer);
    let load = cgroup
        .start_load(words)
        .wait_with_output()
        .expect("the load ends");
    assert!(load.status.success(), "the load failed: {}", load.status);
    let printed = String::from_utf8_lossy(&load.stdout).into_owned();
    (row_after_interrupt(tracer, &cgroup.name), printed)
}

/// Ends a trace by a signal, as a user does, and takes one row out of its only report.
fn row_after_interrupt(mut tracer: Running, name: &str) -> Value {
    tracer.send(Signal::SIGINT);
    let output = tracer.wait();
    let reports = reports(&output);
    assert_eq!(reports.len(), 1, "one report at the end");
    row(&reports[0], name)
}

fn row(report: &Value, name: &str) -> Value {
    let rows = report["rows"].as_array().expect("a report has rows");
    let found = rows.iter().find(|row| row["name"] == name);
    found
        .unwrap_or_else(|| panic!("{name} is not in {report:#}"))
        .clone()
}

fn count(row: &Value, field: &str) -> u64 {
    row[field]
        .as_u64()
        .unwrap_or_else(|| panic!("{field} is not a count in {row:#}"))
}

/// The switches that the kernel counted, as the load printed them: at least those during the load
/// must be the agent's, and at most all of the process's, with the few after the count.
struct Switches {
    voluntary: std::ops::RangeInclusive<u64>,
    involuntary: std::ops::RangeInclusive<u64>,
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
    assert!(*truth.start() >= 300, "{printed}");
    // Each sleep is a voluntary switch and ends with a wake-up.
    let woken = count(&row, "waits_woken");
    assert!(
        truth.contains(&woken),
        "{woken} is not in {truth:?}: {row:#}"
    );
}

fn context_switches_agree_with_getrusage(host: &Host) {
    let (row, printed) = trace_load(host, "ping-pong", &["ping-pong", "5000"]);
    let truth = Switches::parse(&printed);
    assert!(*truth.voluntary.start() >= 5000, "{printed}");
    for (field, truth) in [
        ("voluntary_switches", truth.voluntary),
        ("involuntary_switches", truth.involuntary),
    ] {
        let counted = count(&row, field);
        assert!(
            truth.contains(&counted),
            "{field}: {counted} is not in {truth:?}: {row:#}"
        );
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
    let mut tracer = start_hostler(&["trace", "runq", "--json", "--threads-from", threads_from]);
    if threads_from == "iterator" {
        wait_until_attached(&mut tracer);
    } else {
        wait_for_links(&mut tracer, 6);
    }
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
    wait_until_attached(&mut tracer);
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
        wait_until_attached(&mut tracer);
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
