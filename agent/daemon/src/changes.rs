//! What was changed on this host: its journal, opened together with the host that it tells of.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use hostler_act::{Executor, HostError, Journal, JournalError, Kernel};
use hostler_observe::ObserveError;

/// Why the journal could not be taken up.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// The host has nowhere to look for agents.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The kernel does not say which run of the host this is.
    #[error("which run of the host this is can't be told: {0}")]
    Boot(#[from] procfs::ProcError),
    /// The journal's folder can't be made.
    #[error("making {}: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The journal can't be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The host does not tell what its knobs are set to.
    #[error(transparent)]
    Host(#[from] HostError),
}

/// Opens the journal, or begins one, to change this host and to take changes back.
pub fn open_changes(journal: &Path) -> Result<Executor<Kernel>, ChangesError> {
    if let Some(folder) = journal.parent() {
        let mut folders = fs::DirBuilder::new();
        let made = folders.recursive(true).mode(0o750).create(folder);
        made.map_err(|source| ChangesError::Folder {
            path: folder.to_owned(),
            source,
        })?;
    }
    let boot = procfs::sys::kernel::random::boot_id()?;
    let kernel = Kernel::new(&hostler_observe::cgroup_root()?)?;
    let journal = Journal::open(journal, &boot, now_ms())?;
    Ok(Executor::new(kernel, journal))
}

/// The time of day, in ms since 1970.
pub fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
