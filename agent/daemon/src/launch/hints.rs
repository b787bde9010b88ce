//! The file by which an agent that runs learns how many threads its pools had better have.
//!
//! It is written by root, and its folder may be anywhere: so it is only written where nobody else could put
//! something in its way.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{libc, unistd::geteuid};
use serde::Serialize;

use super::{LaunchError, LaunchOrder};

/// Others may write.
const WRITABLE: u32 = 0o022;

/// The agent may run as another user.
const READABLE: u32 = 0o644;

/// A file with hints. It is gone when this is dropped.
pub(super) struct HintFile {
    folder: PathBuf,
    group: PathBuf,
    path: PathBuf,
    hints: Hints,
    is_failing: bool,
}

/// What stands in it, as JSON on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct Hints {
    /// How many threads a pool of computing threads had better have.
    threads: u32,
    /// The node on which the agent began, if that was chosen.
    node: Option<u32>,
}

impl HintFile {
    pub(super) fn write(
        order: &LaunchOrder,
        threads: u32,
        node: Option<u32>,
    ) -> Result<Self, LaunchError> {
        let group = order.hints.join(&order.group);
        let file = Self {
            path: group.join(format!("{}.json", order.agent)),
            folder: order.hints.clone(),
            group,
            hints: Hints { threads, node },
            is_failing: false,
        };
        file.replace().map_err(|source| LaunchError::Hints {
            path: file.path.clone(),
            source,
        })?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn threads(&self) -> u32 {
        self.hints.threads
    }

    /// Says that it had better have so many threads. Where that can't be written, the older hint holds.
    pub(super) fn resize(&mut self, threads: u32) {
        if threads == self.hints.threads {
            return;
        }
        let before = std::mem::replace(&mut self.hints.threads, threads);
        match self.replace() {
            Ok(()) => {
                self.is_failing = false;
                tracing::info!(threads, before, "its pools had better have other sizes");
            }
            Err(error) => {
                self.hints.threads = before;
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::warn!(path = %self.path.display(), %error, "its hints can't be written");
                }
            }
        }
    }

    /// Whoever reads it finds the one before or this one, whole.
    fn replace(&self) -> io::Result<()> {
        // Another agent that is the last of its group removes the folder, whenever it ends.
        self.replace_once().or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => self.replace_once(),
            _ => Err(error),
        })
    }

    fn replace_once(&self) -> io::Result<()> {
        for folder in [&self.folder, &self.group] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(folder)?;
            check(folder)?;
        }
        let beside = self.beside();
        let _none_left = fs::remove_file(&beside);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&beside)?;
        file.set_permissions(Permissions::from_mode(READABLE))?;
        file.write_all((serde_json::to_string(&self.hints)? + "\n").as_bytes())?;
        fs::rename(&beside, &self.path)
    }

    fn beside(&self) -> PathBuf {
        self.path.with_extension("json.new")
    }
}

/// Whether a folder is ours alone to write to.
fn check(folder: &Path) -> io::Result<()> {
    let found = fs::symlink_metadata(folder)?;
    let is_ours = found.is_dir()
        && found.uid() == geteuid().as_raw()
        && found.permissions().mode() & WRITABLE == 0;
    if is_ours {
        Ok(())
    } else {
        let path = folder.display();
        Err(io::Error::other(format!(
            "others may write to {path}: they could put something in its way"
        )))
    }
}

impl Drop for HintFile {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
        let _none_left = fs::remove_file(self.beside());
        // Its group's folder stays while others have files there.
        let _stays = fs::remove_dir(&self.group);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::{super::NodeChoice, *};

    fn order(folder: &Path) -> LaunchOrder {
        LaunchOrder {
            group: "agents".to_owned(),
            agent: "coder".to_owned(),
            node: NodeChoice::Any,
            threads: None,
            hints: folder.to_owned(),
            command: Vec::new(),
        }
    }

    #[test]
    fn hints_are_replaced_as_a_whole_and_gone_at_the_end() {
        let folder = tempfile::tempdir().expect("there is room");
        let mut hints = HintFile::write(&order(folder.path()), 6, Some(1)).expect("there is room");
        let path = folder.path().join("agents/coder.json");
        let read = || fs::read_to_string(&path).expect("it is there");
        assert_eq!(read(), "{\"threads\":6,\"node\":1}\n");
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, READABLE);
        hints.resize(4);
        assert_eq!(read(), "{\"threads\":4,\"node\":1}\n");
        let files = fs::read_dir(folder.path().join("agents")).expect("it is there");
        assert_eq!(files.count(), 1);
        drop(hints);
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
    }

    #[test]
    fn a_folder_that_went_away_is_made_again() {
        let folder = tempfile::tempdir().expect("there is room");
        let mut hints = HintFile::write(&order(folder.path()), 6, None).expect("there is room");
        fs::remove_dir_all(folder.path().join("agents")).expect("it is there");
        hints.resize(4);
        assert!(folder.path().join("agents/coder.json").exists());
    }

    #[test]
    fn nothing_is_written_where_others_could_put_something_in_its_way() {
        let folder = tempfile::tempdir().expect("there is room");
        let open = folder.path().join("open");
        fs::create_dir(&open).expect("there is room");
        fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("it is ours");
        assert!(HintFile::write(&order(&open), 6, None).is_err());
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("there is room");
        symlink(&elsewhere, folder.path().join("agents")).expect("there is room");
        assert!(HintFile::write(&order(folder.path()), 6, None).is_err());
        assert_eq!(fs::read_dir(&elsewhere).expect("it is there").count(), 0);
    }

    #[test]
    fn a_link_that_lies_in_its_way_is_not_followed() {
        let folder = tempfile::tempdir().expect("there is room");
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").expect("there is room");
        fs::create_dir(folder.path().join("agents")).expect("there is room");
        symlink(&victim, folder.path().join("agents/coder.json.new")).expect("there is room");
        let hints = HintFile::write(&order(folder.path()), 6, None).expect("it is written");
        assert_eq!(
            fs::read_to_string(&victim).expect("it is there"),
            "precious"
        );
        drop(hints);
    }
}
