//! Where this workspace lies.

use std::path::{Path, PathBuf};

/// The workspace's root folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace's root")
}

/// Where kernel programs are compiled: not cargo's own target folder, which an outer cargo locks.
pub(crate) fn bpf_target_folder() -> PathBuf {
    root().join("target/bpf")
}
