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

/// CPUs that a cgroup of the v2 hierarchy has.
const EFFECTIVE: &str = "cpuset.cpus.effective";

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
            None => (&self.v2, EFFECTIVE),
        };
        let own = cgroups.into_iter().find(|cgroup| match self.v1 {
            Some(_) => cgroup.controllers.iter().any(|name| name == "cpuset"),
            None => cgroup.hierarchy == 0,
        });
        let below = own.map_or_else(String::new, |own| own.pathname);
        nearest(root, &root.join(below.trim_start_matches('/')), file)
    }
}

/// The CPUs of the cpuset of a cgroup in the v2 hierarchy at `root` that are online.
pub(crate) fn of_cgroup(root: &Path, folder: &Path) -> Result<Option<CpuList>, HostError> {
    nearest(root, folder, EFFECTIVE)
}

/// What a file of a cgroup says, or of the next one above that has it: a cgroup whose parent does not hand
/// the controller down has what its parent has. All CPUs that are online where none has it.
fn nearest(root: &Path, folder: &Path, file: &str) -> Result<Option<CpuList>, HostError> {
    let above = folder.ancestors();
    for folder in above.take_while(|folder| folder.starts_with(root)) {
        if let Some(cpus) = list(&folder.join(file))? {
            return Ok(Some(cpus));
        }
    }
    list(Path::new(ONLINE))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_that_was_handed_no_cpuset_has_that_of_the_one_above() {
        let root = tempfile::tempdir().expect("there is room");
        let agent = root.path().join("group/agent");
        fs::create_dir_all(&agent).expect("there is room");
        let cpus = || of_cgroup(root.path(), &agent).expect("it can be read");
        assert_eq!(cpus(), list(Path::new(ONLINE)).expect("it can be read"));
        fs::write(root.path().join("group").join(EFFECTIVE), "2-3\n").expect("there is room");
        assert_eq!(cpus(), Some([2, 3].into_iter().collect()));
        fs::write(agent.join(EFFECTIVE), "3\n").expect("there is room");
        assert_eq!(cpus(), Some([3].into_iter().collect()));
    }
}
