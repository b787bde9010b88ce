//! A reason for which an agent got no further.

use serde::Serialize;

use super::evidence::Blame;

/// Time that an agent's threads lost, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The thread time lost, in ns; never more than the agent's threads had.
    pub cost_ns: u64,
    /// To what.
    #[serde(flatten)]
    pub why: Why,
}

/// What cost the time, with the numbers that say so. Serialised, the field `reason` names the
/// variant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Why {
    /// Its threads waited for each other's CPUs.
    OwnThreads(Blame),
    /// One other agent took the CPU from it, or held the one that it was woken for.
    OtherAgent {
        /// Whose threads.
        cause: String,
        /// How often and how long.
        #[serde(flatten)]
        blame: Blame,
    },
    /// So did several agents, none of which stands out.
    ManyAgents {
        /// How many.
        agents: u64,
        /// Who of them cost most.
        foremost: String,
        /// How often and how long all of them.
        #[serde(flatten)]
        blame: Blame,
    },
    /// So did kernel threads.
    KernelThreads(Blame),
    /// So did threads that are attributed to no agent.
    UnattributedThreads(Blame),
    /// Interrupts had the CPU that it waited for.
    Interrupts(Blame),
    /// No thread held the CPU that it waited for.
    NoThread(Blame),
    /// Long waits in which others ran than those to whom they were laid: several threads took turns
    /// on the CPU.
    Turns,
    /// Waits too short to be laid to anybody.
    ShortWaits {
        /// How many.
        waits: u64,
        /// How many waits of any length came after a wake-up, in percent.
        woken_percent: u64,
    },
    /// Waits whose beginning or end lies outside of the window: their cause is not known.
    WaitsBeyondWindow,
    /// Its group's CPU quota was used up.
    Throttled,
    /// Blocked uninterruptibly on block I/O.
    BlockedOnIo,
    /// Blocked uninterruptibly on something else.
    Blocked,
}
