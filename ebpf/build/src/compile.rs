//! One run of cargo for the BPF target.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, Toolchain};

const TARGET: &str = "bpfel-unknown-none";
const PROFILE: &str = "ebpf";
const BINARY: &str = "hostler-probes";

/// Debug info becomes BTF, which names map types and lets the kernel check them. `v3` of the
/// instruction set has atomic exchanges and 32-bit arithmetic; Linux knows it since 5.12.
const RUSTFLAGS: &str = "-C debuginfo=2 -C link-arg=--btf -C target-cpu=v3";

/// Variables by which an outer cargo would steer this one: compiler, wrappers (clippy's among
/// them), flags, target folder.
const OUTER_CARGO: [&str; 9] = [
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_MAKEFLAGS",
    "CARGO_TARGET_DIR",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTUP_TOOLCHAIN",
    "MAKEFLAGS",
];

/// Folders and files, relative to the workspace, from which the object is made.
pub fn sources() -> [&'static str; 4] {
    [
        "ebpf/src",
        "ebpf/Cargo.toml",
        "common/src",
        "common/Cargo.toml",
    ]
}

/// Builds the kernel programs of the workspace at `root` and returns the object's path. What is
/// up to date is not built again. Cargo works in `target_folder`, which must not be an outer
/// cargo's own: two cargos in one folder wait for each other.
pub fn build(root: &Path, target_folder: &Path, toolchain: &Toolchain) -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from);
    let mut command = Command::new(&cargo);
    command
        .current_dir(root)
        .args(["build", "--quiet", "--package", "hostler-ebpf"])
        .args([
            "--profile",
            PROFILE,
            "--target",
            TARGET,
            "-Z",
            "build-std=core",
        ])
        .arg("--target-dir")
        .arg(target_folder);
    for name in OUTER_CARGO {
        command.env_remove(name);
    }
    command
        .env("RUSTC", &toolchain.rustc)
        // Debian's compiler is a stable one that must accept unstable flags for this target.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", RUSTFLAGS)
        .env("PATH", path_with(&toolchain.linker_folder));
    let status = command.status().map_err(|source| Error::Start {
        program: cargo,
        source,
    })?;
    if !status.success() {
        return Err(Error::Compile {
            status,
            toolchain: format!("{} ({})", toolchain.origin, toolchain.rustc.display()),
        });
    }
    Ok(target_folder.join(TARGET).join(PROFILE).join(BINARY))
}

fn path_with(folder: &Path) -> OsString {
    let mut path = folder.as_os_str().to_owned();
    if let Some(rest) = env::var_os("PATH") {
        path.push(":");
        path.push(rest);
    }
    path
}
