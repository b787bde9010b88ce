//! The shape of a host: which CPUs share a core, a cache, a package and a NUMA node, and how far the
//! nodes are from each other.

use std::collections::BTreeMap;

/// A host's shape. CPUs that are offline are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Where each CPU is, by its number.
    pub cpus: BTreeMap<u32, CpuPlace>,
    /// The NUMA nodes, by their numbers; those without CPUs included.
    pub nodes: BTreeMap<u32, Node>,
    /// The size of each last-level cache in bytes, by the number that [`CpuPlace::l3`] gives it; 0 if it
    /// is not known.
    pub l3_bytes: Vec<u64>,
}

/// Where a CPU is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuPlace {
    /// The package, as the kernel numbers it.
    pub package: u32,
    /// The last-level cache, numbered from 0 over all packages; `None` without one.
    pub l3: Option<u32>,
    /// The core, numbered from 0 over all packages.
    pub core: u32,
    /// The NUMA node.
    pub node: u32,
}

/// A NUMA node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its memory, in bytes.
    pub memory_bytes: u64,
    /// How far other nodes' memory is, and its own, as the firmware tells it: 10 stands for the
    /// latency of a node's own memory. Empty where it does not tell.
    pub distances: BTreeMap<u32, u64>,
}

impl Topology {
    /// The node of a CPU; 0 for one that is not known.
    pub fn node_of(&self, cpu: u32) -> u32 {
        self.cpus.get(&cpu).map_or(0, |place| place.node)
    }

    /// The CPUs of a node, in order.
    pub fn cpus_of_node(&self, node: u32) -> impl Iterator<Item = (u32, CpuPlace)> {
        let cpus = self.cpus.iter().map(|(&cpu, &place)| (cpu, place));
        cpus.filter(move |(_, place)| place.node == node)
    }

    /// How far the memory of `to` is from the CPUs of `from`; where the firmware does not tell, 10 of the
    /// same node and 20 of others, as the kernel has it.
    pub fn distance(&self, from: u32, to: u32) -> u64 {
        let told = self.nodes.get(&from);
        let told = told.and_then(|node| node.distances.get(&to).copied());
        told.unwrap_or(if from == to { 10 } else { 20 })
    }

    /// Whether threads can be on one node and their memory on another.
    pub fn has_several_nodes(&self) -> bool {
        self.nodes.len() > 1
    }
}
