//! A command that begins as an agent: in a cgroup of its own, with its memory on a node.
//!
//! Whatever a process is set to before it runs is passed on to all that descend from it; so this is done
//! between its birth and its program, where nothing of it runs yet that would have to be moved.
#![expect(
    unsafe_code,
    reason = "what is done between fork and exec, and set_mempolicy, have no safe wrapper"
)]

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    errno::Errno,
    libc,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::{CpuList, HostError};

/// `MPOL_PREFERRED` of the kernel: memory comes from a node, and from others where that has none left.
const PREFERRED: libc::c_int = 1;

/// Nodes that a mask of one word can name.
const MOST_NODES: u32 = u64::BITS;

/// A cgroup that was made for one agent. It is gone when this is dropped, if nothing runs in it any more.
#[derive(Debug)]
pub struct OwnCgroup {
    folder: PathBuf,
    /// Its group's, if that was made for it.
    group: Option<PathBuf>,
}

/// Where a command begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// The node from which its memory comes, if it has any left.
    pub node: Option<u32>,
    /// The CPUs on which it begins.
    pub cpus: Option<CpuList>,
    /// Whether it stays on these, or may run anywhere once it is there.
    pub stays: bool,
}

impl OwnCgroup {
    /// Makes one below the root of the hierarchy; the name of its group may be one of several parts.
    pub fn make(root: &Path, group: &str, agent: &str) -> Result<Self, HostError> {
        let group = root.join(group);
        let has_group = group.exists();
        fs::create_dir_all(&group).map_err(|source| failed("making", &group, source))?;
        let folder = group.join(agent);
        let own = Self {
            group: (!has_group).then_some(group),
            folder,
        };
        match fs::create_dir(&own.folder) {
            Ok(()) => Ok(own),
            // What one that was killed has left may be taken, if nobody is in it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && own.is_empty()? => {
                Ok(own)
            }
            Err(source) => Err(failed("making", &own.folder.clone(), source)),
        }
    }

    /// Its directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether no process is in it or below it.
    pub fn is_empty(&self) -> Result<bool, HostError> {
        let file = self.folder.join("cgroup.events");
        let text = fs::read_to_string(&file).map_err(|source| failed("reading", &file, source))?;
        Ok(text.lines().any(|line| line == "populated 0"))
    }

    fn door(&self) -> Result<File, HostError> {
        let path = self.folder.join("cgroup.procs");
        let opened = OpenOptions::new().write(true).open(&path);
        opened.map_err(|source| failed("opening", &path, source))
    }
}

impl Drop for OwnCgroup {
    fn drop(&mut self) {
        // One in which something still runs stays, and so does a group with other agents.
        let _stays = fs::remove_dir(&self.folder);
        if let Some(group) = &self.group {
            let _stays = fs::remove_dir(group);
        }
    }
}

/// Has a command begin in a cgroup, and somewhere.
pub fn begin_in(cgroup: &OwnCgroup, begin: &Begin, command: &mut Command) -> Result<(), HostError> {
    let mut door = cgroup.door()?;
    let before = sched_getaffinity(Pid::from_raw(0)).map_err(|errno| own_affinity(errno.into()))?;
    let cpus = begin.cpus.as_ref().map(cpu_set).transpose();
    let cpus = cpus.map_err(|errno| own_affinity(errno.into()))?;
    let mask = begin.node.filter(|&node| node < MOST_NODES);
    let mask = mask.map(|node| 1_u64 << node);
    let stays = begin.stays;
    let set_up = move || {
        // Of whoever writes it.
        door.write_all(b"0")?;
        if let Some(mask) = mask {
            prefer(mask)?;
        }
        if let Some(cpus) = cpus {
            sched_setaffinity(Pid::from_raw(0), &cpus)?;
            // It is on one of them now, and what it touches first is there.
            if !stays {
                sched_setaffinity(Pid::from_raw(0), &before)?;
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only what is safe in a signal handler may be called. This writes to a
    // file that is open already and makes three system calls; it takes no lock and no memory. The standard
    // library has no other way to do something there.
    unsafe {
        command.pre_exec(set_up);
    }
    Ok(())
}

/// Has this thread's memory, and that of all that descend from it, come from the nodes of a mask.
fn prefer(mask: u64) -> io::Result<()> {
    // SAFETY: the kernel reads one word at the address of `mask`, which lives until after the call; it is
    // told of one bit more than there are, as it takes one off. There is no safe wrapper for this call.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_set_mempolicy,
            PREFERRED,
            &raw const mask,
            libc::c_ulong::from(MOST_NODES + 1),
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn cpu_set(cpus: &CpuList) -> Result<CpuSet, Errno> {
    let mut set = CpuSet::new();
    for cpu in cpus.iter() {
        set.set(cpu as usize)?;
    }
    Ok(set)
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> HostError {
    HostError::File {
        what,
        path: path.to_owned(),
        source,
    }
}

fn own_affinity(source: io::Error) -> HostError {
    failed("asking for the CPUs of", Path::new("/proc/self"), source)
}
