//! Processes that the kernel ends because memory ran out are counted for their agent, as the
//! kernel counts them for the cgroup.

use crate::{
    Need, Test,
    attribution::{count, row_after_interrupt},
    host::{Host, start_hostler},
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "processes_ended_for_want_of_memory_are_counted_as_the_cgroup_counts_them",
    needs: &[Need::WritableCgroups, Need::MemoryLimits],
    run: processes_ended_for_want_of_memory_are_counted_as_the_cgroup_counts_them,
}];

const LIMIT_BYTES: usize = 32 << 20;

/// Takes more memory than the test's cgroup may have, with some threads beside the one that does.
pub(crate) fn load() {
    for _ in 0..3 {
        std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_mins(1)));
    }
    let room = vec![1_u8; 4 * LIMIT_BYTES];
    // It is not to be found out that nobody reads it.
    std::hint::black_box(&room);
}

fn processes_ended_for_want_of_memory_are_counted_as_the_cgroup_counts_them(host: &Host) {
    const PROCESSES: u64 = 3;
    let cgroup = host.cgroup("oom");
    cgroup.write("memory.max", &LIMIT_BYTES.to_string());
    let tracer = start_hostler(&["trace", "ledger", "--json"]);
    for _ in 0..PROCESSES {
        let status = cgroup.start_load(&["hog"]).wait().expect("the load ends");
        assert!(!status.success(), "it was not ended: {status}");
    }
    let events = cgroup.read("memory.events");
    let truth: u64 = events
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "))
        .and_then(|number| number.parse().ok())
        .expect("the kernel counts");
    assert_eq!(truth, PROCESSES, "{events}");
    let row = row_after_interrupt(tracer, &cgroup.name);
    assert_eq!(count(&row, "oom_kills"), truth, "{row:#}");
}
