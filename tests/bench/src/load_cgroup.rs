//! A cgroup for the loads, so that they are an agent of their own as on a real host.

use std::{fs, path::PathBuf, thread, time::Duration};

use anyhow::{Context, Result};

use crate::hierarchy::v2_root;

/// A cgroup of the bench; removed when dropped.
pub(crate) struct LoadCgroup(PathBuf);

impl LoadCgroup {
    pub(crate) fn make() -> Result<Self> {
        let path = v2_root()?.join(format!("hostler-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    /// The words of a command that moves itself here and becomes the command `words`.
    pub(crate) fn entered_by(&self, words: &[String]) -> Vec<String> {
        const ENTER: &str = r#"echo $$ > "$0/cgroup.procs" && exec "$@""#;
        let path = self.0.display().to_string();
        let mut all = vec!["sh".to_owned(), "-c".to_owned(), ENTER.to_owned(), path];
        all.extend_from_slice(words);
        all
    }
}

impl Drop for LoadCgroup {
    fn drop(&mut self) {
        // Processes that have just ended may still be leaving.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!("bench: {} is left behind", self.0.display());
    }
}
