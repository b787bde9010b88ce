//! What the kernel side has counted for one agent, cumulative since its slot was given.

use crate::{
    block_io::BlockIo, faults::Faults, ledger::Ledger, run_queue::RunQueue, shared::SharedU64,
};

/// A part of what one agent did, one element of the map `AGENTS`: that on some of the CPUs, see
/// [`crate::slot::record_index`].
///
/// The ledger, which every change of a thread's state touches, has a cache line of its own. The
/// record is set to zero only between two agents, when nothing writes to it.
#[repr(C, align(64))]
pub struct AgentRecord {
    /// Where the time of the agent's threads went.
    pub ledger: Ledger,
    /// What the agent's threads waited and ran.
    pub run_queue: RunQueue,
    /// What the agent's threads read and wrote.
    pub block_io: BlockIo,
    /// Page faults of the agent's threads.
    pub faults: Faults,
    /// The agent's processes that the kernel ended because memory ran out.
    pub oom_kills: SharedU64,
}

const _: () = assert!(size_of::<AgentRecord>() == 3200);
