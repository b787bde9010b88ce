//! The fleet's cgroups: one for each agent and server, gone with the fleet.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::hierarchy::v2_root;

/// How the folders are called, with the fleet's process id behind it.
const PREFIX: &str = "hostler-fleet-";

/// How long processes may take to end after they were killed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A folder of cgroups. Ends all that runs in it, and removes it, when dropped.
pub(crate) struct Tree(PathBuf);

impl Tree {
    /// Makes an empty one in the v2 hierarchy.
    pub(crate) fn make() -> Result<Self> {
        let root = v2_root()?;
        remove_abandoned(&root);
        let path = root.join(format!("{PREFIX}{}", std::process::id()));
        fs::create_dir(&path)
            .with_context(|| format!("making {} (it needs root)", path.display()))?;
        Ok(Self(path))
    }

    /// Makes a cgroup in it.
    pub(crate) fn cgroup(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(path)
    }

    fn children(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let entries = fs::read_dir(&self.0).into_iter().flatten();
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        paths.filter(|path| path.is_dir())
    }

    /// Removes it, if nothing runs in it.
    fn remove(&self) -> std::io::Result<()> {
        for child in self.children() {
            fs::remove_dir(child)?;
        }
        fs::remove_dir(&self.0)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Without it, only what has ended by itself can be removed.
        let _unsupported = fs::write(self.0.join("cgroup.kill"), "1");
        let give_up = Instant::now() + PATIENCE;
        while let Err(error) = self.remove() {
            if Instant::now() > give_up {
                eprintln!("fleet: {} is left behind: {error}", self.0.display());
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Removes what a fleet left that was killed: its agents ended with it, their cgroups did not.
fn remove_abandoned(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        if !Path::new("/proc").join(pid).exists() {
            drop(Tree(entry.path()));
        }
    }
}
