//! `hostler explain` gives the reason that was made to be one.

use std::{
    io::{BufRead, BufReader},
    process::Child,
    time::Duration,
};

use serde_json::Value;

use crate::{
    Need, Test,
    host::{Host, TestCgroup, hostler, reports},
    refusals::assert_refused,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "who_takes_the_cpu_is_the_reason_and_is_named",
        needs: &[Need::WritableCgroups],
        run: who_takes_the_cpu_is_the_reason_and_is_named,
    },
    Test {
        name: "nothing_held_a_sleeper_up",
        needs: &[Need::WritableCgroups],
        run: nothing_held_a_sleeper_up,
    },
    Test {
        name: "a_pattern_that_several_agents_match_is_refused_with_their_names",
        needs: &[Need::WritableCgroups],
        run: a_pattern_that_several_agents_match_is_refused_with_their_names,
    },
];

/// Windows that are looked at before a reason counts as not found.
const LOOKS: usize = 8;

fn explained(name: &str) -> Value {
    let output = hostler(&["explain", name, "--duration", "2s", "--json"]);
    reports(&output).remove(0)
}

/// Starts threads that do nothing, and waits until they are there.
fn sleepers(cgroup: &TestCgroup, threads: u64) -> Child {
    let mut load = cgroup.start_load(&["wait-for-word", &threads.to_string()]);
    let mut printed = BufReader::new(load.stdout.as_mut().expect("it is a pipe"));
    let mut line = String::new();
    printed
        .read_line(&mut line)
        .expect("the load says that it is ready");
    load
}

fn end(mut load: Child) {
    load.kill().expect("the load is there");
    load.wait().expect("the load ends");
}

fn who_takes_the_cpu_is_the_reason_and_is_named(host: &Host) {
    let (waiter, rival) = (host.cgroup("waiter"), host.cgroup("rival"));
    let loads = [
        waiter.start_load(&["spin", "1", "300000"]),
        rival.start_load(&["spin", "4", "300000"]),
    ];
    std::thread::sleep(Duration::from_millis(500));
    // A wait is laid to who ran first in it. Where others want CPU 0 too, that may be one of them
    // for a while.
    let names_the_rival = |report: &Value| {
        let mut reasons = report["reasons"].as_array().expect("reasons").iter();
        reasons.any(|reason| reason["cause"] == *rival.name || reason["foremost"] == *rival.name)
    };
    let mut looks = (0..LOOKS).map(|_| explained(&waiter.name));
    let report = looks.find(|report| names_the_rival(report));
    let text = hostler(&["explain", &waiter.name, "--duration", "1s"]);
    loads.into_iter().for_each(end);
    let report = report.expect("a look at which the rival is named");
    assert_eq!(report["verdict"], "held_up", "{report:#}");
    let waited_ns = report["ledger"]["waiting_preempted_ns"].as_u64();
    let costs = report["reasons"].as_array().expect("reasons").iter();
    let cost_ns: u64 = costs.filter_map(|reason| reason["cost_ns"].as_u64()).sum();
    assert!(cost_ns > 0 && Some(cost_ns) <= waited_ns, "{report:#}");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("1. Waited") && text.contains("took the CPU"),
        "{text}"
    );
}

fn nothing_held_a_sleeper_up(host: &Host) {
    let cgroup = host.cgroup("sleeper");
    let load = sleepers(&cgroup, 3);
    let report = explained(&cgroup.name);
    let text = hostler(&["explain", &cgroup.name, "--duration", "200ms"]);
    end(load);
    assert_eq!(report["verdict"], "asleep", "{report:#}");
    assert_eq!(report["ledger"]["threads"], 3, "{report:#}");
    assert_eq!(report["reasons"], Value::Array(Vec::new()), "{report:#}");
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("Nothing held it up"), "{text}");
}

fn a_pattern_that_several_agents_match_is_refused_with_their_names(host: &Host) {
    let twins = [host.cgroup("twin"), host.cgroup("twin")];
    let loads = [&twins[0], &twins[1]].map(|cgroup| sleepers(cgroup, 1));
    let pattern = format!("hostler-test-{}-*-twin", std::process::id());
    let output = hostler(&["explain", &pattern]);
    loads.into_iter().for_each(end);
    assert_refused(&output, 2, &[&twins[0].name, &twins[1].name, "2 agents"]);
}
