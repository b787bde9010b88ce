//! CPU quotas: time during which an agent could run but may not.

use std::fs;

use super::{Slack, assert_agrees, lost_switches, staged::Staged, trace};
use crate::{
    Need, Test,
    attribution::{count, row},
    host::Host,
};

pub(super) const TESTS: &[Test] = &[Test {
    name: "a_quota_that_is_used_up_shows_as_throttled",
    needs: &[Need::WritableCgroups, Need::CpuController],
    run: a_quota_that_is_used_up_shows_as_throttled,
}];

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
