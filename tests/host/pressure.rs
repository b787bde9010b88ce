//! Pressure and memory are what the cgroup's own files tell.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::Child,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    Need, Test,
    attribution::count,
    host::{Host, PATIENCE, TestCgroup, hostler, reports, start_hostler},
    sockets::report_after_interrupt,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "time_lost_for_want_of_a_cpu_is_what_the_cgroup_s_own_file_tells",
        needs: &[Need::WritableCgroups, Need::Pressure],
        run: time_lost_for_want_of_a_cpu_is_what_the_cgroup_s_own_file_tells,
    },
    Test {
        name: "an_alarm_tells_of_a_host_that_is_short_of_cpus",
        needs: &[Need::WritableCgroups, Need::Pressure],
        run: an_alarm_tells_of_a_host_that_is_short_of_cpus,
    },
    Test {
        name: "memory_is_what_the_cgroup_s_own_files_tell",
        needs: &[Need::WritableCgroups, Need::MemoryLimits],
        run: memory_is_what_the_cgroup_s_own_files_tell,
    },
    Test {
        name: "the_host_s_memory_and_pools_are_shown",
        needs: &[],
        run: the_host_s_memory_and_pools_are_shown,
    },
];

/// Threads that compete for a CPU, pinned to the first one, until [`end`]: how long Hostler takes to
/// start is not known, and in a guest that may be seconds.
fn compete(cgroup: &TestCgroup) -> Vec<Child> {
    let own = std::env::current_exe().expect("this binary has a path");
    let own = own.to_str().expect("its path is text");
    let time_ms = PATIENCE.as_millis().to_string();
    let words = [
        "taskset",
        "-c",
        "0",
        own,
        crate::load::WORD,
        "spin",
        "1",
        &time_ms,
    ];
    (0..3).map(|_| cgroup.start(&words)).collect()
}

fn end(children: Vec<Child>) {
    for mut child in children {
        let early = child.try_wait().expect("its state can be read");
        assert!(
            early.is_none(),
            "it ended while it was to compete: {early:?}"
        );
        child.kill().expect("it runs");
        child.wait().expect("it ends");
    }
}

/// Time lost for want of a CPU, in µs, as a file has it.
fn some_us(path: &Path) -> u64 {
    let text = fs::read_to_string(path).expect("the file is there");
    text.lines()
        .find_map(|line| {
            line.strip_prefix("some ")?
                .rsplit_once("total=")?
                .1
                .parse()
                .ok()
        })
        .unwrap_or_else(|| panic!("no total in {text}"))
}

fn row(report: &Value, name: &str) -> Value {
    let rows = report["rows"].as_array().expect("a report has rows");
    let found = rows.iter().find(|row| row["agent"] == name);
    found
        .unwrap_or_else(|| panic!("{name} is not in {report:#}"))
        .clone()
}

fn time_lost_for_want_of_a_cpu_is_what_the_cgroup_s_own_file_tells(host: &Host) {
    let cgroup = host.cgroup("short-of-cpus");
    let file = cgroup.path().join("cpu.pressure");
    let competing = compete(&cgroup);
    let outer = some_us(&file);
    let tracer = start_hostler(&["trace", "pressure", "--json"]);
    let inner = some_us(&file);
    thread::sleep(Duration::from_secs(2));
    let least = some_us(&file) - inner;
    let report = report_after_interrupt(tracer);
    let most = some_us(&file) - outer;
    let row = row(&report, &cgroup.name);
    let counted = count(&row["pressure"], "cpu_some_us");
    // Its own readings lie between ours, the last one up to a tick before the end.
    assert!(
        counted <= most && counted * 4 >= least,
        "{counted} is not between a quarter of {least} and {most}: {row:#}"
    );
    assert!(counted > 100_000, "three on one CPU lose more: {row:#}");
    end(competing);
}

fn an_alarm_tells_of_a_host_that_is_short_of_cpus(host: &Host) {
    let cgroup = host.cgroup("short-of-cpus");
    let competing = compete(&cgroup);
    let output = hostler(&["trace", "pressure", "--json", "--duration", "6s"]);
    let report = reports(&output).remove(0);
    let alarms = report["host"]["alarms"].as_array().expect("a list");
    let told = alarms.iter().find(|alarm| alarm["of"] == "host cpu");
    let told = told.unwrap_or_else(|| panic!("no such alarm is set: {report:#}"));
    assert!(count(told, "times") >= 1, "{report:#}");
    end(competing);
}

fn memory_is_what_the_cgroup_s_own_files_tell(host: &Host) {
    let cgroup = host.cgroup("memory");
    let mut load = cgroup.start_load(&["faults"]);
    let mut output = BufReader::new(load.stdout.take().expect("it is a pipe"));
    let mut line = String::new();
    output.read_line(&mut line).expect("it says something");
    let input = load.stdin.as_mut().expect("it is a pipe");
    input.write_all(b"go\n").expect("it reads");
    output.read_line(&mut line).expect("it says something");
    // It sleeps from here on.
    let tracer = start_hostler(&["trace", "pressure", "--json", "--agent", &cgroup.name]);
    thread::sleep(Duration::from_secs(2));
    let report = report_after_interrupt(tracer);
    let row = row(&report, &cgroup.name);
    let statistics = cgroup.read("memory.stat");
    let anon = statistics
        .lines()
        .find_map(|line| line.strip_prefix("anon ")?.parse::<u64>().ok());
    assert_eq!(Some(count(&row, "anon_bytes")), anon);
    assert!(count(&row, "anon_bytes") > 4 << 20, "{row:#}");
    assert!(count(&row, "memory_bytes") >= count(&row, "anon_bytes"));
    let input = load.stdin.as_mut().expect("it is a pipe");
    input.write_all(b"go\n").expect("it reads");
    assert!(load.wait().expect("it ends").success());
}

fn the_host_s_memory_and_pools_are_shown(_host: &Host) {
    let output = hostler(&["trace", "pressure", "--json", "--duration", "100ms"]);
    let report = reports(&output).remove(0);
    let meminfo = fs::read_to_string("/proc/meminfo").expect("there is memory");
    let total_kib = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let total = count(&report["host"], "memory_total_bytes");
    assert_eq!(Some(total / 1_024), total_kib);
    let available = count(&report["host"], "memory_available_bytes");
    assert!((1..total).contains(&available));
}
