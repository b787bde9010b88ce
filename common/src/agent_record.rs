//! What the kernel side has counted for one agent, cumulative since its slot was given.

use crate::shared::SharedU32;

use crate::run_queue::RunQueue;

/// One agent's record, one element of the map `AGENTS`.
///
/// It is set to zero only between two agents, when nothing writes to it.
#[repr(C, align(64))]
pub struct AgentRecord {
    /// The generation under which the slot is given now, see [`crate::slot::SlotLease`].
    pub generation: SharedU32,
    /// Set by user space: views per CPU are to count this agent, see
    /// [`crate::run_queue::cpu_view`].
    pub selected: SharedU32,
    /// What the agent's threads waited and ran.
    pub run_queue: RunQueue,
}

const _: () = assert!(size_of::<AgentRecord>() == 3136);
