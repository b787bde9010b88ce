use expect_test::expect;

use super::*;
use crate::{
    load::{Load, RoundTrips},
    probes::{
        programs::ProgramRuns,
        record::{CostWindow, Skipped, SlowDownPair},
    },
};

fn program(name: &str, runs: u64, ns_per_run: u64) -> ProgramRuns {
    ProgramRuns {
        id: 1,
        name: name.to_owned(),
        runs,
        run_time_ns: runs * ns_per_run,
    }
}

fn window(round: u32, tool: Tool, ns_per_run: u64) -> CostWindow {
    let mut programs = vec![program("sched_switch", 400_000, ns_per_run)];
    if tool != Tool::Cpudist {
        programs.push(program("sched_wakeup", 400_000, ns_per_run - 40));
    }
    CostWindow {
        round,
        load: Load::PingPong,
        tool,
        seconds: 2.0,
        switches: 400_000,
        empty: program("empty", 400_000, 60),
        programs,
    }
}

fn record() -> Record {
    let mut record = Record::new(2, 2);
    "6.1.0".clone_into(&mut record.kernel);
    for (round, slower) in [(0, 0), (1, 30)] {
        for (tool, ns) in [
            (Tool::HostlerCpus, 200),
            (Tool::Runqlat, 500),
            (Tool::Cpudist, 400),
        ] {
            record.windows.push(window(round, tool, ns + slower));
            let added = u32::try_from(ns + slower).expect("it is small");
            let (alone, beside) = (trips(0), trips(added));
            record.round_trips.push(SlowDownPair {
                round,
                tool,
                alone,
                beside,
            });
        }
    }
    record.skip(Skipped::new(
        "bpftrace runqlat.bt",
        "bpftrace is not installed",
    ));
    record.conclude();
    record
}

fn trips(added_ns: u32) -> RoundTrips {
    let cpu_ns = f64::from(3_000 + added_ns);
    RoundTrips {
        count: 10,
        cpu_ns,
        wall_ns: 1.1 * cpu_ns,
    }
}

#[test]
fn the_report_has_a_table_a_load_one_of_slow_downs_and_the_verdict() {
    expect![[r#"
        Linux 6.1.0, 2 rounds of 2 s

        ping-pong on one CPU
          TOOL                    SWITCHES/S   RUNS/S  WAKE-UP  SWITCH  NET NS/SWITCH             RATIO
          hostler --group-by cpu     200,000  400,000      175     215  270 (240–300)  0.31 (0.29–0.33)
          runqlat                    200,000  400,000      475     515  870 (840–900)  1.00 (1.00–1.00)
          cpudist                    200,000  200,000        –     415  355 (340–370)  0.41 (0.40–0.41)
          empty program                                             60

        Medians over the rounds, least and greatest in brackets. WAKE-UP and SWITCH are ns a run as the
        kernel counts them, including its own clock reads, which the empty program stands for. NET is the
        time in all programs on scheduler hooks, less as many empty runs, by the machine's switches. RATIO
        is NET by runqlat's of the same round. Hostler always counts waits, stretches, switches, the ledger
        and bytes; `--group-by cpu` adds the view per CPU, `--by preemptor` who made whom wait.

        round trip on one CPU, statistics off: ns that each tool adds
          TOOL                                CPU TIME            WALL TIME
          (the round trip itself)  3,000 (3,000–3,000)  3,300 (3,300–3,300)
          hostler --group-by cpu         215 (200–230)        236 (220–253)
          runqlat                        515 (500–530)        566 (550–583)
          cpudist                        415 (400–430)        456 (440–473)
        A round's figure is the end of its fastest tenth of batches of 64 round trips, since what disturbs
        only adds, less that beside no tool just before. CPU time is judged: other threads of the machine
        don't add to it.

        skipped: bpftrace runqlat.bt: bpftrace is not installed
        cost: 0.31 x runqlat at worst (ping-pong on one CPU); the target of 0.4 is met, the aim of 0.3 is MISSED by 0.01
        slow-down: 215 ns a round trip, below every peer's (least: cpudist, 415 ns)
        1 skipped
    "#]].assert_eq(&text(&record()));
}

#[test]
fn without_a_reference_there_is_no_verdict() {
    let mut record = record();
    record.windows.retain(|window| window.tool != Tool::Runqlat);
    record.round_trips.clear();
    record.conclude();
    assert_eq!(record.verdict.target_met, None);
    assert_eq!(record.verdict.slow_down_least, None);
    assert!(text(&record).contains("cost: no verdict"));
}
