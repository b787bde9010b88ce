//! Recordings of this kernel: what is reported of one is what was reported of the host.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::{
    Need, Test,
    host::{HOSTLER, Host, PATIENCE, hostler, reports, start_hostler},
    refusals::assert_refused,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "each_report_of_a_recording_is_the_one_of_the_host_word_for_word",
        needs: &[Need::WritableCgroups, Need::OwnMachine],
        run: each_report_of_a_recording_is_the_one_of_the_host_word_for_word,
    },
    Test {
        name: "a_recording_holds_what_each_command_needs",
        needs: &[Need::WritableCgroups],
        run: a_recording_holds_what_each_command_needs,
    },
    Test {
        name: "a_recording_can_be_read_without_any_right",
        needs: &[],
        run: a_recording_can_be_read_without_any_right,
    },
    Test {
        name: "what_was_recorded_until_hostler_was_killed_can_be_read",
        needs: &[],
        run: what_was_recorded_until_hostler_was_killed_can_be_read,
    },
    Test {
        name: "a_disk_that_is_full_ends_a_recording_with_its_name",
        needs: &[Need::MountNamespaces, Need::OwnMachine],
        run: a_disk_that_is_full_ends_a_recording_with_its_name,
    },
    Test {
        name: "a_trace_whose_recording_finds_no_room_reports_all_the_same",
        needs: &[Need::MountNamespaces, Need::OwnMachine],
        run: a_trace_whose_recording_finds_no_room_reports_all_the_same,
    },
    Test {
        name: "what_is_no_recording_is_refused_with_what_to_do",
        needs: &[],
        run: what_is_no_recording_is_refused_with_what_to_do,
    },
];

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    fn file(&self, name: &str) -> String {
        let path = self.0.path().join(name);
        path.to_str().expect("its path is text").to_owned()
    }
}

fn text(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout.clone()).expect("reports are text")
}

fn each_report_of_a_recording_is_the_one_of_the_host_word_for_word(host: &Host) {
    let folder = Folder::new();
    let cgroup = host.cgroup("recorded");
    let mut load = cgroup.start_load(&["sleep", "60000"]);
    let formats = ["--json", "--csv", "--color=never"];
    let commands: [&[&str]; 5] = [
        &["trace", "all"],
        &["trace", "runq", "--group-by", "cpu"],
        &["trace", "ledger"],
        &["trace", "faults"],
        &["trace", "pressure"],
    ];
    for (number, command) in commands.into_iter().enumerate() {
        let format = formats[number % formats.len()];
        let recording = folder.file(&format!("{number}.rec"));
        let words = [command, &["--interval", "1s", format]].concat();
        let live = ["--duration", "3500ms", "--record", &recording];
        let live = text(&hostler(&[&words[..], &live].concat()));
        let from = [&words[..], &["--from", &recording]].concat();
        let again = text(&hostler(&from));
        assert!(live.len() > 100, "{command:?}: {live}");
        assert_eq!(live, again, "{command:?}");
        let once_more = text(&hostler(&from));
        assert_eq!(again, once_more, "{command:?}");
    }
    load.kill().expect("it is there");
    load.wait().expect("it ends");
}

fn a_recording_holds_what_each_command_needs(host: &Host) {
    let folder = Folder::new();
    let recording = folder.file("all.rec");
    let cgroup = host.cgroup("recorded");
    let mut load = cgroup.start_load(&["sleep", "60000"]);
    let said = text(&hostler(&["record", &recording, "--duration", "3s"]));
    assert!(said.starts_with(&recording), "{said}");
    for command in [
        "trace runq --json",
        "trace runq --by preemptor --json",
        "trace ledger --json",
        "trace faults --json",
        "trace pressure --json",
        "trace all --json",
        "agents --json",
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--from", &recording]).collect();
        let report = reports(&hostler(&words)).remove(0);
        let is_there = report.to_string().contains(&cgroup.name);
        let is_of_host = command.contains("preemptor") || command.contains("pressure");
        assert!(is_there || is_of_host, "{command}: {report:#}");
    }
    let words = ["explain", &cgroup.name, "--json", "--from", &recording];
    let explained = reports(&hostler(&words)).remove(0);
    assert_eq!(explained["agent"]["name"], cgroup.name, "{explained:#}");
    let views = text(&hostler(&["replay", &recording]));
    // A long name is shortened in its middle.
    assert!(views.contains("-recorded"), "{views}");
    for (command, option) in [
        ("trace runq --group-by cpu", "--cpus"),
        ("trace runq --by preemptor --events", "--events"),
    ] {
        let words: Vec<&str> = command.split(' ').chain(["--from", &recording]).collect();
        assert_refused(&hostler(&words), 1, &["does not hold", option]);
    }
    load.kill().expect("it is there");
    load.wait().expect("it ends");
}

fn a_recording_can_be_read_without_any_right(_: &Host) {
    let folder = Folder::new();
    let recording = folder.file("it.rec");
    text(&hostler(&["record", &recording, "--duration", "1s"]));
    let mode = fs::metadata(&recording).expect("it is there");
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o077, 0, "others can read it");
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", HOSTLER])
        .args(["trace", "all", "--json", "--from", &recording])
        .output()
        .expect("setpriv can be started");
    assert_eq!(reports(&output).len(), 1);
}

fn what_was_recorded_until_hostler_was_killed_can_be_read(_: &Host) {
    let folder = Folder::new();
    let recording = folder.file("killed.rec");
    let mut running = start_hostler(&["record", &recording]);
    let give_up = Instant::now() + PATIENCE;
    let length = || fs::metadata(&recording).map_or(0, |file| file.len());
    let beginning = length();
    while length() < beginning + 100 {
        assert!(Instant::now() < give_up, "nothing is recorded");
        std::thread::sleep(Duration::from_millis(100));
    }
    running.send(Signal::SIGKILL);
    running.wait_without_reading();
    let whole = ["trace", "all", "--json", "--from", &recording];
    let at_end = format!("ends at byte {}", length());
    assert_refused(&hostler(&whole), 1, &[&at_end, "--lenient"]);
    let output = hostler(&[&whole[..], &["--lenient"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&at_end), "{said}");
    let report = reports(&output).remove(0);
    assert!(
        report["to_ns"].as_u64() > report["from_ns"].as_u64(),
        "{report:#}"
    );
}

/// Runs `hostler` where `full.rec` lies on a disk of one page.
fn on_a_small_disk(words: &str) -> Output {
    let folder = Folder::new();
    let script = "mount -t tmpfs -o size=4k none \"$1\" && cd \"$1\" && exec \"$2\" $3";
    Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(folder.0.path())
        .args([HOSTLER, words])
        .output()
        .expect("unshare can be started")
}

fn a_disk_that_is_full_ends_a_recording_with_its_name(_: &Host) {
    let output = on_a_small_disk("record full.rec --duration 1m --cpus --events");
    assert_refused(
        &output,
        1,
        &["full.rec", "writing it failed at byte", "No space"],
    );
}

fn a_trace_whose_recording_finds_no_room_reports_all_the_same(_: &Host) {
    let words = "trace runq --interval 10ms --duration 5s --json --record full.rec";
    let output = on_a_small_disk(words);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("nothing more is recorded"), "{errors}");
    assert!(errors.contains("No space"), "{errors}");
    let said = String::from_utf8_lossy(&output.stdout);
    let last: Option<serde_json::Value> = said
        .lines()
        .next_back()
        .and_then(|line| serde_json::from_str(line).ok());
    let last = last.unwrap_or_else(|| panic!("{errors}"));
    let first: serde_json::Value =
        serde_json::from_str(said.lines().next().expect("a line")).expect("a report");
    let passed_ns =
        last["to_ns"].as_u64().expect("a time") - first["from_ns"].as_u64().expect("one");
    assert!(
        passed_ns > 4_500_000_000,
        "it went on to its end: {passed_ns}"
    );
}

fn what_is_no_recording_is_refused_with_what_to_do(_: &Host) {
    let folder = Folder::new();
    let other = folder.file("other");
    fs::write(&other, "something else").expect("there is room");
    for (words, status, sentence) in [
        (["replay", &other], 1, "not a recording"),
        (["record", &other], 2, "it exists"),
        (["replay", "/nowhere/at.all"], 1, "No such file"),
    ] {
        assert_refused(&hostler(&words), status, &[sentence, "hint"]);
    }
    let mut kept = String::new();
    fs::File::open(PathBuf::from(&other))
        .and_then(|mut file| file.read_to_string(&mut kept))
        .expect("it is there");
    assert_eq!(kept, "something else");
    assert!(!Path::new("/nowhere").exists());
}
