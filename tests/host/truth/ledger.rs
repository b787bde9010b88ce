//! The ledger adds up in every window, also for threads that sleep through all of them.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use super::staged::Staged;
use crate::{
    Need, Test,
    attribution::{count, row},
    host::{Host, PATIENCE, hostler, reports},
};

pub(super) const TESTS: &[Test] = &[Test {
    name: "the_ledger_adds_up_in_each_of_many_windows",
    needs: &[Need::WritableCgroups],
    run: the_ledger_adds_up_in_each_of_many_windows,
}];

fn the_ledger_adds_up_in_each_of_many_windows(host: &Host) {
    let [quiet, busy, talking] = ["quiet", "busy", "talking"].map(|label| host.cgroup(label));
    // Each has a thread that waits for the others. They work for longer than even a slow guest
    // takes to look, and end with their cgroups.
    let loads = [
        (&quiet, &["nothing", "4"][..]),
        (&busy, &["spinners", "4", "600000"]),
        (&talking, &["ping-pong", "1000000000"]),
    ]
    .map(|(cgroup, words)| {
        let mut load = Staged::start(cgroup, words);
        load.go();
        load
    });
    for (load, threads) in loads.iter().zip([5, 5, 3]) {
        wait_for_threads(load.pid(), threads);
    }
    loads[0].account();
    let words = "trace ledger --json --interval 250ms --duration 6s";
    let reports = reports(&hostler(&words.split(' ').collect::<Vec<_>>()));
    // A slow machine may miss some.
    assert!(reports.len() >= 8, "{} windows", reports.len());
    for report in &reports {
        let wall_ns = count(report, "to_ns") - count(report, "from_ns");
        let row = |cgroup: &str| row(report, cgroup);
        let (quiet, busy, talking) = (row(&quiet.name), row(&busy.name), row(&talking.name));
        assert_adds_up(&quiet, 5, wall_ns);
        assert_adds_up(&busy, 5, wall_ns);
        assert_adds_up(&talking, 3, wall_ns);
        // Nobody woke these, so not a moment is anything else.
        assert_eq!(
            count(&quiet, "asleep_ns"),
            count(&quiet, "total_ns"),
            "{quiet:#}"
        );
        // Four that want one CPU, and one that sleeps.
        assert_near(count(&busy, "asleep_ns"), wall_ns);
        let wanting_ns = ["on_cpu_ns", "waiting_woken_ns", "waiting_preempted_ns"]
            .map(|state| count(&busy, state))
            .iter()
            .sum();
        assert_near(wanting_ns, 4 * wall_ns);
        assert!(
            count(&busy, "on_cpu_ns") <= wall_ns + wall_ns / 1_000,
            "{busy:#}"
        );
    }
}

fn assert_adds_up(row: &Value, threads: u64, wall_ns: u64) {
    assert_eq!(count(row, "threads"), threads, "{row:#}");
    assert_near(count(row, "total_ns"), threads * wall_ns);
}

/// Within 0.1 %.
fn assert_near(ns: u64, truth_ns: u64) {
    assert!(
        ns.abs_diff(truth_ns) <= truth_ns / 1_000,
        "{ns}, not {truth_ns} ns"
    );
}

fn wait_for_threads(process: u32, threads: usize) {
    let give_up = std::time::Instant::now() + PATIENCE;
    let folder = format!("/proc/{process}/task");
    while fs::read_dir(&folder).expect("the load is there").count() != threads {
        assert!(
            std::time::Instant::now() < give_up,
            "the threads do not come"
        );
        thread::sleep(Duration::from_millis(20));
    }
}
