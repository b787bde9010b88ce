//! What carrying out steps needs of a host. There are two: this one, and one that is made up, which fails
//! and ends wherever a test wants it to.

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

use crate::{CpuList, Knob, Thread, Value};

/// Which processes an agent is, so that its threads can be found again, also by whoever comes later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    /// All in a v2 cgroup, but not in those below it.
    Cgroup {
        /// Its path below the root of the hierarchy.
        path: PathBuf,
        /// The number of its directory, which is its id: another may be made under its name.
        id: u64,
    },
    /// These processes, by their first threads. Those that descend from them may be another agent's.
    Processes(Vec<Thread>),
}

/// A thread as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub thread: Thread,
    /// The CPUs on which it may run.
    pub cpus: CpuList,
    /// The CPUs on which it could run if nobody had restricted it itself.
    pub usual: CpuList,
    /// Whether the kernel runs it before all others: such threads were placed with care.
    pub is_realtime: bool,
}

impl Found {
    /// Whether it has of these CPUs those that it can have, and not all that it usually could.
    pub(crate) fn is_placed_on(&self, cpus: &CpuList) -> bool {
        let wanted = self.usual.common(cpus);
        self.cpus == wanted && wanted != self.usual
    }
}

/// What a host refuses.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file could not be read or written.
    #[error("{what} {}: {source}", path.display())]
    File {
        /// What was to be done with it.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds what nobody expects there.
    #[error("{} holds '{found}'", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What, from its beginning.
        found: String,
    },
    /// A thread's CPUs could not be read or set.
    #[error("{what} the CPUs of thread {tid} of process {pid}: {source}", pid = thread.pid, tid = thread.tid)]
    Affinity {
        /// What was to be done.
        what: &'static str,
        /// Which thread.
        thread: Thread,
        /// Why not.
        source: io::Error,
    },
}

/// What a knob is set to, beside what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// That.
    Same,
    /// Something else.
    Other(Value),
    /// It is not there any more.
    Gone,
}

impl Compared {
    /// What was read, beside what it should be.
    pub(crate) fn of(read: Option<Value>, with: &Value) -> Self {
        match read {
            None => Self::Gone,
            Some(found) if found == *with => Self::Same,
            Some(found) => Self::Other(found),
        }
    }
}

/// A host whose knobs can be read and changed.
pub trait Host {
    /// All threads of an agent that are there now. Those that end meanwhile are left out.
    fn threads(&mut self, members: &Members) -> Result<Vec<Found>, HostError>;

    /// The same, and those of processes that descend from them: they have what these gave them.
    fn family(&mut self, members: &Members) -> Result<Vec<Found>, HostError>;

    /// The processes of an agent, by their first threads.
    fn processes(&mut self, members: &Members) -> Result<Vec<Thread>, HostError>;

    /// What a knob is set to; `None` if it is not there any more.
    fn read(&mut self, knob: &Knob) -> Result<Option<Value>, HostError>;

    /// Whether a knob is set to something else. All that was set is asked for this again and again.
    fn compare(&mut self, knob: &Knob, with: &Value) -> Result<Compared, HostError>;

    /// Sets a knob; `false` if it is not there any more. One that has taken another's number is not
    /// touched.
    fn write(&mut self, knob: &Knob, value: &Value) -> Result<bool, HostError>;
}
