//! Processes, told from later ones with their numbers.
//!
//! A process is there for as long as any of its threads is: its first one may have ended before the others.

use std::collections::BTreeSet;

use procfs::{ProcError, process::Process};

use super::{there, tids};
use crate::{HostError, Thread};

/// What is dead and waits for its parent to ask how it ended.
const DEAD: [char; 2] = ['Z', 'X'];

/// The process with a number, by its first thread; `None` if it is gone.
pub(super) fn by_number(pid: u32) -> Result<Option<Thread>, HostError> {
    let stat = Process::new(pid.cast_signed()).and_then(|process| process.stat());
    let Some(stat) = there(stat, &format!("/proc/{pid}/stat"))? else {
        return Ok(None);
    };
    // The first thread stays among them until the last one has ended.
    let is_there = !DEAD.contains(&stat.state) || tids(pid)?.is_some_and(|tids| tids.len() > 1);
    Ok(is_there.then_some(Thread {
        pid,
        tid: pid,
        started: stat.starttime,
    }))
}

/// Whether a process is there.
pub(super) fn is_there(process: Thread) -> Result<bool, HostError> {
    Ok(by_number(process.pid)?.is_some_and(|found| found.started == process.started))
}

/// Those of some processes that are there.
pub(super) fn those_there(processes: &[Thread]) -> Result<Vec<Thread>, HostError> {
    let mut found = Vec::new();
    for &process in processes {
        if is_there(process)? {
            found.push(process);
        }
    }
    Ok(found)
}

/// Processes that are there, and all that descend from them.
pub(super) fn with_descendants(roots: &[Thread]) -> Result<Vec<Thread>, HostError> {
    let mut next = those_there(roots)?;
    let mut found = BTreeSet::new();
    while let Some(process) = next.pop() {
        if found.insert(process) {
            for child in children(process.pid)? {
                next.extend(by_number(child)?);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// The children of all threads of a process.
fn children(pid: u32) -> Result<Vec<u32>, HostError> {
    let mut all = Vec::new();
    for tid in tids(pid)?.unwrap_or_default() {
        match children_of_thread(pid, tid) {
            Ok(children) => all.extend(children.unwrap_or_default()),
            // A kernel without these lists (CONFIG_PROC_CHILDREN): each process tells of its parent.
            Err(_) => return children_by_parents(pid),
        }
    }
    Ok(all)
}

fn children_of_thread(pid: u32, tid: u32) -> Result<Option<Vec<u32>>, HostError> {
    let path = format!("/proc/{pid}/task/{tid}/children");
    let task = Process::new(pid.cast_signed())
        .and_then(|process| process.task_from_tid(tid.cast_signed()));
    let Some(task) = there(task, &path)? else {
        return Ok(None);
    };
    match task.children() {
        Ok(children) => Ok(Some(children)),
        // Where the thread is there and this file is not, there are no such files.
        Err(error @ ProcError::NotFound(_)) if super::stat(pid, tid)?.is_some() => {
            Err(HostError::File {
                what: "reading",
                path: path.into(),
                source: std::io::Error::other(error),
            })
        }
        Err(error) => there(Err(error), &path),
    }
}

fn children_by_parents(pid: u32) -> Result<Vec<u32>, HostError> {
    let all = procfs::process::all_processes().map_err(|error| HostError::File {
        what: "reading",
        path: "/proc".into(),
        source: std::io::Error::other(error),
    })?;
    let stats = all.flatten().filter_map(|process| process.stat().ok());
    let children = stats.filter(|stat| stat.ppid.cast_unsigned() == pid);
    Ok(children.map(|stat| stat.pid.cast_unsigned()).collect())
}
