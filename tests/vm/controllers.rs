//! What guests are there for: a hierarchy with all controllers, and nodes with memory of their own.

use std::{env, fs};

use crate::{
    Test,
    guest::{CPUS_PER_NODE, Guest},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "cgroups_of_a_guest_have_the_controllers_that_effects_need",
        cgroups_of_a_guest_have_the_controllers_that_effects_need,
    ),
    (
        "a_guest_has_the_nodes_asked_for_with_cpus_and_memory_of_their_own",
        a_guest_has_the_nodes_asked_for_with_cpus_and_memory_of_their_own,
    ),
];

fn cgroups_of_a_guest_have_the_controllers_that_effects_need(_guest: &Guest) {
    let path = "/sys/fs/cgroup/cgroup.subtree_control";
    let enabled = fs::read_to_string(path).expect("the hierarchy is mounted");
    for controller in ["cpu", "cpuset", "hugetlb", "io", "memory", "pids"] {
        assert!(
            enabled.split_whitespace().any(|name| name == controller),
            "no {controller} in {enabled}"
        );
    }
}

fn a_guest_has_the_nodes_asked_for_with_cpus_and_memory_of_their_own(guest: &Guest) {
    let asked_for = env::var("HOSTLER_GUEST_NODES").expect("who starts a guest says its shape");
    assert_eq!(guest.nodes.len().to_string(), asked_for, "nodes");
    let mut seen: Vec<usize> = Vec::new();
    for (node, cpus) in guest.nodes.iter().enumerate() {
        assert_eq!(cpus.len(), CPUS_PER_NODE, "CPUs of node {node}");
        seen.extend(cpus);
        let path = format!("/sys/devices/system/node/node{node}/meminfo");
        let meminfo = fs::read_to_string(path).expect("a node says what memory it has");
        let total = meminfo
            .lines()
            .find(|line| line.contains("MemTotal:"))
            .and_then(|line| line.split_whitespace().rev().nth(1)?.parse::<u64>().ok());
        assert!(total > Some(200 << 10), "memory of node {node}: {meminfo}");
    }
    assert_eq!(seen, (0..seen.len()).collect::<Vec<_>>());
}
