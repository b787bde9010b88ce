//! One step: a process whose output is shown as it comes, and counted.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

use super::tally::Outcome;
use crate::workspace;

/// Whether `cargo TOOL` can be run.
pub(super) fn has_cargo_tool(tool: &str) -> bool {
    Command::new(workspace::cargo())
        .args([tool, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs cargo in the workspace.
pub(super) fn cargo(name: &str, words: &[&str]) -> Result<Outcome> {
    let mut command = Command::new(workspace::cargo());
    command.args(words);
    run(name, &mut command)
}

/// Runs a command in the workspace, shows what it prints, and counts its tests.
pub(super) fn run(name: &str, command: &mut Command) -> Result<Outcome> {
    println!("\n=== {name}");
    let mut child = command
        .current_dir(workspace::root())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{name}: starting {command:?}"))?;
    let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
    let mut lines = Vec::new();
    for line in output.split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(std::io::stdout(), "{line}")?;
        if line.contains("test result: ") {
            lines.push(line);
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("{name}: waiting for {command:?}"))?;
    Ok(Outcome::of_runner(name, &lines, status.success()))
}
