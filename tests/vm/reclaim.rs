//! Memory that is taken away and fetched again, and that follows who uses it to another node, on
//! machines whose swap and balancing may be changed.

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Test,
    guest::{Balancing, Guest, Running},
    holder::{Holder, number_in},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "pages_swapped_out_and_fetched_again_are_those_of_the_cgroup_s_own_file",
        pages_swapped_out_and_fetched_again_are_those_of_the_cgroup_s_own_file,
    ),
    (
        "pages_that_follow_a_thread_to_another_node_are_those_that_the_kernel_counts",
        pages_that_follow_a_thread_to_another_node_are_those_that_the_kernel_counts,
    ),
];

/// Pages that a process holds: 16 MiB.
const PAGES: usize = 4096;

/// How long the kernel may take to find out where memory is used.
const PATIENCE: Duration = Duration::from_mins(1);

/// Swap in compressed memory, gone when this is dropped.
struct Zram;

impl Zram {
    fn take() -> Self {
        run("modprobe", &["zram"]);
        fs::write("/sys/block/zram0/disksize", "128M").expect("it has no size yet");
        run("mkswap", &["/dev/zram0"]);
        run("swapon", &["/dev/zram0"]);
        Self
    }
}

impl Drop for Zram {
    fn drop(&mut self) {
        run("swapoff", &["/dev/zram0"]);
        fs::write("/sys/block/zram0/reset", "1").expect("nobody uses it");
    }
}

fn run(command: &str, words: &[&str]) {
    let output = Command::new(command).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{command}: {error}"));
    assert!(output.status.success(), "{command} {words:?}: {output:?}");
}

/// Hostler, which measures the pressure of an agent.
fn trace_pressure(agent: &str) -> Running {
    Running::start(&["trace", "pressure", "--json", "--agent", agent])
}

/// What it has measured by now.
fn report_of(tracer: Running) -> Value {
    // The last reading of the agent must be younger than what happened.
    thread::sleep(Duration::from_secs(1));
    tracer.interrupt();
    tracer.report()
}

/// Tells a [`Holder`] to run on a node.
fn run_on(guest: &Guest, node: usize) -> String {
    format!("run-on {}", guest.nodes[node][0])
}

fn row<'a>(report: &'a Value, agent: &str) -> &'a Value {
    let rows = report["rows"].as_array().expect("a report has rows");
    let found = rows.iter().find(|row| row["agent"] == agent);
    found.unwrap_or_else(|| panic!("{agent} is not in {report:#}"))
}

fn vmstat(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/vmstat").expect("it is there");
    number_in(&text, name)
}

fn pages_swapped_out_and_fetched_again_are_those_of_the_cgroup_s_own_file(guest: &Guest) {
    let _zram = Zram::take();
    let mut holder = Holder::start("swap", PAGES);
    // To the kernel, a page that comes back on another node has not been there before.
    holder.tell(&run_on(guest, 0));
    holder.tell("touch");
    let refaulted = |holder: &Holder| holder.number("memory.stat", "workingset_refault_anon");
    let swapped_in = |holder: &Holder| {
        holder.number("memory.stat", "pswpin") + holder.number("memory.stat", "zswpin")
    };
    let before = (refaulted(&holder), swapped_in(&holder), vmstat("pswpin"));
    let tracer = trace_pressure(&holder.name);
    // The kernel may find less than is asked for: what it found is checked below.
    let _less = fs::write(holder.cgroup.join("memory.reclaim"), "12M");
    let swapped = fs::read_to_string(holder.cgroup.join("memory.swap.current"));
    let swapped: usize = swapped.expect("it is there").trim().parse().expect("bytes");
    assert!(swapped > PAGES / 4 * 4096, "only {swapped} bytes went out");
    holder.tell("touch");
    let report = report_of(tracer);
    let row = row(&report, &holder.name);
    let reclaim = &row["reclaim"];
    let refaulted = refaulted(&holder) - before.0;
    assert!(refaulted > 0, "none of {swapped} bytes came back");
    assert_eq!(reclaim["refaulted_anon"], refaulted, "{report:#}");
    assert_eq!(
        reclaim["swapped_in"],
        swapped_in(&holder) - before.1,
        "{report:#}"
    );
    let of_host = report["host"]["reclaim"]["swapped_in"]
        .as_u64()
        .expect("a number");
    assert!(
        (refaulted..=vmstat("pswpin") - before.2).contains(&of_host),
        "{report:#}"
    );
    let zram = &report["host"]["zram"][0];
    assert!(zram["stored_bytes"].as_u64() > Some(0), "{report:#}");
}

fn pages_that_follow_a_thread_to_another_node_are_those_that_the_kernel_counts(guest: &Guest) {
    let _balancing = Balancing::set(true);
    let counts = || [vmstat("numa_hint_faults"), vmstat("numa_pages_migrated")];
    let mut holder = Holder::start("nodes", PAGES);
    holder.tell(&run_on(guest, 0));
    holder.tell("touch");
    let outer = counts();
    let tracer = trace_pressure(&holder.name);
    let inner = counts();
    holder.tell(&run_on(guest, guest.nodes.len() - 1));
    let give_up = Instant::now() + PATIENCE;
    while counts()[1] < inner[1] + 64 && Instant::now() < give_up {
        holder.tell("touch");
    }
    // Whatever is under way comes to an end.
    thread::sleep(Duration::from_millis(200));
    let least = counts();
    let report = report_of(tracer);
    let most = counts();
    for (at, field) in ["numa_hint_faults", "numa_migrated"]
        .into_iter()
        .enumerate()
    {
        let counted = report["host"]["reclaim"][field].as_u64().expect("a number");
        let range = least[at] - inner[at]..=most[at] - outer[at];
        // One hint may move a huge page.
        assert!(*range.start() >= 1, "{field}: none in a minute");
        assert!(
            range.contains(&counted),
            "{field}: {counted} is not in {range:?}"
        );
    }
}
