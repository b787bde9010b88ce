//! Processes that move to and fro between two agents.

use serde_json::Value;

use super::{
    Slack, assert_agrees, assert_attributed, assert_no_garbage, assert_no_losses, lost_switches,
    rows, scaled, stolen_ns, trace,
};
use crate::{
    Need, Test,
    attribution::count,
    host::{Host, TestCgroup, start_hostler},
};

pub(super) const TESTS: &[Test] = &[Test {
    name: "processes_that_move_to_and_fro_are_counted_once",
    needs: &[Need::WritableCgroups],
    run: processes_that_move_to_and_fro_are_counted_once,
}];

/// A thread's time up to a move may go to either side, by when it was switched last; but all of it
/// goes to one of them, and in every window.
fn processes_that_move_to_and_fro_are_counted_once(host: &Host) {
    let processes = scaled(200, 10);
    let rounds = scaled(20, 6);
    let [here, there] = ["here", "there"].map(|label| host.cgroup(label));
    // They toil for longer than this takes, and end with their cgroups.
    let mut loads: Vec<_> = (0..processes)
        .map(|_| here.start_load(&["toil", "600000"]))
        .collect();
    let ids: Vec<u32> = loads.iter().map(std::process::Child::id).collect();
    for load in &mut loads {
        drop(load.stdin.take());
    }
    wait_until_all_toil(&ids);
    let usage_ns = || here.usage_ns() + there.usage_ns();
    let mut ledger = start_hostler(&["trace", "ledger", "--json", "--interval", "200ms"]);
    let stolen_before = stolen_ns();
    let mut between = 0..0;
    let (reports, ()) = trace(&["runq"], || {
        between.start = usage_ns();
        for round in 0..rounds {
            let to = if round % 2 == 0 { &there } else { &here };
            move_all(&ids, to);
        }
        between.end = usage_ns();
    });
    ledger.send(nix::sys::signal::Signal::SIGINT);
    let windows = crate::host::reports(&ledger.wait());
    let sides = [&here.name, &there.name];
    for window in &windows {
        let wall_ns = count(window, "to_ns") - count(window, "from_ns");
        let [ns, threads] = sum(window, sides, ["total_ns", "threads"]);
        assert_eq!(threads, processes, "{window:#}");
        let truth_ns = processes * wall_ns;
        assert!(
            ns.abs_diff(truth_ns) <= truth_ns / 1_000,
            "{ns}, not {truth_ns}"
        );
    }
    let report = &reports[0];
    let [on_cpu_ns, waits] = sum(report, sides, ["on_cpu_ns", "waits"]);
    // The trace began a little earlier and ended a little later.
    let length_ns = count(report, "to_ns") - count(report, "from_ns");
    let truth_ns = between.end - between.start;
    let slack = Slack {
        switches: super::FROM_IDLENESS * waits,
        lost: lost_switches(report),
        stolen_ns: stolen_ns() - stolen_before,
        tail_ns: length_ns / 5,
    };
    assert_agrees(on_cpu_ns, truth_ns, slack);
    assert_no_garbage(report);
    assert_no_losses(report);
    assert_attributed(report);
}

/// Fields of both sides, added up. Who has no threads and does nothing has no row.
fn sum(report: &Value, sides: [&String; 2], fields: [&str; 2]) -> [u64; 2] {
    fields.map(|field| {
        let rows = sides.iter().flat_map(|side| rows(report, side));
        rows.map(|row| count(row, field)).sum()
    })
}

/// Their ways into the cgroup and the start of this binary are over when they sleep by themselves.
fn wait_until_all_toil(ids: &[u32]) {
    let give_up = std::time::Instant::now() + crate::host::PATIENCE;
    for id in ids {
        let path = format!("/proc/{id}/wchan");
        while !std::fs::read_to_string(&path).is_ok_and(|name| name.contains("nanosleep")) {
            assert!(std::time::Instant::now() < give_up, "{id} does not toil");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

fn move_all(ids: &[u32], to: &TestCgroup) {
    for id in ids {
        to.admit(*id);
    }
    std::thread::sleep(std::time::Duration::from_millis(100));
}
