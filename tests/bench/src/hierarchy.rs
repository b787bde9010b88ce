//! Where cgroups can be made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Where the v2 hierarchy is mounted.
pub(crate) fn v2_root() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("reading the mounts")?;
    let root = mount_point(&mounts).context("no cgroup v2 hierarchy is mounted")?;
    Ok(root.to_owned())
}

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
