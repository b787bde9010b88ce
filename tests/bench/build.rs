//! Builds the empty kernel program that the bench subtracts.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use libbpf_cargo::SkeletonBuilder;

fn main() -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/probes/empty.bpf.c");
    println!("cargo::rerun-if-changed={}", source.display());
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    // Debian keeps `asm/types.h` apart by architecture, and clang does not look there for BPF.
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").context("cargo sets the architecture")?;
    let headers = format!("-I/usr/include/{architecture}-linux-gnu");
    SkeletonBuilder::new()
        .source(&source)
        .clang_args(["-Wall", "-Wextra", "-Werror", &headers])
        .obj(out.join("empty.o"))
        .build()
        .map(|_warnings| ())
        .with_context(|| {
            format!(
                "building {} with clang; to mend it, run: scripts/setup",
                source.display()
            )
        })
}
