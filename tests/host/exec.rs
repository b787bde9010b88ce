//! `hostler exec`: commands that begin as agents, and what is left of them.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Need, Test,
    host::{HOSTLER, Host, PATIENCE},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_command_begins_in_a_cgroup_of_its_own_and_nothing_is_left_of_it",
        needs: &[Need::WritableCgroups],
        run: a_command_begins_in_a_cgroup_of_its_own_and_nothing_is_left_of_it,
    },
    Test {
        name: "a_command_is_passed_signals_and_it_ends_as_the_command_does",
        needs: &[Need::WritableCgroups],
        run: a_command_is_passed_signals_and_it_ends_as_the_command_does,
    },
    Test {
        name: "a_signal_before_it_has_begun_and_a_child_that_is_still_dying_leave_nothing",
        needs: &[Need::WritableCgroups],
        run: a_signal_before_it_has_begun_and_a_child_that_is_still_dying_leave_nothing,
    },
    Test {
        name: "the_last_agent_of_a_group_takes_it_with_it_whoever_made_it",
        needs: &[Need::WritableCgroups],
        run: the_last_agent_of_a_group_takes_it_with_it_whoever_made_it,
    },
    Test {
        name: "a_command_that_can_t_be_started_is_said_to_be_and_leaves_nothing",
        needs: &[Need::WritableCgroups],
        run: a_command_that_can_t_be_started_is_said_to_be_and_leaves_nothing,
    },
    Test {
        name: "a_pool_whose_threads_wait_for_cpus_is_told_to_shrink",
        needs: &[Need::WritableCgroups, Need::Pressure, Need::OwnMachine],
        run: a_pool_whose_threads_wait_for_cpus_is_told_to_shrink,
    },
];

/// Hints follow after some looks, five seconds apart.
const RESIZED: Duration = Duration::from_secs(45);

/// How soon a signal comes: before the command has begun, it waits for it.
const AT_ONCE: Duration = Duration::from_millis(50);

/// A group of agents and a folder of hints, for one test.
struct Site {
    group: String,
    cgroup: PathBuf,
    hints: TempDir,
}

impl Site {
    fn new(host: &Host, label: &str) -> Self {
        let group = format!("hostler-test-{}-exec-{label}", std::process::id());
        Self {
            cgroup: host.cgroup_root().join(&group),
            hints: tempfile::tempdir().expect("there is room"),
            group,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(HOSTLER);
        command
            .args(["exec", "--group", &self.group, "--hints"])
            .arg(self.hints.path())
            .args(words)
            .env_remove("TOKIO_WORKER_THREADS");
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words)
            .output()
            .expect("hostler can be started")
    }

    /// One that says something on a line when it has begun.
    fn start(&self, words: &[&str]) -> Child {
        let mut command = self.command(words);
        let mut child = command.stdout(Stdio::piped()).spawn();
        let child_of = child.as_mut().expect("hostler can be started");
        let mut line = String::new();
        let output = child_of.stdout.take().expect("it is a pipe");
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says something");
        assert_eq!(line, "begun\n");
        child.expect("it was started")
    }

    fn assert_that_nothing_is_left(&self) {
        assert!(!self.cgroup.exists(), "{}", self.cgroup.display());
        let left = fs::read_dir(self.hints.path())
            .expect("it is there")
            .count();
        assert_eq!(left, 0, "files with hints are left");
    }

    fn hinted_threads(&self, agent: &str) -> u64 {
        let path = self
            .hints
            .path()
            .join(&self.group)
            .join(format!("{agent}.json"));
        let text = fs::read_to_string(path).expect("it is there");
        let hints: Value = serde_json::from_str(&text).expect("it is JSON");
        hints["threads"].as_u64().expect("a number")
    }
}

fn a_command_begins_in_a_cgroup_of_its_own_and_nothing_is_left_of_it(host: &Host) {
    let site = Site::new(host, "begins");
    let script = "cat /proc/self/cgroup | grep ^0; echo $TOKIO_WORKER_THREADS $GOMAXPROCS; \
                  cat \"$HOSTLER_HINTS\"; exit 7";
    let mut command = site.command(&["--agent", "coder", "--", "sh", "-c", script]);
    let output = command
        .env("GOMAXPROCS", "99")
        .output()
        .expect("hostler can be started");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = text.lines().collect();
    let [cgroup, pools, hints] = lines[..] else {
        panic!("{output:?}");
    };
    // The hierarchy may be seen from a cgroup namespace: what counts is where it ends.
    assert!(
        cgroup.ends_with(&format!("/{}/coder", site.group)),
        "{cgroup}"
    );
    let hints: Value = serde_json::from_str(hints).expect("it is JSON");
    let threads = hints["threads"].as_u64().expect("a number");
    let cpus = thread::available_parallelism().expect("it is known").get() as u64;
    assert!((1..=cpus).contains(&threads), "{hints}");
    assert_eq!(pools, format!("{threads} 99"), "what was set already stays");
    site.assert_that_nothing_is_left();
}

fn a_command_is_passed_signals_and_it_ends_as_the_command_does(host: &Host) {
    let site = Site::new(host, "signals");
    let script = "trap 'exit 3' TERM; echo begun; while :; do sleep 0.05; done";
    let mut child = site.start(&["--agent", "a", "--", "sh", "-c", script]);
    let pid = Pid::from_raw(child.id().cast_signed());
    kill(pid, Signal::SIGTERM).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(3));
    let script = "trap 'exit 4' HUP; trap 'exit 5' INT; echo begun; \
                  while :; do sleep 0.05; done";
    for (signal, status) in [(Signal::SIGHUP, 4), (Signal::SIGINT, 5)] {
        // In a session of its own there is no terminal that would have told the command as well.
        let mut child = site.start(&["--agent", "b", "--", "sh", "-c", script]);
        kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it runs");
        assert_eq!(
            child.wait().expect("it ends").code(),
            Some(status),
            "{signal}"
        );
    }
    let killed = site.run(&["--", "sh", "-c", "kill -KILL $$"]);
    assert_eq!(killed.status.code(), Some(128 + 9), "{killed:?}");
    site.assert_that_nothing_is_left();
}

fn a_signal_before_it_has_begun_and_a_child_that_is_still_dying_leave_nothing(host: &Host) {
    let site = Site::new(host, "early");
    for _ in 0..5 {
        let mut command = site.command(&["--", "sleep", "60"]);
        let mut child = command.spawn().expect("hostler can be started");
        thread::sleep(AT_ONCE);
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it runs");
        let status = child.wait().expect("it ends");
        // Where it was told before it listened, it had made nothing.
        let is_ended = status.code() == Some(128 + 15) || status.signal() == Some(15);
        assert!(is_ended, "{status}");
        site.assert_that_nothing_is_left();
    }
    let dying = site.run(&["--", "sh", "-c", "sleep 60 & kill -KILL $!"]);
    assert!(dying.status.success(), "{dying:?}");
    site.assert_that_nothing_is_left();
}

fn the_last_agent_of_a_group_takes_it_with_it_whoever_made_it(host: &Host) {
    let site = Site::new(host, "group");
    let script = "echo begun; read line";
    let start = |agent: &str| {
        let words = ["--agent", agent, "--", "sh", "-c", script];
        let mut command = site.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let output = child.stdout.take().expect("it is a pipe");
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("it says something");
        child
    };
    let end = |mut child: Child| {
        drop(child.stdin.take());
        child.wait().expect("it ends");
    };
    let (first, second) = (start("first"), start("second"));
    end(first);
    assert!(site.cgroup.join("second").exists());
    end(second);
    site.assert_that_nothing_is_left();
    // What somebody has prepared stays.
    fs::create_dir(&site.cgroup).expect("it can be made");
    end(start("third"));
    assert!(site.cgroup.exists());
    fs::create_dir(site.cgroup.join("fourth")).expect("it can be made");
    let refused = site.run(&["--agent", "fourth", "--", "true"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    for path in [site.cgroup.join("fourth"), site.cgroup.clone()] {
        fs::remove_dir(path).expect("it is empty");
    }
}

fn a_command_that_can_t_be_started_is_said_to_be_and_leaves_nothing(host: &Host) {
    let site = Site::new(host, "refused");
    let refused = |words: &[&str], status: i32, says: &str| {
        let output = site.run(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.contains(says), "{says:?} is not in: {text}");
    };
    refused(&["--", "/nowhere/agent"], 127, "starting /nowhere/agent");
    refused(
        &["--", "/proc/self/cgroup"],
        126,
        "starting /proc/self/cgroup",
    );
    refused(&["--node", "4711", "--", "true"], 2, "no NUMA node 4711");
    refused(
        &["--agent", "../x", "--", "true"],
        2,
        "can't be the name of an agent",
    );
    site.assert_that_nothing_is_left();
    let script = "echo begun; read line";
    let mut command = site.command(&["--agent", "a", "--", "sh", "-c", script]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("it starts");
    let procs = site.cgroup.join("a/cgroup.procs");
    let give_up = Instant::now() + PATIENCE;
    while fs::read_to_string(&procs).unwrap_or_default().is_empty() {
        assert!(Instant::now() < give_up, "it does not begin");
        thread::sleep(Duration::from_millis(10));
    }
    refused(&["--agent", "a", "--", "true"], 1, "runs already");
    drop(child.stdin.take());
    child.wait().expect("it ends");
    site.assert_that_nothing_is_left();
}

fn a_pool_whose_threads_wait_for_cpus_is_told_to_shrink(host: &Host) {
    let cpus = thread::available_parallelism().expect("it is known").get();
    let site = Site::new(host, "shrinks");
    // Told to end, it waits for all that it began.
    let spin = |many: usize| {
        format!(
            "trap 'kill $all; wait; exit 0' TERM; echo begun; all=; for i in $(seq {many}); \
             do timeout 60 yes >/dev/null & all=\"$all $!\"; done; wait"
        )
    };
    // More than could run at once, and then more of others.
    let begin = || site.start(&["--agent", "pool", "--", "sh", "-c", &spin(cpus + 1)]);
    let now = || site.hinted_threads("pool");
    // The host may be busy for a moment: then it begins with one thread, which can't shrink.
    let mut child = begin();
    let quiet = Instant::now() + RESIZED;
    while now() == 1 && cpus > 1 {
        assert!(Instant::now() < quiet, "this host is never idle");
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("it runs");
        child.wait().expect("it ends");
        thread::sleep(Duration::from_secs(1));
        child = begin();
    }
    let busy = host.cgroup("others");
    let mut others = busy.start(&["sh", "-c", &spin(2 * cpus)]);
    let give_up = Instant::now() + RESIZED;
    while now() > 1 {
        assert!(Instant::now() < give_up, "it stays at {}", now());
        thread::sleep(Duration::from_millis(200));
    }
    for told in [&others, &child] {
        let pid = Pid::from_raw(told.id().cast_signed());
        kill(pid, Signal::SIGTERM).expect("it runs");
    }
    others.wait().expect("it ends");
    child.wait().expect("it ends");
    site.assert_that_nothing_is_left();
}
