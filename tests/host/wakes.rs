//! Who wakes whom, held against how often the kernel says that threads slept.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::Child,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    Need, Test,
    host::{Host, reports, start_hostler},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "an_agent_is_woken_as_often_as_it_sleeps_and_by_itself_if_it_alone_passes_bytes",
        needs: &[Need::WritableCgroups],
        run: an_agent_is_woken_as_often_as_it_sleeps_and_by_itself_if_it_alone_passes_bytes,
    },
    Test {
        name: "who_sleeps_for_a_time_is_woken_by_interrupts",
        needs: &[Need::WritableCgroups],
        run: who_sleeps_for_a_time_is_woken_by_interrupts,
    },
    Test {
        name: "who_was_moved_while_it_slept_is_woken_as_its_new_agent",
        needs: &[Need::WritableCgroups],
        run: who_was_moved_while_it_slept_is_woken_as_its_new_agent,
    },
    Test {
        name: "agents_that_wake_each_other_are_told_by_their_names",
        needs: &[Need::WritableCgroups],
        run: agents_that_wake_each_other_are_told_by_their_names,
    },
];

/// Wakes the child, which sleeps again.
fn wake_often(child: &mut Child, times: u64) {
    for _ in 0..times {
        ask(child);
    }
}

/// Edges to the agent with this name: who woke it, and how often.
fn edges_to<'a>(report: &'a Value, name: &str) -> Vec<(&'a str, u64)> {
    let edges = report["wakes"].as_array().expect("a list");
    let own = edges.iter().filter(|edge| edge["woken"] == name);
    own.map(|edge| {
        let class = edge["waker_class"].as_str().expect("a word");
        (class, edge["wakes"].as_u64().expect("a number"))
    })
    .collect()
}

fn of_class(edges: &[(&str, u64)], wanted: &str) -> u64 {
    let edges = edges.iter().filter(|(class, _)| *class == wanted);
    edges.map(|(_, wakes)| wakes).sum()
}

/// Traces while a load runs to its end. The report, and how often the load slept, at the load itself.
fn traced(host: &Host, label: &str, words: &[&str]) -> (Vec<(String, u64)>, u64) {
    let cgroup = host.cgroup(label);
    let mut tracer = start_hostler(&["trace", "wakes", "--json"]);
    let load = cgroup.start_load(words);
    let output = load.wait_with_output().expect("it ends");
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    let edges = edges_to(&report, &cgroup.name);
    let edges = edges
        .iter()
        .map(|&(class, wakes)| (class.to_owned(), wakes));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    // Its voluntary switches up to the load, and up to its end.
    let mut counts = said.split_whitespace().map(|word| {
        let count: u64 = word.parse().expect("a number");
        count
    });
    let (before, after) = (counts.next(), counts.next());
    (edges.collect(), after.expect("two") - before.expect("one"))
}

fn an_agent_is_woken_as_often_as_it_sleeps_and_by_itself_if_it_alone_passes_bytes(host: &Host) {
    let (edges, slept) = traced(host, "ping-pong", &["ping-pong", "3000"]);
    let edges: Vec<(&str, u64)> = edges.iter().map(|(class, n)| (&**class, *n)).collect();
    let all: u64 = edges.iter().map(|(_, wakes)| wakes).sum();
    let own = of_class(&edges, "same_agent");
    // Starting and ending, before and after the load counts, wake a few times more.
    assert!(all >= slept, "{slept} sleeps: {edges:?}");
    assert!(all <= slept + slept / 20 + 50, "{slept} sleeps: {edges:?}");
    assert!(own * 20 >= slept * 19, "{slept} sleeps: {edges:?}");
}

fn who_sleeps_for_a_time_is_woken_by_interrupts(host: &Host) {
    let (edges, slept) = traced(host, "sleeper", &["sleep", "300"]);
    let edges: Vec<(&str, u64)> = edges.iter().map(|(class, n)| (&**class, *n)).collect();
    let by_interrupts = of_class(&edges, "interrupts");
    // On a slow machine the time may be over before it sleeps.
    assert!(slept >= 50, "{slept} sleeps: {edges:?}");
    assert!(
        by_interrupts * 20 >= slept * 19,
        "{slept} sleeps: {edges:?}"
    );
}

/// Sends a line, and waits for one.
fn ask(child: &mut Child) {
    let input = child.stdin.as_mut().expect("it is a pipe");
    input.write_all(b"a line\n").expect("it reads");
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("it is a pipe");
    let mut output = BufReader::new(output);
    output.read_line(&mut line).expect("it answers");
    assert_eq!(line, "a line\n");
}

fn who_was_moved_while_it_slept_is_woken_as_its_new_agent(host: &Host) {
    const TIMES: u64 = 50;
    let (first, second) = (host.cgroup("first"), host.cgroup("second"));
    let mut child = first.start(&["cat"]);
    ask(&mut child);
    let mut tracer = start_hostler(&["trace", "wakes", "--json"]);
    second.admit(child.id());
    wake_often(&mut child, TIMES);
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    let wakes_of = |name: &str| -> u64 {
        let edges = edges_to(&report, name);
        edges.iter().map(|(_, wakes)| wakes).sum()
    };
    // Whoever moves a process may wake it for that.
    assert!(wakes_of(&first.name) <= 2, "{report:#}");
    assert!(wakes_of(&second.name) >= TIMES / 2, "{report:#}");
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}

fn agents_that_wake_each_other_are_told_by_their_names(host: &Host) {
    const LINES: u64 = 200;
    // A shell asks, and a program in another cgroup answers.
    let (asks, answers) = (host.cgroup("asks"), host.cgroup("answers"));
    let mut answering = answers.start(&["cat"]);
    ask(&mut answering);
    let mut tracer = start_hostler(&["trace", "wakes", "--json"]);
    // This thread is of the asking cgroup meanwhile: only its own writes wake the other.
    let lines = LINES.to_string();
    let pid = answering.id().to_string();
    let script = "exec 3>/proc/$1/fd/0; i=0; while [ $i -lt $2 ]; do echo a line >&3; \
                  i=$((i+1)); sleep 0.002; done";
    let mut asking = asks.start(&["sh", "-c", script, "sh", &pid, &lines]);
    let mut read = BufReader::new(answering.stdout.as_mut().expect("it is a pipe"));
    for _ in 0..LINES {
        let mut line = String::new();
        read.read_line(&mut line).expect("it answers");
    }
    assert!(asking.wait().expect("it ends").success());
    tracer.send(Signal::SIGINT);
    let report = reports(&tracer.wait()).remove(0);
    let edges = report["wakes"].as_array().expect("a list");
    let edge = edges
        .iter()
        .find(|edge| edge["woken"] == answers.name && edge["waker"] == asks.name);
    let edge = edge.unwrap_or_else(|| panic!("{report:#}"));
    let wakes = edge["wakes"].as_u64().expect("a number");
    assert!((LINES * 9 / 10..=LINES).contains(&wakes), "{edge}");
    drop(answering.stdin.take());
    assert!(answering.wait().expect("it ends").success());
}
