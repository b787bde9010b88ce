//! What guests are there for: a hierarchy with all controllers.

use std::fs;

use crate::{Test, guest::Guest};

pub(crate) const TESTS: &[Test] = &[(
    "cgroups_of_a_guest_have_the_controllers_that_effects_need",
    cgroups_of_a_guest_have_the_controllers_that_effects_need,
)];

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
