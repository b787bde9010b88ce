use super::*;
use crate::load::RoundTrips;

fn program(name: &str, runs: u64, run_time_ns: u64) -> ProgramRuns {
    ProgramRuns {
        id: 1,
        name: name.to_owned(),
        runs,
        run_time_ns,
    }
}

/// 100 switches and 50 wake-ups; an empty run takes 60 ns.
fn window(round: u32, tool: Tool, wakeup_ns: u64, switch_ns: u64) -> CostWindow {
    CostWindow {
        round,
        load: Load::PingPong,
        tool,
        seconds: 2.0,
        switches: 100,
        empty: program("empty", 100, 6_000),
        programs: vec![
            program("sched_wakeup", 40, 40 * wakeup_ns),
            program("sched_wakeup_ne", 10, 10 * wakeup_ns),
            program("sched_switch", 100, 100 * switch_ns),
        ],
    }
}

fn pair(round: u32, alone_ns: f64, beside_ns: f64) -> SlowDownPair {
    let trips = |ns: f64| RoundTrips {
        count: 10,
        cpu_ns: ns,
        wall_ns: 2.0 * ns,
    };
    SlowDownPair {
        round,
        tool: Tool::HostlerPairs,
        alone: trips(alone_ns),
        beside: trips(beside_ns),
    }
}

fn close(left: f64, right: f64) -> bool {
    (left - right).abs() < 1e-9
}

#[test]
fn an_empty_run_is_subtracted_from_every_run_before_dividing_by_the_switches() {
    // 50 wake-ups of 160 − 60 ns and 100 switches of 210 − 60 ns.
    let net = window(0, Tool::HostlerPairs, 160, 210).net_ns_per_switch();
    assert!(close(net, (50.0 * 100.0 + 100.0 * 150.0) / 100.0), "{net}");
}

#[test]
fn a_program_that_does_nothing_costs_nothing() {
    let net = window(0, Tool::HostlerPairs, 60, 60).net_ns_per_switch();
    assert!(close(net, 0.0), "{net}");
}

#[test]
fn both_wake_up_hooks_are_one_figure() {
    let mut window = window(0, Tool::HostlerPairs, 100, 200);
    window.programs[1].run_time_ns = 10 * 200;
    let figure = window.ns_per_run("wakeup").expect("there are two");
    assert!(close(figure, (40.0 * 100.0 + 10.0 * 200.0) / 50.0));
    assert_eq!(window.ns_per_run("fault"), None);
}

#[test]
fn the_ratio_is_the_median_of_the_ratios_within_each_round() {
    // The machine is twice as slow in the second round, for both.
    let windows = [
        window(0, Tool::HostlerPairs, 110, 110),
        window(0, Tool::Runqlat, 160, 160),
        window(1, Tool::HostlerPairs, 160, 160),
        window(1, Tool::Runqlat, 260, 260),
        window(2, Tool::HostlerPairs, 100, 100),
    ];
    let summary = load_summary(Load::PingPong, &windows).expect("it was measured");
    let [hostler, runqlat] = &summary.tools[..] else {
        panic!("two tools were measured: {summary:?}");
    };
    let ratio = hostler.ratio.expect("there is a reference");
    assert!(close(ratio.median, 0.5) && close(ratio.least, 0.5));
    assert!(close(runqlat.ratio.expect("its own").median, 1.0));
    assert!(close(hostler.switches_per_s, 50.0));
    assert!(close(hostler.runs_per_s, 75.0));
    assert!(close(summary.empty_ns_per_run.median, 60.0));
}

#[test]
fn without_a_reference_there_is_no_ratio_and_without_windows_no_summary() {
    let windows = [window(0, Tool::HostlerPairs, 110, 110)];
    let summary = load_summary(Load::PingPong, &windows).expect("it was measured");
    assert!(summary.tools[0].ratio.is_none());
    assert!(load_summary(Load::Storm, &windows).is_none());
}

#[test]
fn a_slow_down_is_the_difference_to_the_round_trip_just_before() {
    let pairs = [pair(0, 3_000.0, 3_800.0), pair(1, 6_000.0, 6_900.0)];
    let [alone, hostler] = &slow_downs(&pairs)[..] else {
        panic!("none and one tool");
    };
    assert!(alone.tool.is_none() && close(alone.cpu_ns.median, 4_500.0));
    assert!(close(hostler.cpu_ns.least, 800.0) && close(hostler.cpu_ns.greatest, 900.0));
    assert!(close(hostler.wall_ns.median, 1_700.0));
}
