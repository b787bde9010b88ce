//! Which compiler for the BPF target this machine has.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Error;

const SETUP: &str = "scripts/setup";
const ADD_RUST_SRC: &str = "rustup component add rust-src --toolchain nightly";

/// A complete tool chain for the BPF target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The compiler proper.
    pub rustc: PathBuf,
    /// The folder that holds `bpf-linker`.
    pub linker_folder: PathBuf,
    /// Where it comes from, for messages.
    pub origin: &'static str,
}

impl Toolchain {
    /// Finds a complete tool chain: rustup's nightly first, since who installed `rust-src` meant
    /// it, then Debian's.
    pub fn find() -> Result<Self, Error> {
        let (rustc, origin) = find_compiler()?;
        let linker_folder = find_linker().ok_or(Error::NoLinker { mend: SETUP })?;
        Ok(Self {
            rustc,
            linker_folder,
            origin,
        })
    }
}

fn find_compiler() -> Result<(PathBuf, &'static str), Error> {
    let mut findings = Vec::new();
    let nightly = rustup_nightly();
    match &nightly {
        Some(rustc) if has_core_source(rustc) => {
            return Ok((rustc.clone(), "rustup's nightly"));
        }
        Some(_) => findings.push("rustup's nightly has no rust-src".to_owned()),
        None => findings.push("rustup has no nightly".to_owned()),
    }
    let debian = Path::new("/usr/bin/rustc");
    if !debian.exists() {
        findings.push("Debian's rustc-web is not installed".to_owned());
    } else if !has_core_source(debian) {
        findings.push("/usr/bin/rustc has no core source (Debian: rust-web-src)".to_owned());
    } else {
        return Ok((debian.to_owned(), "Debian's rustc-web"));
    }
    let apt = Path::new("/usr/bin/apt-get").exists();
    let mend = match (apt, nightly) {
        (true, _) => SETUP,
        (false, Some(_)) => ADD_RUST_SRC,
        (false, None) => "rustup toolchain install nightly --component rust-src",
    };
    Err(Error::NoCompiler { findings, mend })
}

fn rustup_nightly() -> Option<PathBuf> {
    let output = Command::new("rustup")
        .args(["which", "--toolchain", "nightly", "rustc"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| PathBuf::from(path.trim()))
}

/// `-Z build-std=core` compiles `core` from here.
fn has_core_source(rustc: &Path) -> bool {
    let Ok(output) = Command::new(rustc).args(["--print", "sysroot"]).output() else {
        return false;
    };
    let sysroot = String::from_utf8_lossy(&output.stdout);
    Path::new(sysroot.trim())
        .join("lib/rustlib/src/rust/library/core/src/lib.rs")
        .exists()
}

/// `cargo install` puts it into cargo's own folder, which need not be in PATH.
fn find_linker() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let cargo_home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    env::split_paths(&path)
        .chain(cargo_home.map(|home| home.join("bin")))
        .find(|folder| folder.join("bpf-linker").is_file())
}
