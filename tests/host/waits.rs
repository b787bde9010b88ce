//! Single long waits: who, for whom, and never more than a CPU may tell of.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    Need, Test,
    attribution::count,
    host::{Host, reports, start_hostler},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "each_long_wait_is_told_with_who_took_the_cpu_and_agrees_with_the_sums",
        needs: &[Need::WritableCgroups],
        run: each_long_wait_is_told_with_who_took_the_cpu_and_agrees_with_the_sums,
    },
    Test {
        name: "a_flood_of_waits_is_held_back_and_counted_and_the_sums_hold_them_all",
        needs: &[Need::WritableCgroups],
        run: a_flood_of_waits_is_held_back_and_counted_and_the_sums_hold_them_all,
    },
    Test {
        name: "a_wait_for_a_cpu_that_interrupts_have_is_laid_to_them",
        needs: &[Need::WritableCgroups],
        run: a_wait_for_a_cpu_that_interrupts_have_is_laid_to_them,
    },
];

/// Traces with events until the loads are over: the single waits, and the only report of sums.
fn trace(words: &[&str], loads: impl FnOnce()) -> (Vec<Value>, Value) {
    let always = ["trace", "runq", "--json", "--by", "preemptor", "--events"];
    let mut tracer = start_hostler(&[&always, words].concat());
    loads();
    tracer.send(Signal::SIGINT);
    let (waits, mut sums): (Vec<Value>, Vec<Value>) = reports(&tracer.wait())
        .into_iter()
        .partition(|line| line["report"] == "wait");
    assert_eq!(sums.len(), 1, "one report at the end");
    (waits, sums.remove(0))
}

/// What was not told of must have been counted. Sums, events and counts of what was held back are not
/// read at one instant, neither at the beginning nor at the end.
fn assert_complete(waits: &[Value], sums: &Value) {
    let pairs = sums["pairs"].as_array().expect("a report has pairs");
    let all: u64 = pairs.iter().map(|pair| count(pair, "waits")).sum();
    let losses = &sums["losses"];
    let untold = count(losses, "waits_held_back") + count(losses, "waits_not_sent");
    let told = waits.len() as u64;
    let slack = 20 + all / 100;
    assert!(
        (told + untold).abs_diff(all) <= slack,
        "{told} and {untold} of {all}"
    );
}

fn each_long_wait_is_told_with_who_took_the_cpu_and_agrees_with_the_sums(host: &Host) {
    let (waiter, rival) = (host.cgroup("waiter"), host.cgroup("rival"));
    let (waits, sums) = trace(&[], || {
        let loads = [&waiter, &rival].map(|cgroup| cgroup.start_load(&["spin", "1", "4000"]));
        for mut load in loads {
            load.wait().expect("the load ends");
        }
    });
    assert_complete(&waits, &sums);
    let between: Vec<&Value> = waits
        .iter()
        .filter(|wait| wait["waiter"] == *waiter.name && wait["cause"] == *rival.name)
        .collect();
    assert!(!between.is_empty(), "the rival is in none of {waits:#?}");
    // Both run this binary, whose name the kernel cuts to 15 bytes, and are a shell at first.
    let own = std::env::current_exe().expect("it has a path");
    let own = own.file_name().and_then(|name| name.to_str());
    let own = own.expect("it has a name");
    let own = &own[..own.len().min(15)];
    for wait in &between {
        assert_eq!(wait["cause_class"], "another_agent", "{wait:#}");
        assert!(count(wait, "wait_ns") >= 1_000_000, "{wait:#}");
        assert!(count(wait, "waiter_tid") > 0 && count(wait, "cause_tid") > 0);
        for thread in ["waiter_thread", "cause_thread"] {
            assert!(wait[thread] == own || wait[thread] == "sh", "{wait:#}");
        }
    }
    let are_loads = |wait: &Value| wait["waiter_thread"] == own && wait["cause_thread"] == own;
    assert!(between.iter().any(|wait| are_loads(wait)), "{between:#?}");
}

fn a_flood_of_waits_is_held_back_and_counted_and_the_sums_hold_them_all(host: &Host) {
    const WAITS_A_PERIOD: usize = 20;
    const PERIOD_NS: u64 = 100_000_000;
    let cgroup = host.cgroup("flood");
    let (waits, sums) = trace(&["--long", "1us"], || {
        let mut load = cgroup.start_load(&["ping-pong", "3000"]);
        load.wait().expect("the load ends");
    });
    assert_complete(&waits, &sums);
    assert!(count(&sums["losses"], "waits_held_back") > 0, "{sums:#}");
    let mut told = BTreeMap::<u64, Vec<u64>>::new();
    for wait in &waits {
        told.entry(count(wait, "cpu"))
            .or_default()
            .push(count(wait, "at_ns"));
    }
    for (cpu, mut at_ns) in told {
        at_ns.sort_unstable();
        // Periods are those of the programs' own clock: of any length of time, one more may have
        // begun in it than fit.
        for (first, &from_ns) in at_ns.iter().enumerate() {
            for (last, &to_ns) in at_ns.iter().enumerate().skip(first) {
                let periods = usize::try_from((to_ns - from_ns) / PERIOD_NS).expect("a few") + 2;
                let told = last - first + 1;
                assert!(
                    told <= periods * WAITS_A_PERIOD,
                    "{told} of CPU {cpu} in {periods} periods"
                );
            }
        }
    }
}

/// Who naps on a CPU that takes datagrams in is woken in the middle of that, now and then.
fn a_wait_for_a_cpu_that_interrupts_have_is_laid_to_them(host: &Host) {
    let (napper, flooder) = (host.cgroup("napper"), host.cgroup("flooder"));
    let own = std::env::current_exe().expect("this binary has a path");
    let own = own.to_str().expect("its path is text");
    let naps = [
        "taskset",
        "-c",
        "0",
        own,
        crate::load::WORD,
        "sleep",
        "2000",
    ];
    let (_, sums) = trace(&["--long", "1us"], || {
        let mut flood = flooder.start_load(&["flood", "4000"]);
        let mut nap = napper.start(&naps);
        flood.wait().expect("the flood ends");
        // It may nap for long on a slow machine.
        let _gone = nap.kill();
        nap.wait().expect("it ends");
    });
    let pairs = sums["pairs"].as_array().expect("a report has pairs");
    let laid = |cause: &str| -> u64 {
        let mine = pairs
            .iter()
            .filter(|pair| pair["waiter"] == napper.name.as_str());
        mine.filter(|pair| pair["cause"] == cause)
            .map(|pair| count(pair, "waits"))
            .sum()
    };
    assert!(laid("[interrupts]") > 0, "{sums:#}");
}
