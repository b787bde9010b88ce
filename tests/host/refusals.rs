//! What Hostler says where it can't work: one clear sentence, a hint, and the right exit status.

use std::process::{Command, Output};

use crate::{
    Need, Test,
    host::{HOSTLER, Host, hostler},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "without_capabilities_it_names_them_and_exits_with_1",
        needs: &[],
        run: without_capabilities_it_names_them_and_exits_with_1,
    },
    Test {
        name: "without_the_right_to_follow_sockets_it_names_it_and_measures_the_rest",
        needs: &[],
        run: without_the_right_to_follow_sockets_it_names_it_and_measures_the_rest,
    },
    Test {
        name: "without_btf_it_says_so_and_exits_with_1",
        needs: &[Need::MountNamespaces],
        run: without_btf_it_says_so_and_exits_with_1,
    },
    Test {
        name: "without_a_v2_hierarchy_it_says_so_and_exits_with_1",
        needs: &[Need::MountNamespaces],
        run: without_a_v2_hierarchy_it_says_so_and_exits_with_1,
    },
    Test {
        name: "without_tracefs_it_works_all_the_same",
        needs: &[Need::MountNamespaces],
        run: without_tracefs_it_works_all_the_same,
    },
    Test {
        name: "an_agent_that_is_not_there_is_a_usage_error",
        needs: &[],
        run: an_agent_that_is_not_there_is_a_usage_error,
    },
    Test {
        name: "invalid_patterns_and_durations_are_usage_errors",
        needs: &[],
        run: invalid_patterns_and_durations_are_usage_errors,
    },
];

/// Checks that `hostler` refused with a status, in a few lines that hold all of `words`.
pub(crate) fn assert_refused(output: &Output, status: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(text.lines().count() <= 8, "it is short: {text}");
    assert!(!text.contains("panicked"), "{text}");
}

/// Runs a short trace in a mount namespace after some commands have changed the mounts there.
fn trace_after(mounts: &str) -> Output {
    let script = format!("{mounts} && exec \"$0\" trace runq --duration 200ms");
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &script, HOSTLER])
        .output()
        .expect("unshare can be run")
}

fn without_capabilities_it_names_them_and_exits_with_1(_host: &Host) {
    let output = Command::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", HOSTLER])
        .args(["trace", "runq", "--duration", "200ms"])
        .output()
        .expect("setpriv can be run");
    assert_refused(&output, 1, &["CAP_BPF", "CAP_PERFMON", "root"]);
}

fn without_the_right_to_follow_sockets_it_names_it_and_measures_the_rest(_host: &Host) {
    let with = |words: &[&str]| {
        Command::new("setpriv")
            .args([
                "--bounding-set=-all,+bpf,+perfmon",
                "--inh-caps=-all",
                HOSTLER,
            ])
            .args(words)
            .args(["--duration", "200ms"])
            .output()
            .expect("setpriv can be run")
    };
    assert_refused(&with(&["trace", "rtt"]), 1, &["CAP_NET_ADMIN"]);
    let rest = with(&["trace", "all"]);
    assert!(rest.status.success(), "{rest:?}");
}

fn without_btf_it_says_so_and_exits_with_1(_host: &Host) {
    let output = trace_after("mount -t tmpfs none /sys/kernel/btf");
    assert_refused(&output, 1, &["BTF", "CONFIG_DEBUG_INFO_BTF"]);
}

fn without_a_v2_hierarchy_it_says_so_and_exits_with_1(host: &Host) {
    let output = trace_after(&format!("umount {}", host.cgroup_root().display()));
    assert_refused(&output, 1, &["cgroup v2", "mount"]);
}

fn without_tracefs_it_works_all_the_same(_host: &Host) {
    let output = trace_after("mount -t tmpfs none /sys/kernel/tracing");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn an_agent_that_is_not_there_is_a_usage_error(_host: &Host) {
    let output = hostler(&[
        "trace",
        "runq",
        "--duration",
        "1s",
        "--agent",
        "no-such-agent-*",
    ]);
    assert_refused(&output, 2, &["no-such-agent-*", "hostler agents"]);
}

fn invalid_patterns_and_durations_are_usage_errors(_host: &Host) {
    for words in [
        "--agent=[a-",
        "--duration=soon",
        "--duration=0s",
        "--interval=-1s",
        "--interval=1ns",
        "--group-by=galaxy",
    ] {
        let output = hostler(&["trace", "runq", words]);
        let option = words.split('=').next().expect("there is a first part");
        assert_refused(&output, 2, &[option]);
    }
}
