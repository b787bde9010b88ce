//! What the daemon may do, by the kernel's own account of each of its threads.

use std::{collections::BTreeMap, fs};

use super::Daemon;
use crate::{Test, host::Host};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "threads_that_serve_may_do_nothing_and_the_loop_what_it_needs_also_to_load_anew",
    needs: &[],
    run: threads_that_serve_may_do_nothing_and_the_loop_what_it_needs_also_to_load_anew,
}];

/// What reading a host needs, by the numbers of <linux/capability.h>: `CAP_DAC_READ_SEARCH`,
/// `CAP_SYS_PTRACE`, `CAP_SYS_ADMIN`, `CAP_SYS_RESOURCE` and `CAP_BPF`.
const MEASURING: u64 = 1 << 2 | 1 << 19 | 1 << 21 | 1 << 24 | 1 << 39;

/// And what loading and listening need beside that: `CAP_CHOWN`, `CAP_NET_BIND_SERVICE`,
/// `CAP_NET_ADMIN`, `CAP_PERFMON`.
const LOADING: u64 = 1 | 1 << 10 | 1 << 12 | 1 << 38;

/// What changing a host needs: `CAP_DAC_READ_SEARCH`, `CAP_SYS_PTRACE`, `CAP_SYS_NICE`.
const ACTING: u64 = 1 << 2 | 1 << 19 | 1 << 23;

/// Sets of one thread.
struct Sets {
    effective: u64,
    permitted: u64,
    bounding: u64,
    inherited: u64,
}

/// Of each thread, by name; of several of one name, all that any has.
fn sets(pid: u32) -> BTreeMap<String, Sets> {
    let mut all: BTreeMap<String, Sets> = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).expect("it is there") {
        let path = task.expect("it is there").path();
        let status = fs::read_to_string(path.join("status")).expect("it can be read");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.expect("it is told").trim().to_owned()
        };
        let set = |name: &str| u64::from_str_radix(&field(name), 16).expect("a set");
        let sets = all.entry(field("Name:")).or_insert(Sets {
            effective: 0,
            permitted: 0,
            bounding: 0,
            inherited: 0,
        });
        sets.effective |= set("CapEff:");
        sets.permitted |= set("CapPrm:");
        sets.bounding |= set("CapBnd:");
        sets.inherited |= set("CapInh:") | set("CapAmb:");
    }
    all
}

fn threads_that_serve_may_do_nothing_and_the_loop_what_it_needs_also_to_load_anew(_host: &Host) {
    let mut daemon = Daemon::start("");
    let pid = daemon.running.pid();
    let check = || {
        let all = sets(pid);
        for name in [
            "hostler-front",
            "hostler-history",
            "hostler-alerts",
            "alarms",
        ] {
            let of = &all[name];
            assert_eq!((of.effective, of.permitted), (0, 0), "{name}");
        }
        let of_loop = &all["hostler"];
        let surplus = of_loop.effective & !MEASURING;
        assert_eq!(surplus, 0, "{:x} is raised", of_loop.effective);
        let surplus = (of_loop.permitted | of_loop.bounding) & !(MEASURING | LOADING);
        assert_eq!(surplus, 0, "{:x} is held", of_loop.permitted);
        assert_eq!(of_loop.inherited, 0);
        let of_acting = &all["hostler-act"];
        let surplus = (of_acting.effective | of_acting.permitted) & !ACTING;
        assert_eq!(surplus, 0, "{:x} is held", of_acting.permitted);
    };
    check();
    // What was given up must not be missing when programs are loaded again.
    let text = daemon.configuration(daemon.address, "[signals]\nwakes = true");
    daemon.reload(&text);
    let begun = daemon.ticks();
    daemon.wait_for("hostler_ticks_total ", |ticks| ticks >= begun + 3.0);
    check();
    let log = daemon.running.beginning().to_owned();
    let rest = daemon.end();
    assert!(log.contains("all other capabilities are given up"), "{log}");
    assert!(rest.contains("signals.wakes"), "{rest}");
    assert!(!rest.contains("capabilities stay"), "{rest}");
}
