//! What can be changed on a host, and to what.

use serde::{Deserialize, Serialize};

use crate::CpuList;

/// A thread that can't be taken for a later one with the same number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Thread {
    /// Its process.
    pub pid: u32,
    /// The thread.
    pub tid: u32,
    /// When it was started, in clock ticks since the host was.
    pub started: u64,
}

/// Something that can be changed, and put back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "knob", rename_all = "snake_case")]
pub enum Knob {
    /// The CPUs on which a thread may run.
    Affinity(Thread),
}

/// What a knob is set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// CPUs.
    Cpus(CpuList),
}

/// A knob that is to be changed, or was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    #[serde(flatten)]
    pub knob: Knob,
    /// What it was.
    pub old: Value,
    /// What it is to be.
    pub new: Value,
}
