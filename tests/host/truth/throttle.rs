//! CPU quotas: time during which an agent could run but may not.

use std::fs;

use super::{Slack, assert_agrees, lost_switches, staged::Staged, trace};
use crate::{
    Need, Test,
    attribution::{count, row},
    host::Host,
};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a_quota_that_is_used_up_shows_as_throttled",
        needs: &[Need::WritableCgroups, Need::CpuController],
        run: a_quota_that_is_used_up_shows_as_throttled,
    },
    Test {
        name: "a_quota_holds_back_those_too_that_waited_for_their_turn",
        needs: &[Need::WritableCgroups, Need::CpuController],
        run: a_quota_holds_back_those_too_that_waited_for_their_turn,
    },
];

/// `cpu.stat` counts a cgroup's throttled time once for each CPU, the ledger once for each thread
/// that would run there: with one such thread they are the same.
fn a_quota_that_is_used_up_shows_as_throttled(host: &Host) {
    let cgroup = host.cgroup("quota");
    let mut load = Staged::start(&cgroup, &["spinners", "1", "4000"]);
    fs::write(cgroup.path().join("cpu.max"), "20000 100000").expect("a quota can be set");
    let keys = ["throttled_usec", "usage_usec", "nr_periods"];
    let stat = || keys.map(|key| cgroup.cpu_stat(key));
    let (reports, [throttled_us, usage_us, periods]) = trace(&["ledger"], || {
        let before = stat();
        load.work();
        let after = stat();
        [0, 1, 2].map(|key| after[key] - before[key])
    });
    load.end();
    let row = row(&reports[0], &cgroup.name);
    let (held_back_ns, ran_ns) = (count(&row, "throttled_ns"), count(&row, "on_cpu_ns"));
    // A fifth of the time on CPU; a quota is given out in slices, so not to the ns.
    let wanted_ns = held_back_ns + ran_ns;
    assert!(
        (70..=90).contains(&(100 * held_back_ns / wanted_ns)),
        "{row:#}"
    );
    // A period has two switches, and the ledger calls a thread throttled until it runs again, a
    // little longer than its cgroup is.
    let slack = Slack {
        switches: 2 * periods,
        lost: lost_switches(&reports[0]),
        ..Slack::default()
    };
    assert_agrees(ran_ns, 1_000 * usage_us, slack);
    assert_agrees(held_back_ns, 1_000 * throttled_us, slack);
}

/// On one CPU, the thread that runs when the quota is used up, and one that waits for its turn,
/// are both held back from then on.
fn a_quota_holds_back_those_too_that_waited_for_their_turn(host: &Host) {
    let cgroup = host.cgroup("quota-of-two");
    let mut load = Staged::start(&cgroup, &["spinners", "2", "4000"]);
    fs::write(cgroup.path().join("cpu.max"), "20000 100000").expect("a quota can be set");
    let throttled_us = || cgroup.cpu_stat("throttled_usec");
    let (reports, truth_us) = trace(&["ledger"], || {
        let before = throttled_us();
        load.work();
        throttled_us() - before
    });
    load.end();
    let row = row(&reports[0], &cgroup.name);
    assert!(
        2 * count(&row, "throttled_ns") >= 3 * 1_000 * truth_us,
        "{truth_us} us by cpu.stat: {row:#}"
    );
}
