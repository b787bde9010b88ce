//! The nodes that were asked for are there, and work that is pinned to one is seen there.

use std::{
    env, fs,
    sync::mpsc::{self, TryRecvError},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    Test,
    guest::{CPUS_PER_NODE, Guest, hostler},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_guest_has_the_nodes_asked_for_with_cpus_and_memory_of_their_own",
        a_guest_has_the_nodes_asked_for_with_cpus_and_memory_of_their_own,
    ),
    (
        "doctor_counts_the_nodes_and_cpus_that_there_are",
        doctor_counts_the_nodes_and_cpus_that_there_are,
    ),
    (
        "a_thread_s_time_is_counted_on_the_node_that_it_is_pinned_to",
        a_thread_s_time_is_counted_on_the_node_that_it_is_pinned_to,
    ),
];

fn a_guest_has_the_nodes_asked_for_with_cpus_and_memory_of_their_own(guest: &Guest) {
    let asked_for = env::var("HOSTLER_GUEST_NODES").expect("who starts a guest says its shape");
    assert_eq!(guest.nodes.len().to_string(), asked_for, "nodes");
    let mut seen: Vec<usize> = Vec::new();
    for (node, cpus) in guest.nodes.iter().enumerate() {
        assert_eq!(cpus.len(), CPUS_PER_NODE, "CPUs of node {node}");
        seen.extend(cpus);
        let path = format!("/sys/devices/system/node/node{node}/meminfo");
        let meminfo = fs::read_to_string(path).expect("a node says what memory it has");
        let total = meminfo
            .lines()
            .find(|line| line.contains("MemTotal:"))
            .and_then(|line| line.split_whitespace().rev().nth(1)?.parse::<u64>().ok());
        assert!(total > Some(200 << 10), "memory of node {node}: {meminfo}");
    }
    assert_eq!(seen, (0..seen.len()).collect::<Vec<_>>());
}

fn doctor_counts_the_nodes_and_cpus_that_there_are(guest: &Guest) {
    let report = &hostler(&["doctor", "--json"])[0];
    let cpus: usize = guest.nodes.iter().map(Vec::len).sum();
    assert_eq!(report["host"]["NUMA nodes"], guest.nodes.len().to_string());
    assert_eq!(report["host"]["possible CPUs"], cpus.to_string());
}

fn a_thread_s_time_is_counted_on_the_node_that_it_is_pinned_to(guest: &Guest) {
    let wanted = format!("node {}", guest.nodes.len() - 1);
    let cpu = guest.nodes[guest.nodes.len() - 1][0];
    let give_up = Instant::now() + Duration::from_mins(1);
    let (stop, stopped) = mpsc::channel::<()>();
    let spinner = thread::spawn(move || {
        let mut set = CpuSet::new();
        set.set(cpu).expect("the CPU's number is small");
        sched_setaffinity(Pid::from_raw(0), &set).expect("the CPU is there");
        // Until the sender is gone. A stretch on a CPU is counted when it ends.
        while stopped.try_recv() == Err(TryRecvError::Empty) && Instant::now() < give_up {
            let stretch_end = Instant::now() + Duration::from_millis(20);
            while Instant::now() < stretch_end {}
            thread::sleep(Duration::from_millis(1));
        }
    });
    let words = ["trace", "runq", "--group-by", "node", "--json"];
    let reports = hostler(&[&words[..], &["--interval", "1s", "--duration", "2s"]].concat());
    drop(stop);
    spinner.join().expect("it does not panic");
    let rows: Vec<&Value> = reports
        .iter()
        .flat_map(|report| report["rows"].as_array().expect("rows"))
        .collect();
    let on_cpu_ns = |name: Option<&str>| -> u64 {
        rows.iter()
            .filter(|row| name.is_none_or(|name| row["name"] == name))
            .map(|row| row["on_cpu_ns"].as_u64().expect("a number"))
            .sum()
    };
    let (there, everywhere) = (on_cpu_ns(Some(&wanted)), on_cpu_ns(None));
    assert!(
        there * 2 > everywhere && there > 500_000_000,
        "{wanted} has {there} ns of {everywhere} ns: {rows:?}"
    );
}
