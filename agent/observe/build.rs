//! Builds the kernel programs that this crate carries inside: the Rust object with the compiler
//! for the BPF target, the C snapshot with clang.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use hostler_ebpf_build::{Toolchain, build, sources};
use libbpf_cargo::SkeletonBuilder;

fn main() -> Result<()> {
    // As cargo says now, not as it was when this was compiled: a copied target folder must not
    // build the programs of the tree that it came from.
    let package = env::var_os("CARGO_MANIFEST_DIR").context("cargo sets CARGO_MANIFEST_DIR")?;
    let root = Path::new(&package).join("../..").canonicalize()?;
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    probes(&root, &out)?;
    snapshot(&root, &out)
}

fn probes(root: &Path, out: &Path) -> Result<()> {
    for source in sources() {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    let toolchain = Toolchain::find()?;
    // Below OUT_DIR would mean one more compiled `core` for each profile and feature set.
    let object = build(root, &root.join("target/bpf"), &toolchain)?;
    let copy = out.join("probes.o");
    fs::copy(&object, &copy)
        .with_context(|| format!("copying {} to {}", object.display(), copy.display()))?;
    Ok(())
}

fn snapshot(root: &Path, out: &Path) -> Result<()> {
    let source = root.join("ebpf/snapshot/threads.bpf.c");
    println!("cargo::rerun-if-changed={}", source.display());
    SkeletonBuilder::new()
        .source(&source)
        // v3 has atomic exchanges of 32 bits.
        .clang_args([
            "-mcpu=v3",
            "-Wall",
            "-Wextra",
            "-Werror",
            &multiarch_headers(),
        ])
        .obj(out.join("threads.o"))
        .build()
        .map(|_warnings| ())
        .with_context(|| {
            format!(
                "building {} with clang; to mend it, run: scripts/setup",
                source.display()
            )
        })
}

/// Debian keeps `asm/types.h` apart by architecture, and clang does not look there for BPF.
fn multiarch_headers() -> String {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    format!("-I/usr/include/{architecture}-linux-gnu")
}
