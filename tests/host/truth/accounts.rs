//! Known loads against the kernel's own account of them: `/proc/PID/schedstat`, `stat`, `status`,
//! and `getrusage`.

use serde_json::Value;

use super::{
    Slack, account::Account, assert_agrees, assert_no_garbage, lost_switches, staged::Staged,
    stolen_ns, trace,
};
use crate::{
    Need, Test,
    attribution::{count, row},
    host::{Host, TestCgroup},
    load,
};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a_busy_pair_is_counted_as_the_kernel_counts_it",
        needs: &[Need::WritableCgroups, Need::Schedstat],
        run: a_busy_pair_is_counted_as_the_kernel_counts_it,
    },
    Test {
        name: "a_ping_pong_pair_is_counted_as_the_kernel_counts_it",
        needs: &[Need::WritableCgroups, Need::Schedstat],
        run: a_ping_pong_pair_is_counted_as_the_kernel_counts_it,
    },
    Test {
        name: "a_thread_that_naps_is_counted_as_the_kernel_counts_it",
        needs: &[Need::WritableCgroups, Need::Schedstat],
        run: a_thread_that_naps_is_counted_as_the_kernel_counts_it,
    },
    Test {
        name: "the_last_run_of_a_process_that_exits_is_counted",
        needs: &[Need::WritableCgroups],
        run: the_last_run_of_a_process_that_exits_is_counted,
    },
];

/// Of what a load did between holding still and holding still again: Hostler's row and the
/// kernel's account.
struct Counted {
    row: Value,
    truth: Account,
    slack: Slack,
}

/// Traces a staged load and compares what must agree for each: all that the kernel counts one by
/// one, and the time on CPU. A switch takes `coldness` times as long as one from thread to thread.
fn assert_counted(host: &Host, words: &[&str], coldness: u64) -> Counted {
    let cgroup = host.cgroup("known");
    let mut load = Staged::start(&cgroup, words);
    let stolen_before = stolen_ns();
    let (reports, (truth, said)) = trace(&["runq"], || {
        let before = load.account();
        let said = load.work();
        (load.account().since(&before), said)
    });
    let report = &reports[0];
    let slack = Slack {
        switches: coldness * truth.arrivals,
        lost: lost_switches(report),
        stolen_ns: stolen_ns() - stolen_before,
        tail_ns: 0,
    };
    load.end();
    let row = row(report, &cgroup.name);
    for (field, truth) in [
        ("voluntary_switches", truth.voluntary),
        ("involuntary_switches", truth.involuntary),
        // Each wait ends with a thread that gets a CPU.
        ("waits", truth.arrivals),
    ] {
        let counted = count(&row, field);
        assert!(
            counted <= truth && counted + slack.lost >= truth,
            "{field}: {counted} and {} lost, not {truth}: {row:#}",
            slack.lost
        );
    }
    assert_agrees(count(&row, "on_cpu_ns"), truth.on_cpu_ns, slack);
    assert_coarse_accounts(&truth, &said);
    assert_no_garbage(report);
    Counted { row, truth, slack }
}

/// The kernel's coarser accounts of the same time tell that we read the fine one rightly.
fn assert_coarse_accounts(truth: &Account, said: &str) {
    /// Two sums of hundredths of a second, each rounded down, once before and once after.
    const TICKS_NS: u64 = 40_000_000;
    let by_stat_ns = truth.ticks * 10_000_000;
    assert!(
        by_stat_ns.abs_diff(truth.on_cpu_ns) <= TICKS_NS,
        "{truth:?}"
    );
    // The load asks getrusage itself, after it has come back from holding still and before it
    // holds still again: a little is missing, and what else a machine did in these moments.
    let edges_ns = super::scaled(20_000_000, 1_000_000_000);
    let by_rusage_ns = 1_000 * said.parse::<u64>().expect("µs");
    let missing_ns = truth.on_cpu_ns.checked_sub(by_rusage_ns);
    assert!(
        missing_ns.is_some_and(|ns| ns <= edges_ns + truth.on_cpu_ns / 100),
        "{by_rusage_ns} by getrusage: {truth:?}"
    );
}

fn a_busy_pair_is_counted_as_the_kernel_counts_it(host: &Host) {
    let counted = assert_counted(host, &["spinners", "2", "1500"], 1);
    let (wait_ns, truth) = (count(&counted.row, "wait_ns"), counted.truth);
    // Two threads on one CPU: each waits while the other runs.
    assert!(truth.waited_ns * 2 > truth.on_cpu_ns, "{truth:?}");
    assert_agrees(wait_ns, truth.waited_ns, counted.slack);
}

fn a_ping_pong_pair_is_counted_as_the_kernel_counts_it(host: &Host) {
    let counted = assert_counted(host, &["ping-pong", "5000"], 1);
    // Each byte costs a switch: its reader sleeps, or it is written by who takes the CPU away.
    assert!(counted.truth.arrivals >= 9_000, "{:?}", counted.truth);
}

fn a_thread_that_naps_is_counted_as_the_kernel_counts_it(host: &Host) {
    let counted = assert_counted(host, &["naps", "300"], super::FROM_IDLENESS);
    let woken = count(&counted.row, "waits_woken");
    // A nap that is over before the thread has left its CPU is none; most are.
    assert!(woken >= 250, "{:#}", counted.row);
}

fn the_last_run_of_a_process_that_exits_is_counted(host: &Host) {
    /// On a busy machine few processes get to their end in one run, at whatever priority.
    const ATTEMPTS: usize = 100;
    const ENOUGH: usize = 5;
    let (reports, runs) = trace(&["runq"], || {
        let mut runs = Vec::new();
        let mut undisturbed = 0;
        while undisturbed < ENOUGH && runs.len() < ATTEMPTS {
            let run = last_run(host);
            undisturbed += usize::from(run.switches == 0);
            runs.push(run);
        }
        runs
    });
    for run in &runs {
        // It ran on its way to its work, too, so no slack is needed.
        let row = row(&reports[0], &run.cgroup.name);
        let is_lost = count(&row, "on_cpu_ns") < run.ran_ns;
        assert!(!is_lost || lost_switches(&reports[0]) > 0, "{row:#}");
    }
    // Those whose whole work was one run, which ended with the process.
    let undisturbed = runs.iter().filter(|run| run.switches == 0);
    assert!(undisturbed.count() > 0, "of {} attempts", runs.len());
}

/// A process that has moved itself into a cgroup, worked and exited, by its own account.
struct LastRun {
    cgroup: TestCgroup,
    ran_ns: u64,
    switches: u64,
}

fn last_run(host: &Host) -> LastRun {
    let cgroup = host.cgroup("last-run");
    let own = std::env::current_exe().expect("this binary has a path");
    let own = own.to_str().expect("its path is text");
    let words = ["nice", "-n", "-20", own, load::WORD, "last-run", "2000"];
    let output = cgroup.start(&words).wait_with_output();
    let output = output.expect("the load ends");
    let printed = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<u64> = printed
        .split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect();
    LastRun {
        cgroup,
        ran_ns: 1_000 * numbers[0],
        switches: numbers[1],
    }
}
