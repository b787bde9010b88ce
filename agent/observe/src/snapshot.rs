//! Who is there: every thread of the host, at start and once a tick.
//!
//! The kernel's task iterator is the better source: it makes the threads' records and sees all
//! threads in one pass, without a file to open for each. `/proc` is the fall-back.

mod iterator;
mod proc_files;

use std::collections::BTreeSet;

pub(crate) use self::iterator::bills as iterator_bills;
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
    Iterator {
        iterator: TaskIterator,
        /// For processes that the kernel keeps from its iterator.
        files: ProcFiles,
        /// The programs of those, as of the last listing of all threads.
        hidden: BTreeSet<String>,
    },
    Procfs {
        files: ProcFiles,
        /// Why the iterator is not used.
        reason: String,
    },
}

impl Snapshot {
    /// Makes the source that is asked for, or the best that this kernel allows. `all_processes`
    /// says whether [`Snapshot::processes`] lists those outside the root cgroup too.
    pub(crate) fn open(
        wanted: Option<ThreadSource>,
        probes: &Probes,
        hierarchy: &Hierarchy,
        all_processes: bool,
    ) -> Result<Self, ObserveError> {
        let files = ProcFiles::open(probes, hierarchy, all_processes)?;
        let reason = match wanted {
            Some(ThreadSource::Procfs) => "asked for".to_owned(),
            _ => match TaskIterator::load(probes, hierarchy.root_id(), all_processes) {
                Ok(iterator) => {
                    return Ok(Self::Iterator {
                        iterator,
                        files,
                        hidden: BTreeSet::new(),
                    });
                }
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
        Ok(Self::Procfs { files, reason })
    }

    /// Gives every thread a record and reports all of them.
    pub(crate) fn threads(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        match self {
            Self::Iterator {
                iterator,
                files,
                hidden,
            } => {
                let mut rows = iterator.threads()?;
                let seen: BTreeSet<u32> = rows.iter().map(|row| row.tgid).collect();
                let missing = files.threads_of(|tgid| !seen.contains(&tgid))?;
                // No record for these: a kernel that keeps a process from BPF does not run programs
                // for it either, and half of a thread's changes would tell less than nothing.
                *hidden = missing.iter().map(|row| row.program.clone()).collect();
                rows.extend(missing);
                Ok(rows)
            }
            Self::Procfs { files, .. } => files.threads(),
        }
    }

    /// Reports the user processes in the root cgroup, or wherever they are, one row each.
    pub(crate) fn processes(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        match self {
            Self::Iterator { iterator, .. } => iterator.processes(),
            Self::Procfs { files, .. } => files.processes(),
        }
    }

    /// Programs of processes that the kernel keeps from the iterator.
    pub(crate) fn hidden(&self) -> Vec<&str> {
        match self {
            Self::Iterator { hidden, .. } => hidden.iter().map(String::as_str).collect(),
            Self::Procfs { .. } => Vec::new(),
        }
    }

    /// The source in use, and why it is not the better one.
    pub(crate) fn source(&self) -> (ThreadSource, Option<&str>) {
        match self {
            Self::Iterator { .. } => (ThreadSource::Iterator, None),
            Self::Procfs { reason, .. } => (ThreadSource::Procfs, Some(reason)),
        }
    }
}
