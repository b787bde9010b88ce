//! `cargo xtask build-ebpf`: the kernel programs alone, with a clear word on what is missing.

use std::{fs, process::ExitCode};

use anyhow::{Context, Result};
use hostler_ebpf_build::{Toolchain, build};

use crate::workspace;

pub(crate) fn run() -> Result<ExitCode> {
    let toolchain = Toolchain::find()?;
    println!(
        "compiler: {} ({})",
        toolchain.rustc.display(),
        toolchain.origin
    );
    println!(
        "linker:   {}",
        toolchain.linker_folder.join("bpf-linker").display()
    );
    let object = build(
        workspace::root(),
        &workspace::bpf_target_folder(),
        &toolchain,
    )?;
    let size = fs::metadata(&object)
        .with_context(|| format!("reading {}", object.display()))?
        .len();
    println!("object:   {} ({} KiB)", object.display(), size / 1024);
    Ok(ExitCode::SUCCESS)
}
