//! The initramfs: busybox, the modules to reach the host's files, and what the guest is to run.
//!
//! It is built for every run: that takes milliseconds, and nothing in it can be out of date.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::cpio;
use super::kernel::Kernel;
use super::modules;

/// What the guest runs, as `init/run.sh` finds it.
pub(super) struct Program<'a> {
    /// A script for the host's `/bin/sh`.
    pub(super) script: &'a [u8],
    /// Variables of the guest's own scripts, as lines of shell.
    pub(super) settings: &'a str,
}

pub(super) fn build(kernel: &Kernel, busybox: &Path, program: &Program) -> Result<Vec<u8>> {
    let modules = modules::needed(&kernel.modules, busybox)?;
    let busybox = fs::read(busybox).with_context(|| format!("reading {}", busybox.display()))?;
    let order: String = modules
        .iter()
        .flat_map(|module| [module.name.as_str(), "\n"])
        .collect();

    let mut archive = cpio::Archive::new();
    for directory in ["bin", "modules", "guest"] {
        archive.directory(directory);
    }
    archive.file("init", 0o755, include_bytes!("init/boot.sh"));
    archive.file("bin/busybox", 0o755, &busybox);
    for module in &modules {
        archive.file(&format!("modules/{}", module.name), 0o644, &module.content);
    }
    archive.file("modules/order", 0o644, order.as_bytes());
    archive.file("guest/run.sh", 0o755, include_bytes!("init/run.sh"));
    archive.file("guest/settings", 0o644, program.settings.as_bytes());
    archive.file("guest/command", 0o755, program.script);
    Ok(archive.finish())
}
