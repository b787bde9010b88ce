//! The files below `/proc`, where the task iterator can't be had.
//!
//! A thread's record is made by a system call on a descriptor of the thread. Kernels before 6.9
//! give such descriptors to processes' first threads only: there, other threads that are older
//! than Hostler stay without a record, and their switches are counted as lost. What a thread is
//! doing is known from its first change of state on, and a process in the root cgroup that runs
//! another program stays its parent's.
#![allow(
    unsafe_code,
    reason = "no crate in use wraps pidfd_open or updates of task storage"
)]

use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use hostler_common::{
    block_io::UNKNOWN_BYTES, faults::UNKNOWN_FAULTS, thread_record::ThreadRecord,
};
use nix::{errno::Errno, libc};
use procfs::process::{Process, Stat, StatFlags, Task};

use crate::{ObserveError, cgroups::Hierarchy, probes::Probes, processes::ThreadRow};

/// `PIDFD_THREAD`: a descriptor of one thread, not of its process.
const PIDFD_THREAD: libc::c_int = libc::O_EXCL;

pub(crate) struct ProcFiles {
    records: OwnedFd,
    hierarchy: Hierarchy,
    all_processes: bool,
    /// Ids of cgroups by path: looking them up anew for each thread would double the cost.
    cgroup_ids: BTreeMap<String, u64>,
}

impl ProcFiles {
    pub(crate) fn open(
        probes: &Probes,
        hierarchy: &Hierarchy,
        all_processes: bool,
    ) -> Result<Self, ObserveError> {
        let records = probes
            .descriptor("THREADS")?
            .try_clone_to_owned()
            .map_err(|error| ObserveError::refused("THREADS", error))?;
        Ok(Self {
            records,
            hierarchy: hierarchy.clone(),
            all_processes,
            cgroup_ids: BTreeMap::new(),
        })
    }

    /// Gives every thread a record, and reports them.
    pub(crate) fn threads(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        let rows = self.threads_of(|_| true)?;
        for row in &rows {
            if let Err(errno) = self.make_record(row) {
                tracing::debug!(row.tid, %errno, "a thread got no record");
            }
        }
        Ok(rows)
    }

    /// Reports the threads of the wanted processes.
    pub(crate) fn threads_of(
        &mut self,
        wanted: impl Fn(u32) -> bool,
    ) -> Result<Vec<ThreadRow>, ObserveError> {
        let mut rows = Vec::new();
        self.cgroup_ids.clear();
        for process in every_process()? {
            if !wanted(process.pid.unsigned_abs()) {
                continue;
            }
            let Some(row) = self.row(&process) else {
                continue;
            };
            let tasks = process.tasks().into_iter().flatten().flatten();
            rows.extend(tasks.map(|task| ThreadRow {
                tid: task.tid.unsigned_abs(),
                ..row.clone()
            }));
        }
        Ok(rows)
    }

    /// Reports the user processes in the root cgroup, or wherever they are.
    pub(crate) fn processes(&mut self) -> Result<Vec<ThreadRow>, ObserveError> {
        self.cgroup_ids.clear();
        let (root_id, anywhere) = (self.hierarchy.root_id(), self.all_processes);
        let rows = every_process()?
            .into_iter()
            .filter_map(|process| self.row(&process))
            .filter(|row| (anywhere || row.cgroup_id == root_id) && !row.kernel_thread);
        Ok(rows.collect())
    }

    fn row(&mut self, process: &Process) -> Option<ThreadRow> {
        let stat = process.stat().ok()?;
        let path = process
            .cgroups()
            .ok()?
            .0
            .into_iter()
            .find(|group| group.hierarchy == 0)?;
        let cgroup_id = self.cgroup_id(path.pathname)?;
        Some(ThreadRow {
            cgroup_id,
            started_ticks: stat.starttime,
            // Where a program's stack begins is drawn by lot at each exec.
            exec_id: stat.startstack,
            tid: stat.pid.unsigned_abs(),
            tgid: stat.pid.unsigned_abs(),
            // The records of threads can't be read here.
            by_rule: None,
            session: stat.session.unsigned_abs(),
            parent: stat.ppid.unsigned_abs(),
            uid: process.uid().ok()?,
            kernel_thread: is_kernel_thread(&stat),
            program: stat.comm,
        })
    }

    fn cgroup_id(&mut self, path: String) -> Option<u64> {
        if let Some(&id) = self.cgroup_ids.get(&path) {
            return Some(id);
        }
        let id = self.hierarchy.id_at(&path)?;
        self.cgroup_ids.insert(path, id);
        Some(id)
    }

    /// Gives a thread a record of which only the bytes and faults so far are known, unless it has
    /// one.
    fn make_record(&self, row: &ThreadRow) -> Result<(), Errno> {
        /// `BPF_NOEXIST`: fail if there is a record.
        const ONLY_NEW: u64 = 1;
        let pidfd = open_thread(row.tid)?;
        let key = pidfd.as_raw_fd();
        let (read_bytes, written_bytes) = bytes_so_far(row);
        let (minor_faults, major_faults) = faults_so_far(row);
        let record = ThreadRecord {
            read_bytes,
            written_bytes,
            minor_faults,
            major_faults,
            ..ThreadRecord::default()
        };
        // SAFETY: key and value are of the sizes that the map was made with, and outlive the call.
        let outcome = unsafe {
            libbpf_rs::libbpf_sys::bpf_map_update_elem(
                self.records.as_raw_fd(),
                (&raw const key).cast(),
                (&raw const record).cast(),
                ONLY_NEW,
            )
        };
        match outcome {
            0 => Ok(()),
            error if Errno::from_raw(-error) == Errno::EEXIST => Ok(()),
            error => Err(Errno::from_raw(-error)),
        }
    }
}

fn every_process() -> Result<Vec<Process>, ObserveError> {
    let all = procfs::process::all_processes()
        .map_err(|error| ObserveError::read("/proc", std::io::Error::other(error)))?;
    Ok(all.flatten().collect())
}

/// What a thread has read and written before there was a record of it. The file takes more rights
/// than loading programs does.
fn bytes_so_far(row: &ThreadRow) -> (u64, u64) {
    task(row)
        .and_then(|task| task.io().ok())
        .map_or((UNKNOWN_BYTES, UNKNOWN_BYTES), |io| {
            (io.read_bytes, io.write_bytes)
        })
}

/// A thread's faults before there was a record of it, minor and major ones.
fn faults_so_far(row: &ThreadRow) -> (u64, u64) {
    task(row)
        .and_then(|task| task.stat().ok())
        .map_or((UNKNOWN_FAULTS, UNKNOWN_FAULTS), |stat| {
            (stat.minflt, stat.majflt)
        })
}

fn task(row: &ThreadRow) -> Option<Task> {
    let process = Process::new(row.tgid.try_into().ok()?).ok()?;
    process.task_from_tid(row.tid.try_into().ok()?).ok()
}

/// A descriptor of one thread, or of a process by its first thread on kernels before 6.9.
fn open_thread(tid: u32) -> Result<OwnedFd, Errno> {
    let open = |flags: libc::c_int| {
        // SAFETY: the call takes two integers.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, tid, flags) };
        let fd = i32::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
        // SAFETY: the kernel has just opened it for us, and nobody else knows it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    match open(PIDFD_THREAD) {
        Err(Errno::EINVAL) => open(0),
        outcome => outcome,
    }
}

fn is_kernel_thread(stat: &Stat) -> bool {
    stat.flags()
        .is_ok_and(|flags| flags.contains(StatFlags::PF_KTHREAD))
}
