//! The file by which an agent that runs learns how many threads its pools had better have.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{LaunchError, LaunchOrder};

/// A file with hints. It is gone when this is dropped.
pub(super) struct HintFile {
    path: PathBuf,
    hints: Hints,
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
        let folder = order.hints.join(&order.group);
        let file = Self {
            path: folder.join(format!("{}.json", order.agent)),
            hints: Hints { threads, node },
        };
        let written = fs::create_dir_all(&folder).and_then(|()| file.replace());
        written.map_err(|source| LaunchError::Hints {
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
            Ok(()) => tracing::info!(threads, before, "its pools had better have other sizes"),
            Err(error) => {
                self.hints.threads = before;
                tracing::warn!(path = %self.path.display(), %error, "its hints can't be written");
            }
        }
    }

    /// Whoever reads it finds the one before or this one, whole.
    fn replace(&self) -> io::Result<()> {
        let beside = self.path.with_extension("json.new");
        let text = serde_json::to_string(&self.hints)? + "\n";
        fs::write(&beside, text)?;
        fs::rename(&beside, &self.path)
    }
}

impl Drop for HintFile {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.path);
        // Its group's folder stays while others have files there.
        if let Some(folder) = self.path.parent() {
            let _stays = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::NodeChoice, *};

    #[test]
    fn hints_are_replaced_as_a_whole_and_gone_at_the_end() {
        let folder = tempfile::tempdir().expect("there is room");
        let order = LaunchOrder {
            group: "agents".to_owned(),
            agent: "coder".to_owned(),
            node: NodeChoice::Any,
            threads: None,
            hints: folder.path().to_owned(),
            command: Vec::new(),
        };
        let mut hints = HintFile::write(&order, 6, Some(1)).expect("there is room");
        let path = folder.path().join("agents/coder.json");
        let read = || fs::read_to_string(&path).expect("it is there");
        assert_eq!(read(), "{\"threads\":6,\"node\":1}\n");
        hints.resize(4);
        assert_eq!(read(), "{\"threads\":4,\"node\":1}\n");
        assert_eq!(
            fs::read_dir(path.parent().expect("a folder"))
                .expect("it is there")
                .count(),
            1
        );
        drop(hints);
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 0);
    }
}
