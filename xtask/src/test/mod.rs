//! `cargo xtask test`: everything that this machine can check, and a count of it.
//!
//! Tests keep their own runners; this reads the lines by which they close, so that one sum stands
//! at the end. What can't run here is skipped, with its reason, and counted.

mod guests;
mod step;
mod tally;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use self::{
    step::{cargo, has_cargo_tool},
    tally::Tally,
};

const AFTER_HELP: &str = "\
It checks format and lints, runs all tests of the workspace (those that load programs into the \
kernel need root, and are skipped without), and runs the latter again in guests with other \
kernels.";

/// Run every test that this machine can run.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct TestArgs {
    /// Leave the guests out.
    #[arg(long)]
    quick: bool,

    /// Write what each test in the guests came to to FILE, as JSON.
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    summary: Option<PathBuf>,
}

pub(crate) fn run(args: &TestArgs) -> Result<ExitCode> {
    let mut tally = Tally::default();
    if has_cargo_tool("fmt") {
        tally.add(cargo("format", &["fmt", "--all", "--check"])?);
    } else {
        tally.skip("format", "rustfmt is not installed");
    }
    if has_cargo_tool("clippy") {
        let words = [
            "clippy",
            "--quiet",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ];
        tally.add(cargo("lints", &words)?);
    } else {
        tally.skip("lints", "clippy is not installed");
    }
    tally.add(cargo("tests", &["test", "--no-fail-fast"])?);
    if args.quick {
        tally.skip("guests", "left out by --quick");
    } else {
        guests::run(&mut tally, args.summary.as_deref())?;
        guests::verifier(&mut tally);
    }
    println!("\n{}", tally.summary());
    Ok(if tally.is_green() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
