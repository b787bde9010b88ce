//! Who is there: every thread of the host, at start and once a tick.
//!
//! The kernel's task iterator is the better source: it makes the threads' records, sees all
//! threads at one instant and costs a fortieth. `/proc` is the fall-back.

mod iterator;
mod proc_files;

use std::os::fd::{AsFd, BorrowedFd};

use hostler_common::slot::ProcessLease;

use self::{iterator::TaskIterator, proc_files::ProcFiles};
use crate::{ObserveError, cgroups::Hierarchy, probes::Probes, processes::ThreadRow};

/// Where the list of threads comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadSource {
    /// The kernel's task iterator, by a program in `ebpf/snapshot`.
    Iterator,
    /// The files below `/proc`.
    Procfs,
}

/// A source of threads, ready for use.
pub(crate) enum Snapshot {
    Iterator(TaskIterator),
    Procfs {
        files: ProcFiles,
        /// Why the iterator is not used.
        reason: String,
    },
}

impl Snapshot {
    /// Makes the source that is asked for, or the best that this kernel allows.
    pub(crate) fn open(
        wanted: Option<ThreadSource>,
        probes: &Probes,
        hierarchy: &Hierarchy,
    ) -> Result<Self, ObserveError> {
        let reason = match wanted {
            Some(ThreadSource::Procfs) => "asked for".to_owned(),
            _ => match TaskIterator::load(probes, hierarchy.root_id()) {
                Ok(iterator) => return Ok(Self::Iterator(iterator)),
                Err(error) if wanted.is_some() => return Err(error),
                Err(error) => error.to_string(),
            },
        };
        if wanted.is_none() {
            tracing::warn!(
                reason,
                "threads are listed from /proc, not by the task iterator"
            );
        }
        Ok(Self::Procfs {
            files: ProcFiles::open(probes, hierarchy)?,
            reason,
        })
    }

    /// Gives every thread a record and reports all of them.
    pub(crate) fn threads(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        match self {
            Self::Iterator(iterator) => iterator.threads(),
            Self::Procfs { files, .. } => files.threads(),
        }
    }

    /// Reports the user processes in the root cgroup, one row each.
    pub(crate) fn root_processes(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        match self {
            Self::Iterator(iterator) => iterator.root_processes(),
            Self::Procfs { files, .. } => files.root_processes(),
        }
    }

    /// Says whose a process in the root cgroup is, from the next snapshot on at the latest.
    pub(crate) fn assign(&mut self, tgid: u32, lease: ProcessLease) -> Result<(), ObserveError> {
        match self {
            Self::Iterator(iterator) => iterator.assign(tgid, lease),
            Self::Procfs { files, .. } => {
                files.assign(tgid, lease);
                Ok(())
            }
        }
    }

    /// A process is gone.
    pub(crate) fn forget(&mut self, tgid: u32) {
        if let Self::Iterator(iterator) = self {
            iterator.forget(tgid);
        }
    }

    /// The map that only the iterator has.
    pub(crate) fn process_slots(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Iterator(iterator) => Some(iterator.process_slots().as_fd()),
            Self::Procfs { .. } => None,
        }
    }

    /// The source in use, and why it is not the better one.
    pub(crate) fn source(&self) -> (ThreadSource, Option<&str>) {
        match self {
            Self::Iterator(_) => (ThreadSource::Iterator, None),
            Self::Procfs { reason, .. } => (ThreadSource::Procfs, Some(reason)),
        }
    }
}
