//! The same waits as others count them.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{staged::Staged, trace};
use crate::{
    Need, Test,
    attribution::{count, row},
    host::Host,
};

pub(super) const TESTS: &[Test] = &[Test {
    name: "waits_are_those_that_runqlat_counts",
    needs: &[Need::WritableCgroups, Need::Runqlat],
    run: waits_are_those_that_runqlat_counts,
}];

/// Waits by `runqlat`'s buckets: the first is below 2 µs, each further one an octave.
type Octaves = [u64; 40];

/// Both measure before the load starts to work, and go on until it holds still again, so both see
/// the same waits. They differ in two rare cases: a thread that is woken while it still waits after
/// a preemption (`runqlat` takes its wait from there on), and one that is preempted on its way to
/// sleep (`runqlat` does not see it wait).
fn waits_are_those_that_runqlat_counts(host: &Host) {
    let cgroup = host.cgroup("peers");
    let mut load = Staged::start(&cgroup, &["mixed", "2000"]);
    let mut peer = Runqlat::start(load.pid());
    let (reports, ()) = trace(&["runq"], || {
        load.work();
    });
    let theirs = peer.end();
    load.end();
    let ours = octaves_of_row(&row(&reports[0], &cgroup.name));
    let (our_waits, their_waits) = (ours.iter().sum::<u64>(), theirs.iter().sum::<u64>());
    assert!(their_waits > 3_000, "{theirs:?}");
    assert!(
        our_waits.abs_diff(their_waits) <= their_waits / 100,
        "{our_waits} waits, {their_waits} by runqlat: {ours:?} {theirs:?}"
    );
    for quantile in [0.5, 0.9, 0.99] {
        let (our_octave, their_octave) = (octave_at(&ours, quantile), octave_at(&theirs, quantile));
        assert!(
            our_octave.abs_diff(their_octave) <= 1,
            "{quantile}: {our_octave} and {their_octave} in {ours:?} {theirs:?}"
        );
    }
}

/// The octave below which, and in which, this share of the waits lies.
fn octave_at(octaves: &Octaves, quantile: f64) -> usize {
    let total: u64 = octaves.iter().sum();
    let mut seen = 0;
    octaves
        .iter()
        .position(|waits| {
            seen += waits;
            seen as f64 >= quantile * total as f64
        })
        .expect("there are waits")
}

fn octave_of(us: u64) -> usize {
    us.max(1).ilog2() as usize
}

/// Our buckets are narrower than an octave: each goes to the octave of its middle.
fn octaves_of_row(row: &Value) -> Octaves {
    let mut octaves = [0; 40];
    for bucket in row["buckets"].as_array().expect("a row has buckets") {
        let middle_ns = u64::midpoint(count(bucket, "start_ns"), count(bucket, "end_ns"));
        octaves[octave_of(middle_ns / 1_000)] +=
            count(bucket, "woken") + count(bucket, "preempted");
    }
    octaves
}

/// The peer, measuring one process.
struct Runqlat {
    child: Child,
}

impl Runqlat {
    /// Starts it, and waits until it measures.
    fn start(process: u32) -> Self {
        // It does not flush what it says first.
        let child = Command::new("stdbuf")
            .args(["-oL", "runqlat", "-p", &process.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("stdbuf can be run");
        let mut peer = Self { child };
        let mut line = String::new();
        // Byte by byte, so that the rest of its output is read later.
        let mut output = BufReader::with_capacity(1, peer.child.stdout.as_mut().expect("a pipe"));
        output.read_line(&mut line).expect("it can be read");
        assert!(line.starts_with("Tracing"), "runqlat says {line:?}");
        peer
    }

    /// Ends it as a user does; what it has counted.
    fn end(&mut self) -> Octaves {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGINT).expect("it is there");
        let mut text = String::new();
        let output = self.child.stdout.as_mut().expect("a pipe");
        output.read_to_string(&mut text).expect("it can be read");
        self.child.wait().expect("it ends");
        octaves_of_text(&text)
    }
}

impl Drop for Runqlat {
    fn drop(&mut self) {
        // It has ended by itself if all went well.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Reads lines such as `4 -> 7 : 12 |****|`.
fn octaves_of_text(text: &str) -> Octaves {
    let mut octaves = [0; 40];
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [from, "->", _to, ":", waits, ..] = words[..] {
            let from_us = from.parse().expect("a number");
            octaves[octave_of(from_us)] += waits.parse::<u64>().expect("a number");
        }
    }
    octaves
}
