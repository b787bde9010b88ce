//! Where an agent's threads run, by NUMA node.
//!
//! Kept apart from the agent's other records, since only hosts with several nodes, and who asks, need
//! it.

use crate::shared::SharedU64;

/// Nodes that are told apart; those with higher numbers count as the last.
pub const MAX_NODES: usize = 16;

const _: () = assert!(MAX_NODES.is_power_of_two());

/// Counts of one agent, cumulative; one element of the map `PLACEMENTS`, by slot.
#[repr(C, align(64))]
#[derive(Default)]
pub struct PlacementRecord {
    /// Stretches on CPUs of each node that have ended, in ns.
    pub on_cpu_ns: [SharedU64; MAX_NODES],
    /// How often a thread was put on another CPU.
    pub migrations: SharedU64,
    /// Of these, to another node.
    pub node_migrations: SharedU64,
    /// Keeps the size at whole cache lines.
    pub reserved: [u64; 6],
}

const _: () = assert!(size_of::<PlacementRecord>() == 192);
