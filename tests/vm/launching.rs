//! `hostler exec` on a host with several nodes: where commands begin, and with which memory.

use std::process::Command;

use crate::{
    Test,
    guest::{Guest, HOSTLER},
};

pub(crate) const TESTS: &[Test] = &[(
    "a_command_begins_on_a_node_with_its_memory_and_so_do_its_children",
    a_command_begins_on_a_node_with_its_memory_and_so_do_its_children,
)];

/// The CPUs on which a child of a command may run, and where its memory comes from, as the kernel tells it.
fn seen(node: &str) -> (Vec<usize>, String) {
    let hints = tempfile::tempdir().expect("there is room");
    let script = "cat /proc/self/status; cat /proc/self/numa_maps";
    let output = Command::new(HOSTLER)
        .args(["exec", "--node", node, "--hints"])
        .arg(hints.path())
        .args(["--", "sh", "-c", script])
        .output()
        .expect("hostler can be started");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let allowed = text
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let cpus = allowed
        .expect("it is told")
        .trim()
        .split(',')
        .flat_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number = |word: &str| word.parse::<usize>().expect("a number");
            number(first)..=number(last)
        });
    let policy = text
        .lines()
        .find_map(|line| line.split(' ').find(|word| word.starts_with("prefer")));
    (cpus.collect(), policy.unwrap_or("none").to_owned())
}

fn a_command_begins_on_a_node_with_its_memory_and_so_do_its_children(guest: &Guest) {
    for (node, cpus) in guest.nodes.iter().enumerate() {
        let (may_run, policy) = seen(&node.to_string());
        assert_eq!(&may_run, cpus, "it stays there");
        assert_eq!(policy, format!("prefer:{node}"));
    }
    let all: Vec<usize> = guest.nodes.iter().flatten().copied().collect();
    let (may_run, policy) = seen("auto");
    // Whoever plans may take it elsewhere, and then its memory must not go on coming from here.
    assert_eq!((may_run, &*policy), (all.clone(), "none"));
    let (may_run, policy) = seen("any");
    assert_eq!((may_run, &*policy), (all, "none"));
}
