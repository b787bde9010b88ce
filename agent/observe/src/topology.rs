//! The host's shape, as hwloc finds it; and what is needed of it before anything else, from sysfs.

use std::{collections::BTreeMap, fs, path::Path};

use hostler_decide::topology::{CpuPlace, Node, Topology};
use hwlocality::{
    Topology as Machine,
    errors::RawHwlocError,
    object::{
        TopologyObject, attributes::ObjectAttributes, distance::DistancesKind, types::ObjectType,
    },
    topology::builder::{BuildFlags, TopologyBuilder},
};

/// The shape of this host, also of CPUs that Hostler itself may not run on.
pub fn topology() -> Topology {
    let found = TopologyBuilder::new()
        .with_flags(BuildFlags::INCLUDE_DISALLOWED)
        .map_err(|error| error.to_string())
        .and_then(|builder| builder.build().map_err(|error| error.to_string()))
        .and_then(|machine| shape(&machine).map_err(|error| error.to_string()));
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, "the host's shape was not found: all is taken for one cache and package");
        flat(&nodes_of_cpus())
    })
}

/// What is left to say where hwloc fails.
fn flat(nodes: &BTreeMap<u32, u32>) -> Topology {
    let place = |(&cpu, &node)| {
        let place = CpuPlace {
            core: cpu,
            node,
            ..CpuPlace::default()
        };
        (cpu, place)
    };
    Topology {
        cpus: nodes.iter().map(place).collect(),
        nodes: nodes
            .values()
            .map(|&node| (node, Node::default()))
            .collect(),
        l3_bytes: Vec::new(),
    }
}

fn shape(machine: &Machine) -> Result<Topology, RawHwlocError> {
    let caches: Vec<&TopologyObject> = machine.objects_with_type(ObjectType::L3Cache).collect();
    let cpus = machine.objects_with_type(ObjectType::PU);
    let mut nodes: BTreeMap<u32, Node> = machine
        .objects_with_type(ObjectType::NUMANode)
        .map(|node| (number(node), described(node)))
        .collect();
    for matrix in machine.distances(Some(DistancesKind::MEANS_LATENCY))? {
        let ends: Vec<Option<u32>> = matrix
            .objects()
            .map(|end| {
                Some(number(
                    end.filter(|end| end.object_type() == ObjectType::NUMANode)?,
                ))
            })
            .collect();
        for (row, from) in matrix.distances().chunks(ends.len().max(1)).zip(&ends) {
            let Some(node) = from.and_then(|from| nodes.get_mut(&from)) else {
                continue;
            };
            let known = ends.iter().zip(row);
            node.distances
                .extend(known.filter_map(|(to, &distance)| Some(((*to)?, distance))));
        }
    }
    Ok(Topology {
        cpus: cpus.map(|cpu| (number(cpu), place(cpu, &caches))).collect(),
        nodes,
        l3_bytes: caches.iter().map(|cache| cache_bytes(cache)).collect(),
    })
}

/// The kernel's number of an object.
fn number(object: &TopologyObject) -> u32 {
    let number = object
        .os_index()
        .and_then(|number| u32::try_from(number).ok());
    number.unwrap_or(0)
}

fn place(cpu: &TopologyObject, caches: &[&TopologyObject]) -> CpuPlace {
    let above = |wanted| {
        cpu.ancestors()
            .find(|object| object.object_type() == wanted)
    };
    let l3 = above(ObjectType::L3Cache).and_then(|own| {
        let index = caches.iter().position(|cache| std::ptr::eq(*cache, own))?;
        u32::try_from(index).ok()
    });
    let node = cpu.nodeset().and_then(|nodes| nodes.iter_set().next());
    CpuPlace {
        package: above(ObjectType::Package).map_or(0, number),
        l3,
        core: above(ObjectType::Core)
            .and_then(|core| u32::try_from(core.logical_index()).ok())
            .unwrap_or_else(|| number(cpu)),
        node: node
            .and_then(|node| u32::try_from(usize::from(node)).ok())
            .unwrap_or(0),
    }
}

fn described(node: &TopologyObject) -> Node {
    let memory = match node.attributes() {
        Some(ObjectAttributes::NUMANode(node)) => node.local_memory(),
        _ => None,
    };
    Node {
        memory_bytes: memory.map_or(0, Into::into),
        distances: BTreeMap::new(),
    }
}

fn cache_bytes(cache: &TopologyObject) -> u64 {
    match cache.attributes() {
        Some(ObjectAttributes::Cache(cache)) => cache.size().map_or(0, Into::into),
        _ => 0,
    }
}

/// CPU number → node number, from sysfs. Empty where the kernel has no NUMA support: then all CPUs
/// are node 0.
pub(crate) fn nodes_of_cpus() -> BTreeMap<u32, u32> {
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

/// Whether there are several nodes, those without CPUs included.
pub fn has_several_nodes() -> bool {
    let folders = fs::read_dir("/sys/devices/system/node")
        .into_iter()
        .flatten();
    let is_node = |name: &str| {
        name.strip_prefix("node")
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    folders
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_node))
        .nth(1)
        .is_some()
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
pub(crate) fn online_cpus() -> u32 {
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

    fn synthetic(description: &str) -> Topology {
        let builder = TopologyBuilder::new().from_synthetic(description);
        let machine = builder.expect("a description").build().expect("a machine");
        shape(&machine).expect("it has a shape")
    }

    #[test]
    fn each_cpu_of_a_machine_has_its_package_cache_core_and_node() {
        let topology = synthetic("pack:2 [numa(memory=1073741824)] l3:2(size=8388608) core:2 pu:2");
        assert_eq!(topology.cpus.len(), 16);
        assert_eq!(topology.nodes.len(), 2);
        assert_eq!(topology.l3_bytes, [8 << 20; 4]);
        assert_eq!(topology.nodes[&1].memory_bytes, 1 << 30);
        let last = topology.cpus[&15];
        let expected = CpuPlace {
            package: 1,
            l3: Some(3),
            core: 7,
            node: 1,
        };
        assert_eq!(last, expected);
        let of_first: Vec<u32> = topology.cpus_of_node(0).map(|(cpu, _)| cpu).collect();
        assert_eq!(of_first, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((topology.node_of(8), topology.node_of(99)), (1, 0));
        assert!(topology.has_several_nodes());
    }

    #[test]
    fn a_machine_without_a_last_level_cache_has_none() {
        let topology = synthetic("numa:1 core:2 pu:1");
        assert!(topology.l3_bytes.is_empty());
        assert!(topology.cpus.values().all(|place| place.l3.is_none()));
        assert!(!topology.has_several_nodes());
    }

    #[test]
    fn this_machine_has_the_nodes_that_the_kernel_tells_of() {
        let topology = topology();
        assert_eq!(topology.cpus.len(), online_cpus() as usize);
        for (cpu, node) in nodes_of_cpus() {
            assert_eq!(topology.node_of(cpu), node, "cpu {cpu}");
        }
    }

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
