//! Kernel memory, as Hostler says and as the kernel says.

use std::{fs, path::Path};

use serde_json::Value;

use crate::{
    Need, Test,
    attribution::count,
    host::{Host, hostler, reports, start_hostler},
};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "kernel_memory_stays_within_96_mib",
        needs: &[],
        run: kernel_memory_stays_within_96_mib,
    },
    Test {
        name: "kernel_memory_stays_within_96_mib_at_the_largest_pid_max",
        needs: &[Need::Guest],
        run: kernel_memory_stays_within_96_mib_at_the_largest_pid_max,
    },
];

const BUDGET_BYTES: u64 = 96 << 20;

fn kernel_memory_stays_within_96_mib(_host: &Host) {
    let by_doctor = bytes_by_doctor();
    let by_kernel = bytes_by_kernel();
    assert!(by_doctor <= BUDGET_BYTES, "{by_doctor} bytes by doctor");
    assert!(by_kernel <= BUDGET_BYTES, "{by_kernel} bytes by the kernel");
    // Doctor counts the threads' records too, which the kernel does not count to the map.
    assert!(
        by_doctor >= by_kernel,
        "doctor says {by_doctor} bytes, the kernel {by_kernel}"
    );
}

fn kernel_memory_stays_within_96_mib_at_the_largest_pid_max(_host: &Host) {
    const PID_MAX: &str = "/proc/sys/kernel/pid_max";
    let usual = fs::read_to_string(PID_MAX).expect("it is always there");
    fs::write(PID_MAX, "4194304").expect("root may set it");
    let by_doctor = bytes_by_doctor();
    fs::write(PID_MAX, usual).expect("root may set it");
    assert!(by_doctor <= BUDGET_BYTES, "{by_doctor} bytes by doctor");
}

/// The sum over the maps, threads' records included, as `hostler doctor` states it.
fn bytes_by_doctor() -> u64 {
    let report = reports(&hostler(&["doctor", "--json"])).remove(0);
    let maps = report["maps"].as_array().expect("maps");
    let slots = maps.iter().find(|map| map["name"] == "LEASES");
    assert_eq!(count(slots.expect("it is listed"), "entries"), 8_192);
    let bytes = |map: &Value| count(map, "bytes");
    maps.iter().map(bytes).sum()
}

/// The sum over the maps that a running Hostler holds, as the kernel states it.
fn bytes_by_kernel() -> u64 {
    let mut tracer = start_hostler(&["trace", "ledger", "--json"]);
    let folder = Path::new("/proc")
        .join(tracer.pid().to_string())
        .join("fdinfo");
    let mut maps = std::collections::BTreeMap::new();
    for file in fs::read_dir(&folder).expect("the tracer is there") {
        let path = file.expect("it can be listed").path();
        // It may be closed by now.
        let text = fs::read_to_string(path).unwrap_or_default();
        let number = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.trim().parse::<u64>().ok())
        };
        // Several descriptors may be of one map.
        if let (Some(id), Some(bytes)) = (number("map_id:"), number("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    tracer.send(nix::sys::signal::Signal::SIGINT);
    tracer.wait();
    assert!(maps.len() >= 8, "it holds {} maps", maps.len());
    maps.values().sum()
}
