//! What the kernel side has counted for one agent, cumulative since its slot was given.

use crate::{
    block_io::BlockIo,
    ledger::Ledger,
    run_queue::RunQueue,
    shared::{SharedU32, SharedU64},
};

/// One agent's record, one element of the map `AGENTS`.
///
/// The ledger, which every change of a thread's state touches, has a cache line of its own. The
/// record is set to zero only between two agents, when nothing writes to it.
#[repr(C, align(64))]
pub struct AgentRecord {
    /// Where the time of the agent's threads went.
    pub ledger: Ledger,
    /// The generation under which the slot is given now, see [`crate::slot::SlotLease`].
    pub generation: SharedU32,
    /// Set by user space: views per CPU are to count this agent, see
    /// [`crate::run_queue::cpu_view`].
    pub selected: SharedU32,
    /// What the agent's threads waited and ran.
    pub run_queue: RunQueue,
    /// What the agent's threads read and wrote.
    pub block_io: BlockIo,
    /// The agent's processes that the kernel ended because memory ran out.
    pub oom_kills: SharedU64,
}

const _: () = assert!(size_of::<AgentRecord>() == 3200);
