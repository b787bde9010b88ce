//! A command that begins as an agent: in a cgroup of its own, and on CPUs of a node.
//!
//! Whatever a process is set to before it runs is passed on to all that descend from it; so this is done
//! between its birth and its program, where nothing of it runs yet that would have to be moved.
#![expect(
    unsafe_code,
    reason = "what is done between fork and exec, set_mempolicy and attributes have no safe wrapper"
)]

use std::{
    ffi::CString,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    errno::Errno,
    libc,
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    sys::{prctl, signal::Signal},
    unistd::Pid,
};

use crate::{CpuList, HostError, kernel::usual};

/// `MPOL_PREFERRED` of the kernel: memory comes from a node, and from others where that has none left.
const PREFERRED: libc::c_int = 1;

/// Nodes that a mask of one word can name.
const MOST_NODES: u32 = u64::BITS;

/// Tells cgroups that were made here from those that somebody has prepared.
const MADE_HERE: &std::ffi::CStr = c"user.hostler.exec";

/// How often it is tried to make a cgroup whose group goes away meanwhile, with its last agent.
const TRIES: u32 = 16;

/// A cgroup that was made for one agent. It is gone when this is dropped, if nothing runs in it any more, and
/// so is its group, if it was made for agents as well and has no other.
#[derive(Debug)]
pub struct OwnCgroup {
    root: PathBuf,
    folder: PathBuf,
    group: PathBuf,
    /// Held for as long as this is there: nobody else begins in it.
    _lock: File,
}

/// Where a command begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// The CPUs on which it begins.
    pub cpus: Option<CpuList>,
    /// The node on which it stays, with its memory; `None` if it may run anywhere once it has begun.
    pub stays_on: Option<u32>,
}

impl OwnCgroup {
    /// Makes one below the root of the hierarchy. `AlreadyExists` if another one has it, or somebody else has
    /// made it.
    pub fn make(root: &Path, group: &str, agent: &str) -> Result<Self, HostError> {
        let group = root.join(group);
        let folder = group.join(agent);
        for _ in 0..TRIES {
            made(&group)?;
            match make_and_lock(&folder) {
                Ok(Some(lock)) => {
                    return Ok(Self {
                        root: root.to_owned(),
                        folder,
                        group,
                        _lock: lock,
                    });
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("making", &folder, source)),
            }
        }
        let source = io::Error::other("it is removed again and again");
        Err(failed("making", &folder, source))
    }

    /// Its directory.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether no process is in it or below it.
    pub fn is_empty(&self) -> Result<bool, HostError> {
        let file = self.folder.join("cgroup.events");
        is_empty(&self.folder).map_err(|source| failed("reading", &file, source))
    }

    /// The CPUs on which a command that this thread starts in it may run.
    pub fn cpus(&self) -> Result<CpuList, HostError> {
        let own = own_cpus()?;
        let is_own = |cpu: &usize| own.is_set(*cpu).unwrap_or(false);
        let own = (0..CpuSet::count()).filter(is_own);
        let own: CpuList = own.filter_map(|cpu| u32::try_from(cpu).ok()).collect();
        let cpuset = usual::of_cgroup(&self.root, &self.folder)?;
        Ok(cpuset.map_or_else(|| own.clone(), |cpuset| own.common(&cpuset)))
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
        if is_made_here(&self.group) {
            let _stays = fs::remove_dir(&self.group);
        }
    }
}

/// Makes a group, unless it is there.
fn made(group: &Path) -> Result<(), HostError> {
    match fs::create_dir(group) {
        Ok(()) => mark(group).map_err(|source| {
            // Unmarked, nobody would ever remove it.
            let _gone = fs::remove_dir(group);
            failed("marking", group, source)
        }),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(source) => Err(failed("making", group, source)),
    }
}

/// Makes an agent's cgroup, or takes what one that was killed has left; `None` if it was removed meanwhile.
fn make_and_lock(folder: &Path) -> io::Result<Option<File>> {
    let taken = || io::Error::from(io::ErrorKind::AlreadyExists);
    let is_new = match fs::create_dir(folder) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    let lock = File::open(folder)?;
    lock.try_lock().map_err(|_| taken())?;
    // Whoever had it before may have removed it before it was locked here.
    if fs::metadata(folder).map(|there| there.ino()).ok() != Some(lock.metadata()?.ino()) {
        return Ok(None);
    }
    if is_new {
        // Unmarked, nobody would ever take it.
        mark(folder).inspect_err(|_| drop(fs::remove_dir(folder)))?;
    } else if !is_made_here(folder) || !is_empty(folder)? {
        return Err(taken());
    }
    Ok(Some(lock))
}

fn is_empty(folder: &Path) -> io::Result<bool> {
    let text = fs::read_to_string(folder.join("cgroup.events"))?;
    Ok(text.lines().any(|line| line == "populated 0"))
}

fn mark(folder: &Path) -> io::Result<()> {
    let path = CString::new(folder.as_os_str().as_bytes())?;
    // SAFETY: both texts end with a zero and live until after the call, which reads them; no value is read,
    // as its length is 0. The standard library has no attributes of files.
    let outcome =
        unsafe { libc::setxattr(path.as_ptr(), MADE_HERE.as_ptr(), std::ptr::null(), 0, 0) };
    Errno::result(outcome).map_err(io::Error::from).map(drop)
}

fn is_made_here(folder: &Path) -> bool {
    let Ok(path) = CString::new(folder.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: both texts end with a zero and live until after the call, which reads them; nothing is written,
    // as there is room for 0 bytes. The standard library has no attributes of files.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), MADE_HERE.as_ptr(), std::ptr::null_mut(), 0) };
    length >= 0
}

/// Has a command begin in a cgroup, and somewhere. It is told to end when the thread that starts it is gone.
pub fn begin_in(cgroup: &OwnCgroup, begin: &Begin, command: &mut Command) -> Result<(), HostError> {
    let mut door = cgroup.door()?;
    let before = own_cpus()?;
    let cpus = begin.cpus.as_ref().map(cpu_set).transpose();
    let cpus = cpus.map_err(of_own_cpus)?;
    let stays_on = begin.stays_on;
    let mask = stays_on.filter(|&node| node < MOST_NODES);
    let mask = mask.map(|node| 1_u64 << node);
    let set_up = move || {
        prctl::set_pdeathsig(Signal::SIGTERM)?;
        // Of whoever writes it.
        door.write_all(b"0")?;
        if let Some(mask) = mask {
            prefer(mask)?;
        }
        if let Some(cpus) = cpus {
            let went = sched_setaffinity(Pid::from_raw(0), &cpus);
            if stays_on.is_some() {
                went?;
            } else {
                // It is on one of them now, if it could be, and what it touches first is there.
                sched_setaffinity(Pid::from_raw(0), &before)?;
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec only what is safe in a signal handler may be called. This writes to a
    // file that is open already and makes four system calls; it takes no lock and no memory. The standard
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

fn own_cpus() -> Result<CpuSet, HostError> {
    sched_getaffinity(Pid::from_raw(0)).map_err(of_own_cpus)
}

fn of_own_cpus(errno: Errno) -> HostError {
    let path = Path::new("/proc/self");
    failed("asking for the CPUs of", path, errno.into())
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
