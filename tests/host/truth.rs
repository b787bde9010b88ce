//! Truth: what Hostler says against what the kernel, and others who measure, say of the same load.

mod account;
mod accounts;
mod ledger;
mod memory;
mod moves;
mod peers;
mod staged;
mod storms;
mod throttle;

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    Test,
    attribution::count,
    host::{reports, start_hostler},
};

pub(crate) fn tests() -> Vec<Test> {
    [
        accounts::TESTS,
        ledger::TESTS,
        peers::TESTS,
        throttle::TESTS,
        storms::TESTS,
        moves::TESTS,
        memory::TESTS,
    ]
    .concat()
}

/// Traces while something happens, and ends the trace by a signal, as a user does: the reports,
/// and what the happening returned.
fn trace<T>(words: &[&str], happening: impl FnOnce() -> T) -> (Vec<Value>, T) {
    let mut tracer = start_hostler(&[&["trace"], words, &["--json"]].concat());
    let result = happening();
    tracer.send(Signal::SIGINT);
    (reports(&tracer.wait()), result)
}

/// CPU time that the hypervisor took from this machine since boot, in ns. The kernel does not
/// charge it to the thread that it was taken from; Hostler does, since that thread held the CPU.
fn stolen_ns() -> u64 {
    /// `/proc/stat` counts hundredths of a second.
    const TICK_NS: u64 = 10_000_000;
    let stat = fs::read_to_string("/proc/stat").expect("it is always there");
    let cpus = stat.lines().next().expect("it has lines");
    let stolen = cpus.split_whitespace().nth(8);
    TICK_NS * stolen.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// How many times as long it takes to find the next thread where a CPU comes out of idleness, with
/// cold caches.
const FROM_IDLENESS: u64 = 4;

/// By what a time may differ from the kernel's own, beside 0.1 %.
#[derive(Clone, Copy, Default)]
struct Slack {
    /// Switches from thread to thread. The kernel begins a stretch when it begins to look for the
    /// next thread, Hostler when one is found.
    switches: u64,
    /// Switches that Hostler did not see, and knows of: until the next one, the thread's time
    /// counts for what it did before.
    lost: u64,
    /// Time that was stolen meanwhile.
    stolen_ns: u64,
    /// What Hostler may have seen before the kernel's number was read first, and after it was
    /// read last.
    tail_ns: u64,
}

impl Slack {
    /// How much less, and how much more than the kernel's time is within the slack.
    fn around(&self, truth_ns: u64) -> (u64, u64) {
        /// The stolen time of each CPU is rounded down.
        const STOLEN_ROUNDING_NS: u64 = 20_000_000;
        /// As long as a scheduler lets a thread run while others wait, and more.
        const LONGEST_STRETCH_NS: u64 = 10_000_000;
        // An emulated machine needs that much longer for each step of a switch.
        let switches_ns = self.switches * scaled(5_000, 500_000);
        let stolen_ns = if self.stolen_ns == 0 {
            0
        } else {
            self.stolen_ns + STOLEN_ROUNDING_NS
        };
        let either_ns = truth_ns / 1_000 + switches_ns + self.lost * LONGEST_STRETCH_NS;
        (either_ns, either_ns + stolen_ns + self.tail_ns)
    }
}

/// Checks a time against the kernel's own.
fn assert_agrees(measured_ns: u64, truth_ns: u64, slack: Slack) {
    let (less_ns, more_ns) = slack.around(truth_ns);
    assert!(
        (truth_ns.saturating_sub(less_ns)..=truth_ns + more_ns).contains(&measured_ns),
        "{measured_ns} ns, {truth_ns} by the kernel: {less_ns} less or {more_ns} more may be"
    );
}

/// Switches that were not seen: a kernel may keep a process from BPF, and with it each switch away
/// from that process. They are counted when such a process gets a CPU.
fn lost_switches(report: &Value) -> u64 {
    count(&report["losses"], "threads_without_record")
}

/// The rows of a report whose names begin so.
fn rows<'a>(report: &'a Value, beginning: &str) -> Vec<&'a Value> {
    report["rows"]
        .as_array()
        .expect("a report has rows")
        .iter()
        .filter(|row| {
            row["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(beginning))
        })
        .collect()
}

/// Nobody can have waited longer than the trace: a longer wait would be garbage, as differences
/// of the wrong clocks or of a record that another agent has left are.
fn assert_no_garbage(report: &Value) {
    let length_ns = count(report, "to_ns") - count(report, "from_ns");
    for row in rows(report, "") {
        let buckets = row["buckets"].as_array().expect("a row has buckets");
        for bucket in buckets {
            assert!(
                count(bucket, "start_ns") <= length_ns,
                "{bucket} in {row:#}"
            );
        }
    }
}

/// At least 99.9 % of the time on CPU of all user threads must be somebody's.
fn assert_attributed(report: &Value) {
    let on_cpu_ns = |row: &&Value| count(row, "on_cpu_ns");
    let user = rows(report, "")
        .into_iter()
        .filter(|row| row["name"] != "[kernel]");
    let all_ns: u64 = user.map(|row| on_cpu_ns(&row)).sum();
    let other_ns: u64 = rows(report, "[other]").iter().map(on_cpu_ns).sum();
    assert!(
        other_ns * 1_000 <= all_ns,
        "{other_ns} of {all_ns} ns on CPU are nobody's"
    );
}

/// Nothing may be lost without need.
fn assert_no_losses(report: &Value) {
    for loss in [
        "records_not_made",
        "negative_durations",
        "agents_without_slot",
        "events_not_sent",
        "pairs_not_counted",
    ] {
        assert_eq!(count(&report["losses"], loss), 0, "{loss}");
    }
}

/// How many, on a machine with its own speed and in an emulated guest.
fn scaled(on_real: u64, in_guest: u64) -> u64 {
    if crate::needs::guest().is_none() {
        in_guest
    } else {
        on_real
    }
}
