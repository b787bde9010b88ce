//! The privileged tests again, in guests with other kernels and shapes.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::tally::{Outcome, Tally};
use crate::{
    verify,
    vm::{
        MEMORY_MIB,
        matrix::{self, GuestReport, Request},
    },
};

/// Runs them, and writes all outcomes to `summary` if that is wanted.
pub(super) fn run(tally: &mut Tally, summary: Option<&Path>) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        tally.skip(
            "guests",
            "the guests run the host's programs on an emulated x86-64",
        );
        return Ok(());
    }
    tally.add(exit_code()?);
    let reports = matrix::run(&Request {
        memory_mib: MEMORY_MIB,
        ..Request::default()
    })?;
    for report in &reports {
        tally.add(outcome(report));
    }
    if let Some(path) = summary {
        matrix::write(&reports, path)?;
    }
    Ok(())
}

/// What each kernel's verifier makes of each program.
pub(super) fn verifier(tally: &mut Tally) {
    let name = "verifier's bill";
    if !cfg!(target_arch = "x86_64") {
        tally.skip(
            name,
            "the guests run the host's programs on an emulated x86-64",
        );
        return;
    }
    println!("\n=== {name}");
    let outcome = match verify::check() {
        Ok((differences, mut remarks)) => {
            for line in &differences {
                println!("{line}");
            }
            if !differences.is_empty() {
                let count = differences.len();
                remarks.push(format!("{count} figures differ: cargo xtask verify"));
            }
            Outcome::check(name, differences.is_empty(), remarks.join(", "))
        }
        Err(error) => {
            println!("{error:#}");
            Outcome::check(name, false, "it could not be made".to_owned())
        }
    };
    tally.add(outcome);
}

fn outcome(report: &GuestReport) -> Outcome {
    let counts = report.counts();
    Outcome {
        name: report.title(),
        passed: counts.passed,
        failed: counts.failed,
        skipped: counts.skipped,
        remark: report.remark(),
    }
}

/// What runs in the guest returns its exit code here.
fn exit_code() -> Result<Outcome> {
    let name = "guest's exit code";
    println!("\n=== {name}");
    let status = Command::new(env::current_exe().context("finding this program")?)
        .args(["vm", "--kernel", "6.1", "--", "sh", "-c", "exit 7"])
        .stdin(Stdio::null())
        .status()
        .context("starting a guest")?;
    let remark = format!("`exit 7` gave {status}");
    println!("{remark}");
    Ok(Outcome::check(name, status.code() == Some(7), remark))
}
