//! A recording of a small fleet, and what is reported of it: the way from a file to each report, to the
//! letter and on any machine. `tests/golden/record` makes the recording anew.

use std::process::Command;

use expect_test::{ExpectFile, expect_file};

const RECORDING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/fleet.rec");

fn reported(words: &str, expected: &ExpectFile) {
    expected.assert_eq(&report(words));
}

fn report(words: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_hostler"))
        .args(words.split(' '))
        .args(["--from", RECORDING])
        .output()
        .expect("hostler can be started");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_recording_is_reported_in_full_as_json() {
    reported("trace all --json", &expect_file!["all.json"]);
    reported("trace pressure --json", &expect_file!["pressure.json"]);
    reported("plan --json", &expect_file!["plan.json"]);
}

#[test]
fn a_recording_is_reported_to_a_reader() {
    reported("agents", &expect_file!["agents.txt"]);
    reported("trace runq --top 5", &expect_file!["runq.txt"]);
    reported("trace runq --group-by node", &expect_file!["runq-node.txt"]);
    reported(
        "trace runq --by preemptor --events",
        &expect_file!["runq-preemptor.txt"],
    );
    reported("trace ledger --top 5", &expect_file!["ledger.txt"]);
    reported("trace faults --top 5", &expect_file!["faults.txt"]);
    reported("trace rtt --top 5", &expect_file!["rtt.txt"]);
    reported("trace pressure --top 5", &expect_file!["pressure.txt"]);
    reported("trace wakes --top 10", &expect_file!["wakes.txt"]);
    reported("plan", &expect_file!["plan.txt"]);
    reported("topology --duration 3s", &expect_file!["topology.txt"]);
}

#[test]
fn a_part_of_a_recording_is_reported_window_by_window() {
    reported(
        "trace all --interval 1s --csv --at +2s --duration 3s",
        &expect_file!["all-part.csv"],
    );
}

#[test]
fn an_agent_is_explained_from_a_recording() {
    reported("explain */tool-0000", &expect_file!["explain.txt"]);
    reported(
        "explain */agent-0003 --at +1s --duration 2s",
        &expect_file!["explain-part.txt"],
    );
}

#[test]
fn a_recording_is_exported_as_metrics() {
    let one = "export --agent */tool-0000 --duration 2s";
    reported(
        &format!("{one} --format prometheus"),
        &expect_file!["export.prom"],
    );
    reported(
        &format!("{one} --format json"),
        &expect_file!["export.json"],
    );
}

/// A file is replaced by what was there at the end of each interval, and nothing else is left.
#[test]
fn an_export_into_a_file_holds_what_was_last() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("hostler.prom");
    let words = format!(
        "export --agent */tool-0000 --interval 1s --duration 2s --format prometheus --to {}",
        file.display()
    );
    assert_eq!(report(&words), "");
    let text = std::fs::read_to_string(file).expect("it is there");
    // All is as if it had been one interval, but for bottlenecks: each interval has its own.
    let but_bottlenecks = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| !line.contains("_bottleneck_seconds_total"));
        lines.map(str::to_owned).collect()
    };
    let one = report("export --agent */tool-0000 --duration 2s --format prometheus");
    assert_eq!(but_bottlenecks(&text), but_bottlenecks(&one));
    let files = std::fs::read_dir(folder.path()).expect("it is there");
    assert_eq!(files.count(), 1);
}
