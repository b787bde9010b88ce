//! The user's cache of what a guest needs: made once, whole or not at all, shared by all runs.

use std::cell::OnceCell;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

const SCRATCH_PREFIX: &str = ".making-";

/// The cache. A run that has something to add locks out the others that have, until it ends.
pub(super) struct Cache {
    root: PathBuf,
    lock: OnceCell<File>,
}

impl Cache {
    pub(super) fn open() -> Result<Self> {
        let root = root()?;
        fs::create_dir_all(&root).with_context(|| format!("making {}", root.display()))?;
        Ok(Self {
            root,
            lock: OnceCell::new(),
        })
    }

    /// Makes this run the only one that adds to the cache; waits while another one does.
    fn lock(&self) -> Result<()> {
        if self.lock.get().is_some() {
            return Ok(());
        }
        let path = self.root.join("lock");
        let lock = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
        if let Err(TryLockError::WouldBlock) = lock.try_lock() {
            eprintln!(
                "xtask vm: waiting for another run to fill {}",
                self.root.display()
            );
            lock.lock()
                .with_context(|| format!("locking {}", path.display()))?;
        }
        remove_abandoned_scratch(&self.root);
        self.lock.get_or_init(|| lock);
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// The entry `name`; `fill` makes its content in an empty directory if it isn't there yet.
    pub(super) fn entry(
        &self,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let entry = self.root.join(name);
        if entry.exists() {
            return Ok(entry);
        }
        self.lock()?;
        if entry.exists() {
            return Ok(entry);
        }
        let scratch = scratch_dir(&self.root)?;
        let content = scratch.path().join("content");
        fs::create_dir(&content).with_context(|| format!("making {}", content.display()))?;
        fill(&content)?;
        fs::rename(&content, &entry)
            .with_context(|| format!("moving {} to {}", content.display(), entry.display()))?;
        Ok(entry)
    }
}

/// Where the cache is.
pub(super) fn root() -> Result<PathBuf> {
    let cache = dirs::cache_dir().context("no cache directory: HOME is not set")?;
    Ok(cache.join("hostler/vm"))
}

/// A directory that goes with its owner; what a killed run left is removed by the next.
pub(super) fn scratch_dir(root: &Path) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(SCRATCH_PREFIX)
        .tempdir_in(root)
        .with_context(|| format!("making a directory in {}", root.display()))
}

/// Only the lock's holder makes scratch directories, so those found now belong to nobody.
fn remove_abandoned_scratch(root: &Path) {
    for entry in fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
    {
        if entry
            .file_name()
            .to_string_lossy()
            .starts_with(SCRATCH_PREFIX)
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}
