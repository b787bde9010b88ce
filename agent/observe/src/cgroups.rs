//! The v2 cgroup hierarchy as files: where it is mounted, and what is in it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use procfs::process::Process;

use crate::ObserveError;

/// The v2 hierarchy of this host.
#[derive(Clone, Debug)]
pub(crate) struct Hierarchy {
    root: PathBuf,
    root_id: u64,
}

/// A cgroup that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundCgroup {
    /// Its id, the inode number of its directory.
    pub(crate) id: u64,
    /// Its path below the root, without a leading slash.
    pub(crate) path: String,
}

/// Where the v2 hierarchy is mounted.
pub fn cgroup_root() -> Result<PathBuf, ObserveError> {
    Ok(Hierarchy::find()?.root)
}

impl Hierarchy {
    /// Finds where the hierarchy is mounted.
    pub(crate) fn find() -> Result<Self, ObserveError> {
        let mounts = Process::myself()
            .and_then(|process| process.mountinfo())
            .map_err(|error| ObserveError::read("/proc/self/mountinfo", io::Error::other(error)))?;
        let root = mounts
            .into_iter()
            // A part of the hierarchy that is mounted elsewhere is not the hierarchy.
            .filter(|mount| mount.fs_type == "cgroup2" && mount.root == "/")
            .map(|mount| mount.mount_point)
            .next()
            .ok_or(ObserveError::NoCgroupV2)?;
        let metadata = fs::metadata(&root).map_err(|error| ObserveError::read(&root, error))?;
        Ok(Self {
            root_id: metadata.ino(),
            root,
        })
    }

    /// Where it is mounted.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The root's own id.
    pub(crate) fn root_id(&self) -> u64 {
        self.root_id
    }

    /// Every cgroup below the root. What vanishes meanwhile is left out.
    pub(crate) fn scan(&self) -> Vec<FoundCgroup> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let path = entry.path();
                if let Ok(metadata) = entry.metadata() {
                    found.push(FoundCgroup {
                        id: metadata.ino(),
                        path: self.name_of(&path),
                    });
                }
                folders.push(path);
            }
        }
        found
    }

    /// The id of the cgroup at a path below the root, if it is there.
    pub(crate) fn id_at(&self, path: &str) -> Option<u64> {
        let folder = self.root.join(path.trim_start_matches('/'));
        fs::metadata(folder).ok().map(|metadata| metadata.ino())
    }

    fn name_of(&self, folder: &Path) -> String {
        folder
            .strip_prefix(&self.root)
            .unwrap_or(folder)
            .to_string_lossy()
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_below_the_root_is_found_with_its_inode() {
        let root = tempfile::tempdir().expect("a temporary folder");
        fs::create_dir_all(root.path().join("agents/a1")).expect("new folders");
        fs::write(root.path().join("agents/cgroup.procs"), "").expect("a new file");
        let hierarchy = Hierarchy {
            root: root.path().to_owned(),
            root_id: 1,
        };
        let mut found = hierarchy.scan();
        found.sort_by(|left, right| left.path.cmp(&right.path));
        let paths: Vec<&str> = found.iter().map(|cgroup| cgroup.path.as_str()).collect();
        assert_eq!(paths, ["agents", "agents/a1"]);
        assert_eq!(Some(found[1].id), hierarchy.id_at("/agents/a1"));
    }
}
