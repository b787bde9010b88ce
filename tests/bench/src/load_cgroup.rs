//! A cgroup for the loads, so that they are an agent of their own as on a real host.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

/// A cgroup of the bench; removed when dropped.
pub(crate) struct LoadCgroup(PathBuf);

impl LoadCgroup {
    pub(crate) fn make() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("reading the mounts")?;
        let root = mount_point(&mounts).context("no cgroup v2 hierarchy is mounted")?;
        let path = root.join(format!("hostler-bench-{}", std::process::id()));
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

/// Where a v2 hierarchy is mounted.
fn mount_point(mounts: &str) -> Option<&Path> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (place, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| Path::new(place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v2_hierarchy_is_found_beside_v1_ones() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let expected = Some(Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(mount_point(mounts), expected);
        assert_eq!(mount_point("proc /proc proc rw 0 0\n"), None);
    }
}
