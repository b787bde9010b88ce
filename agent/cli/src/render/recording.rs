//! What a recording holds, in a line or two.

use hostler_daemon::instants::{LAST_MS, instant};
use hostler_decide::scene::{Availability, CpuView, HostFacts};

use crate::report::RecordingReport;

use super::{
    foreign::printable,
    units::{bytes, count, duration},
};

/// How far a recording is, while it is being written: no line's end.
pub(crate) fn recording_now(report: RecordingReport) -> String {
    format!("Recording {}; Ctrl-C ends it.", contents(report))
}

/// What was recorded, the line's end included.
pub(crate) fn recorded(file: &str, report: RecordingReport) -> String {
    let hourly = match report.length_ns {
        0 => String::new(),
        length_ns => {
            let hours = length_ns as f64 / 3.6e12;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is shown with three digits"
            )]
            let hourly = (report.bytes as f64 / hours) as u64;
            format!(" ({} an hour)", bytes(hourly))
        }
    };
    format!("{}: {}{hourly}\n", printable(file), contents(report))
}

/// What was shown of a recording, and of what and when it was made.
pub(crate) fn replayed(
    file: &str,
    facts: &HostFacts,
    began_ms: Option<u64>,
    report: RecordingReport,
) -> String {
    // A damaged recording may tell of any time; years have four digits here.
    let began_ms = began_ms.filter(|&began_ms| began_ms <= LAST_MS);
    let began = began_ms.map_or_else(String::new, |began_ms| {
        format!(" from {}", instant(began_ms))
    });
    format!(
        "\n{}: {} (Linux {}){began}, {}\nAlso in it: {}\n",
        printable(file),
        printable(&facts.host),
        printable(&facts.kernel),
        contents(report),
        signals(facts),
    )
}

fn contents(report: RecordingReport) -> String {
    format!(
        "{} readings in {}, {} agents, {}",
        count(report.readings),
        duration(report.length_ns),
        count(report.agents as u64),
        bytes(report.bytes),
    )
}

/// The signals that not every recording has.
fn signals(facts: &HostFacts) -> String {
    let signals = &facts.signals;
    let is_there = |signal: &Availability| *signal == Availability::Measured;
    let all = [
        (signals.long_wait_ns.is_some(), "who made whom wait"),
        (signals.wait_events, "single waits"),
        (signals.cpus == CpuView::All, "waits by CPU"),
        (is_there(&signals.fault_latency), "fault latency"),
        (is_there(&signals.sockets), "TCP sockets"),
        (signals.pressure, "pressure and pools"),
        (signals.wakes, "who wakes whom"),
        (signals.placement, "where threads run"),
    ];
    let there: Vec<&str> = all
        .iter()
        .filter(|(is_there, _)| *is_there)
        .map(|(_, what)| *what)
        .collect();
    if there.is_empty() {
        "nothing else".to_owned()
    } else {
        there.join(", ")
    }
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_decide::scene::Signals;

    use super::*;

    const REPORT: RecordingReport = RecordingReport {
        readings: 61,
        length_ns: 60_001_000_000,
        agents: 4_462,
        bytes: 312_345,
    };

    #[test]
    fn a_recording_is_told_with_its_size_and_what_an_hour_would_take() {
        expect![[r#"
            a\u{1b}.rec: 61 readings in 60.0 s, 4,462 agents, 305.0 KiB (17.9 MiB an hour)
        "#]]
        .assert_eq(&recorded("a\u{1b}.rec", REPORT));
        expect![[r#"
            a.rec: 0 readings in 0 ns, 0 agents, 0 B
        "#]]
        .assert_eq(&recorded("a.rec", RecordingReport::default()));
        expect!["Recording 61 readings in 60.0 s, 4,462 agents, 305.0 KiB; Ctrl-C ends it."]
            .assert_eq(&recording_now(REPORT));
    }

    #[test]
    fn a_time_that_no_calendar_has_is_left_out() {
        let told = replayed("a.rec", &HostFacts::default(), Some(u64::MAX), REPORT);
        assert!(!told.contains(" from "), "{told}");
    }

    #[test]
    fn a_replay_is_told_with_host_time_and_signals() {
        let facts = HostFacts {
            host: "bern".to_owned(),
            kernel: "6.18.5".to_owned(),
            signals: Signals {
                pressure: true,
                cpus: CpuView::All,
                ..Signals::default()
            },
            ..HostFacts::default()
        };
        expect![[r#"

            a.rec: bern (Linux 6.18.5) from 2025-11-26T14:03:00Z, 61 readings in 60.0 s, 4,462 agents, 305.0 KiB
            Also in it: waits by CPU, pressure and pools
        "#]].assert_eq(&replayed("a.rec", &facts, Some(1_764_165_780_000), REPORT));
    }
}
