//! The CPUs that a process has if nobody has restricted its threads themselves: those of its cpuset.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use super::{is_gone, there};
use crate::{CpuList, HostError};

/// CPUs that are online.
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// Where cpusets are.
#[derive(Debug)]
pub(super) struct Cpusets {
    /// The v2 hierarchy.
    v2: PathBuf,
    /// The v1 hierarchy of cpusets, if there is one: then the other has none.
    v1: Option<PathBuf>,
}

impl Cpusets {
    pub(super) fn of_host(v2: &Path) -> Result<Self, HostError> {
        let mounts = procfs::mounts().map_err(|error| HostError::File {
            what: "reading",
            path: PathBuf::from("/proc/mounts"),
            source: io::Error::other(error),
        })?;
        let v1 = mounts
            .into_iter()
            .find(|mount| mount.fs_vfstype == "cgroup" && mount.fs_mntops.contains_key("cpuset"));
        Ok(Self {
            v2: v2.to_owned(),
            v1: v1.map(|mount| PathBuf::from(mount.fs_file)),
        })
    }

    /// The CPUs of a process's cpuset that are online; `None` if it is gone.
    pub(super) fn of_process(&self, pid: u32) -> Result<Option<CpuList>, HostError> {
        let cgroups = Process::new(pid.cast_signed()).and_then(|process| process.cgroups());
        let Some(cgroups) = there(cgroups, &format!("/proc/{pid}/cgroup"))? else {
            return Ok(None);
        };
        let (root, file) = match &self.v1 {
            Some(root) => (root, "cpuset.effective_cpus"),
            None => (&self.v2, "cpuset.cpus.effective"),
        };
        let own = cgroups.into_iter().find(|cgroup| match self.v1 {
            Some(_) => cgroup.controllers.iter().any(|name| name == "cpuset"),
            None => cgroup.hierarchy == 0,
        });
        let below = own.map_or_else(String::new, |own| own.pathname);
        let mut folder = root.join(below.trim_start_matches('/'));
        // A cgroup whose parent does not hand the controller down has what its parent has.
        while folder.starts_with(root) {
            if let Some(cpus) = list(&folder.join(file))? {
                return Ok(Some(cpus));
            }
            if !folder.pop() {
                break;
            }
        }
        list(Path::new(ONLINE))
    }
}

/// The CPUs that a file tells of; `None` if it is not there.
fn list(path: &Path) -> Result<Option<CpuList>, HostError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if is_gone(&error) => return Ok(None),
        Err(source) => {
            return Err(HostError::File {
                what: "reading",
                path: path.to_owned(),
                source,
            });
        }
    };
    let cpus = text.parse().map_err(|_| HostError::Content {
        path: path.to_owned(),
        found: text.chars().take(80).collect(),
    });
    cpus.map(Some)
}
