//! The privileged tests again, in guests with other kernels and shapes.

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{
    step::{self, cargo_path},
    tally::{Outcome, Tally},
};
use crate::workspace;

/// Kernel and number of NUMA nodes of each guest.
const GUESTS: [(&str, &str); 2] = [("6.1", "2"), ("6.12", "1")];

pub(super) fn run(tally: &mut Tally) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        tally.skip(
            "guests",
            "the guests run the host's programs on an emulated x86-64",
        );
        return Ok(());
    }
    tally.add(exit_code()?);
    let tests = host_tests()?;
    for (kernel, nodes) in GUESTS {
        let name = format!("guest {kernel}, {nodes} nodes");
        let mut command = guest(kernel, nodes)?;
        // One at a time: an emulated machine is too slow for tests that wait for each other.
        command.arg(&tests).arg("--test-threads=1");
        tally.add(step::run(&name, &mut command)?);
    }
    Ok(())
}

/// What runs in the guest returns its exit code here.
fn exit_code() -> Result<Outcome> {
    let name = "guest's exit code";
    println!("\n=== {name}");
    let status = guest("6.1", "1")?
        .args(["sh", "-c", "exit 7"])
        .stdin(Stdio::null())
        .status()
        .context("starting a guest")?;
    let remark = format!("`exit 7` gave {status}");
    println!("{remark}");
    Ok(Outcome::check(name, status.code() == Some(7), remark))
}

fn guest(kernel: &str, nodes: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("finding this program")?);
    command.args(["vm", "--kernel", kernel, "--nodes", nodes, "--"]);
    Ok(command)
}

/// Builds the privileged tests and says where their binary is.
fn host_tests() -> Result<PathBuf> {
    let output = Command::new(cargo_path())
        .current_dir(workspace::root())
        .args(["test", "--package", "hostler", "--test", "host", "--no-run"])
        .args(["--message-format", "json", "--quiet"])
        .stderr(Stdio::inherit())
        .output()
        .context("building the privileged tests")?;
    if !output.status.success() {
        bail!("building the privileged tests failed ({})", output.status);
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "host")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .context("cargo did not say where the privileged tests are")
}
