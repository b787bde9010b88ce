//! `cargo xtask bench`: builds Hostler and its benches as they are released, and runs one.

use std::{
    ffi::OsString,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Measure what Hostler costs on this machine; `cargo xtask bench --help` lists the benches.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct BenchArgs {
    /// The bench and its options.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode> {
    let status = Command::new(workspace::cargo())
        .current_dir(workspace::root())
        .args(["build", "--release", "--quiet"])
        .args(["--package", "hostler", "--package", "hostler-bench"])
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("building hostler and its benches failed ({status})");
    }
    let bench = workspace::target_folder().join("release/hostler-bench");
    let status = Command::new(&bench)
        .args(&args.words)
        .status()
        .with_context(|| format!("starting {}", bench.display()))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
