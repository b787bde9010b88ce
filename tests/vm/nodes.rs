//! Work that is pinned to a node is seen there.

use std::{
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
    guest::{Guest, hostler},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "doctor_counts_the_nodes_and_cpus_that_there_are",
        doctor_counts_the_nodes_and_cpus_that_there_are,
    ),
    (
        "a_thread_s_time_is_counted_on_the_node_that_it_is_pinned_to",
        a_thread_s_time_is_counted_on_the_node_that_it_is_pinned_to,
    ),
];

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
