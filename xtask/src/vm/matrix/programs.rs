//! The test binaries that guests run.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::vm::session::Program;
use crate::workspace;

/// Tests that depend on how many nodes there are.
pub(super) const SHAPES: &str = "vm";

/// Their targets, in the order in which they run.
const TARGETS: [&str; 2] = ["host", SHAPES];

/// Builds them, to run the tests whose name contains `filter`.
pub(super) fn build(filter: Option<&str>) -> Result<Vec<Program>> {
    let output = Command::new(workspace::cargo())
        .current_dir(workspace::root())
        .args(["test", "--package", "hostler", "--no-run"])
        .args(TARGETS.iter().flat_map(|target| ["--test", target]))
        .args(["--message-format", "json", "--quiet"])
        .stderr(Stdio::inherit())
        .output()
        .context("building the privileged tests")?;
    if !output.status.success() {
        bail!("building the privileged tests failed ({})", output.status);
    }
    let messages: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let program = |name: &'static str| {
        let path = messages
            .iter()
            .filter(|message| message["target"]["name"] == name)
            .find_map(|message| message["executable"].as_str().map(PathBuf::from))
            .with_context(|| format!("cargo did not say where the tests `{name}` are"))?;
        // One at a time: an emulated machine is too slow for tests that wait for each other.
        let fixed = ["--format", "json", "--test-threads=1"].map(str::to_owned);
        let filter = filter.map(str::to_owned);
        Ok(Program {
            name,
            path,
            arguments: fixed.into_iter().chain(filter).collect(),
        })
    };
    TARGETS.into_iter().map(program).collect()
}
