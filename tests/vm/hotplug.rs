//! CPUs that go and come back while Hostler measures.

use std::{fs, thread, time::Duration};

use serde_json::Value;

use crate::{
    Test,
    guest::{Guest, Running},
};

pub(crate) const TESTS: &[Test] = &[(
    "time_adds_up_while_a_cpu_goes_and_comes_back",
    time_adds_up_while_a_cpu_goes_and_comes_back,
)];

/// How long Hostler measures, in s.
const SECONDS: u64 = 6;

/// A CPU that is offline until this is dropped.
struct Offline(String);

impl Offline {
    fn take(cpu: usize) -> Self {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/online");
        fs::write(&path, "0").expect("a guest's CPU can be taken offline");
        Self(path)
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        fs::write(&self.0, "1").expect("it can be brought back");
    }
}

/// The states of an agent's threads, in ns, and how many threads these are.
fn states(row: &Value) -> (i64, i64) {
    let ledger = row.as_object().expect("a row");
    let states = ledger.iter().filter(|(name, _)| {
        name.ends_with("_ns") && !["from_ns", "to_ns", "total_ns"].contains(&name.as_str())
    });
    let sum = states.filter_map(|(_, value)| value.as_i64()).sum();
    (sum, row["threads"].as_i64().expect("a count"))
}

fn time_adds_up_while_a_cpu_goes_and_comes_back(guest: &Guest) {
    let last = guest.nodes.iter().flatten().max().expect("there are CPUs");
    let duration = format!("{SECONDS}s");
    let tracer = Running::start(&["trace", "ledger", "--json", "--duration", &duration]);
    for _ in 0..2 {
        let offline = Offline::take(*last);
        thread::sleep(Duration::from_millis(500));
        drop(offline);
        thread::sleep(Duration::from_millis(300));
    }
    let report = tracer.report();
    let length = |field: &str| report[field].as_i64().expect("a time");
    let window_ns = length("to_ns") - length("from_ns");
    let rows = report["rows"].as_array().expect("a report has rows");
    let kernel = rows.iter().find(|row| row["name"] == "[kernel]");
    let (sum_ns, threads) = states(kernel.expect("kernel threads are there"));
    // Kernel threads come and go with a CPU: those of the end stand for all, more or less.
    let whole_ns = threads * window_ns;
    assert!(
        (whole_ns - sum_ns).abs() < whole_ns / 4,
        "{sum_ns} is far from {threads} threads for {window_ns}: {report:#}"
    );
}
