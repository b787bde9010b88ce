//! However Hostler ends, it says what it has gathered and leaves nothing behind.

use std::{collections::BTreeSet, thread, time::Duration};

use aya::programs::loaded_programs;
use nix::sys::signal::Signal;

use crate::{
    Test,
    host::{Host, PATIENCE, hostler, reports, start_hostler},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "an_interrupt_and_a_termination_print_what_was_gathered",
        needs: &[],
        run: an_interrupt_and_a_termination_print_what_was_gathered,
    },
    Test {
        name: "a_signal_long_before_the_first_interval_is_over_prints_what_was_gathered",
        needs: &[],
        run: a_signal_long_before_the_first_interval_is_over_prints_what_was_gathered,
    },
    Test {
        name: "a_second_signal_ends_a_trace_whose_reader_stalls",
        needs: &[],
        run: a_second_signal_ends_a_trace_whose_reader_stalls,
    },
    Test {
        name: "nothing_stays_loaded_after_an_end_however_it_came",
        needs: &[],
        run: nothing_stays_loaded_after_an_end_however_it_came,
    },
    Test {
        name: "two_hostlers_side_by_side_both_measure",
        needs: &[],
        run: two_hostlers_side_by_side_both_measure,
    },
    Test {
        name: "a_reader_that_goes_away_ends_the_trace_quietly",
        needs: &[],
        run: a_reader_that_goes_away_ends_the_trace_quietly,
    },
    Test {
        name: "the_live_view_is_plain_text_when_its_output_is_no_terminal",
        needs: &[],
        run: the_live_view_is_plain_text_when_its_output_is_no_terminal,
    },
    Test {
        name: "doctor_names_sources_memory_and_cost",
        needs: &[],
        run: doctor_names_sources_memory_and_cost,
    },
];

fn an_interrupt_and_a_termination_print_what_was_gathered(_host: &Host) {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut tracer = start_hostler(&["trace", "runq", "--json"]);
        thread::sleep(Duration::from_millis(300));
        tracer.send(signal);
        let reports = reports(&tracer.wait());
        let rows = reports[0]["rows"].as_array().expect("a report has rows");
        assert!(!rows.is_empty(), "{signal}: something ran meanwhile");
    }
}

fn a_signal_long_before_the_first_interval_is_over_prints_what_was_gathered(_host: &Host) {
    let mut tracer = start_hostler(&["trace", "runq", "--json", "--interval", "10m"]);
    thread::sleep(Duration::from_millis(300));
    tracer.send(Signal::SIGTERM);
    assert_eq!(reports(&tracer.wait()).len(), 1);
}

fn a_second_signal_ends_a_trace_whose_reader_stalls(_host: &Host) {
    // Nobody reads: a pipe holds 64 KiB, which reports each 10 ms fill in some seconds.
    let mut tracer = start_hostler(&["trace", "runq", "--json", "--interval", "10ms"]);
    tracer.wait_until_it_stalls();
    tracer.send(Signal::SIGTERM);
    thread::sleep(Duration::from_millis(200));
    tracer.send(Signal::SIGTERM);
    tracer.wait_without_reading();
}

fn nothing_stays_loaded_after_an_end_however_it_came(_host: &Host) {
    let before = our_programs();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let mut tracer = start_hostler(&["trace", "runq"]);
        assert!(
            our_programs().len() > before.len(),
            "its programs are seen while it runs"
        );
        tracer.send(signal);
        tracer.wait();
        wait_until_unloaded(&before, signal);
    }
}

/// The kernel frees programs a moment after the last descriptor is closed.
fn wait_until_unloaded(before: &BTreeSet<u32>, signal: Signal) {
    let give_up = std::time::Instant::now() + PATIENCE;
    while !our_programs().is_subset(before) {
        assert!(
            std::time::Instant::now() < give_up,
            "programs stay loaded after {signal}"
        );
        thread::sleep(Duration::from_millis(50));
    }
}

/// Ids of the loaded programs that bear names of Hostler's.
fn our_programs() -> BTreeSet<u32> {
    // The kernel keeps 15 bytes of a name.
    let names = [
        "sched_switch",
        "sched_wakeup",
        "task_newtask",
        "cgroup_mkdir",
        "visit_threads",
    ];
    loaded_programs()
        .filter_map(Result::ok)
        .filter(|program| {
            program
                .name_as_str()
                .is_some_and(|name| names.contains(&name))
        })
        .map(|program| program.id())
        .collect()
}

fn two_hostlers_side_by_side_both_measure(_host: &Host) {
    let mut first = start_hostler(&["trace", "runq", "--json"]);
    let second = hostler(&["trace", "runq", "--json", "--duration", "300ms"]);
    let of_second = reports(&second);
    first.send(Signal::SIGINT);
    let of_first = reports(&first.wait());
    for reports in [of_first, of_second] {
        assert!(
            !reports[0]["rows"]
                .as_array()
                .expect("a report has rows")
                .is_empty()
        );
    }
}

fn a_reader_that_goes_away_ends_the_trace_quietly(_host: &Host) {
    let mut tracer = start_hostler(&["trace", "runq", "--json", "--interval", "100ms"]);
    tracer.close_its_output();
    let output = tracer.wait();
    assert!(output.status.success(), "{}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

fn the_live_view_is_plain_text_when_its_output_is_no_terminal(_host: &Host) {
    let output = hostler(&["--interval", "300ms", "--duration", "700ms"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!text.contains('\u{1b}'), "no escape codes: {text}");
    assert!(
        text.matches("AGENT").count() >= 2,
        "one table an interval: {text}"
    );
}

fn doctor_names_sources_memory_and_cost(_host: &Host) {
    let report = reports(&hostler(&["doctor", "--json"])).remove(0);
    let signals = report["signals"].as_array().expect("signals");
    for signal in signals {
        let is_explained = signal["better"]
            .as_array()
            .is_some_and(|better| !better.is_empty());
        assert!(signal["in_use"].is_string() || is_explained, "{signal:#}");
    }
    let maps = report["maps"].as_array().expect("maps");
    assert!(
        maps.iter()
            .any(|map| map["name"] == "AGENTS" && map["bytes"].as_u64() > Some(0))
    );
    let programs = report["programs"].as_array().expect("programs");
    let switch = programs
        .iter()
        .find(|program| program["name"] == "sched_switch");
    let switch = switch.expect("the program that sees switches is listed");
    assert!(switch["runs"].as_u64() > Some(0), "{switch:#}");
    assert!(
        switch["nanoseconds_per_run"].as_f64() > Some(0.0),
        "{switch:#}"
    );
}
