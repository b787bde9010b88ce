//! `cargo xtask fuzz`: feeds the decoders with whatever a fuzzer makes up.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;

/// What is fuzzed: the targets in `tests/fuzz`.
const TARGETS: [&str; 4] = [
    "history_files",
    "journal_files",
    "recording_files",
    "recording_messages",
];

/// The recording that the fuzzer begins with.
const SEED: &str = "tests/golden/fleet.rec";

/// Feed the decoders with whatever a fuzzer makes up, for some time each.
///
/// What is found is kept in `tests/fuzz/artifacts`. It wants `cargo-fuzz`, and a C++ compiler.
#[derive(clap::Args)]
pub(crate) struct FuzzArgs {
    /// Only this target
    #[arg(value_parser = TARGETS)]
    target: Option<String>,

    /// How long each target is fuzzed, in seconds
    #[arg(long, default_value_t = 300)]
    seconds: u32,
}

pub(crate) fn run(args: &FuzzArgs) -> Result<ExitCode> {
    let folder = workspace::root().join("tests/fuzz");
    let is_there = Command::new(workspace::cargo())
        .args(["fuzz", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    ensure!(
        is_there,
        "cargo-fuzz is not installed; to install it, run: cargo install --locked cargo-fuzz"
    );
    seeds(&folder)?;
    let chosen = TARGETS
        .into_iter()
        .filter(|target| args.target.as_deref().is_none_or(|only| only == *target));
    for target in chosen {
        fuzz(&folder, target, args.seconds)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn seeds(folder: &Path) -> Result<()> {
    let status = Command::new(workspace::cargo())
        .current_dir(folder)
        .args(["run", "--quiet", "--release", "--bin", "seeds", "--"])
        .arg(workspace::root().join(SEED))
        .arg(folder.join("corpus"))
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "making seeds failed ({status})");
    Ok(())
}

fn fuzz(folder: &Path, target: &str, seconds: u32) -> Result<()> {
    // Without a sanitizer: the decoder has no unsafe code, and a stable compiler has none. Overflows
    // and failed assertions are found.
    let status = Command::new(workspace::cargo())
        .current_dir(folder)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["fuzz", "run", "--fuzz-dir", ".", "--sanitizer", "none"])
        .args(["--debug-assertions", target, "--"])
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=65536", "-rss_limit_mb=2048", "-timeout=20"])
        .args(["-print_final_stats=1", "-verbosity=0"])
        .status()
        .context("starting cargo fuzz")?;
    if !status.success() {
        bail!("{target}: the fuzzer found something ({status}); it is in tests/fuzz/artifacts");
    }
    eprintln!("xtask fuzz: {target}: nothing found in {seconds} s");
    Ok(())
}
