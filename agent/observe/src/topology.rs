//! Which NUMA node each CPU belongs to.

use std::{collections::BTreeMap, fs, path::Path};

/// CPU number → node number, from sysfs. Empty where the kernel has no NUMA support: then all CPUs
/// are node 0.
pub fn nodes_of_cpus() -> BTreeMap<u32, u32> {
    nodes_below(Path::new("/sys/devices/system/node"))
}

fn nodes_below(folder: &Path) -> BTreeMap<u32, u32> {
    let mut nodes = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(node) = name
            .to_str()
            .and_then(|name| name.strip_prefix("node")?.parse().ok())
        else {
            continue;
        };
        let list = fs::read_to_string(entry.path().join("cpulist")).unwrap_or_default();
        nodes.extend(parse_list(&list).into_iter().map(|cpu| (cpu, node)));
    }
    nodes
}

/// The kernel's list format: `0-3,8,10-11`.
pub(crate) fn parse_list(list: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for range in list.trim().split(',') {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(low), Ok(high)) = (low.parse::<u32>(), high.parse::<u32>()) {
            numbers.extend(low..=high);
        }
    }
    numbers
}

/// How many CPUs are online.
pub fn online_cpus() -> u32 {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    u32::try_from(parse_list(&list).len()).unwrap_or(1).max(1)
}

/// How many CPUs the kernel may ever bring up, by the highest number.
pub(crate) fn possible_cpus() -> u32 {
    let list = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    parse_list(&list).last().map_or(1, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists_with_gaps_and_single_numbers_are_read() {
        assert_eq!(parse_list("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(parse_list("\n"), Vec::<u32>::new());
    }

    #[test]
    fn each_cpu_is_found_on_its_node() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (node, list) in [("node0", "0-1\n"), ("node1", "2,5\n")] {
            fs::create_dir(folder.path().join(node)).expect("a new folder");
            fs::write(folder.path().join(node).join("cpulist"), list).expect("a new file");
        }
        fs::write(folder.path().join("online"), "0-1\n").expect("a new file");
        let nodes = nodes_below(folder.path());
        assert_eq!(nodes, BTreeMap::from([(0, 0), (1, 0), (2, 1), (5, 1)]));
    }
}
