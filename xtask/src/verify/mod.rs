//! `cargo xtask verify`: what each kernel's verifier makes of each program, against a table.
//!
//! It runs in guests whose time is instruction time, so that even the verifier's time repeats.

mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use self::table::Row;
use crate::vm::{self, Choice, Job, Machine};
use crate::workspace;

const AFTER_HELP: &str = "\
All that can be asked of the programs is turned on. A figure may be 10 % off its line in \
tests/vm/verifier.csv, a time by 20 µs at least; a refusal fails with the verifier's log. With \
--bless the table is written anew for the kernels that were measured.

INSTRUCTIONS are those that the verifier went through on all paths (it gives up at a million), \
STACK is the programs' (512 bytes at the most), MEMORY the kernel's for the compiled program. \
VERIFICATION is the verifier's own time where two nanoseconds stand for each instruction: it can \
be compared from run to run, but is not what a real machine takes.";

/// Compare what the verifier makes of every program on every kernel with what is expected.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct VerifyArgs {
    /// 6.1, 6.12, or a PATH as for `cargo xtask vm`; may be given several times [default: both].
    #[arg(long)]
    kernel: Vec<Choice>,

    /// Write the table anew instead of comparing with it.
    #[arg(long)]
    bless: bool,
}

pub(crate) fn run(args: &VerifyArgs) -> Result<ExitCode> {
    let kernels = if args.kernel.is_empty() {
        vec![Choice::Linux6_1, Choice::Linux6_12]
    } else {
        args.kernel.clone()
    };
    let (differences, measured) = compare(&kernels, args.bless)?;
    print!("{}", table::render(&measured));
    for line in &differences {
        println!("{line}");
    }
    if differences.is_empty() {
        println!("nothing differs from what tests/vm/verifier.csv says of these kernels");
        return Ok(ExitCode::SUCCESS);
    }
    println!("if that is right, run `cargo xtask verify --bless`");
    Ok(ExitCode::FAILURE)
}

/// Measures in a guest for each kernel, and returns what differs from the table. As a step of the
/// tests.
pub(crate) fn check() -> Result<Vec<String>> {
    let (differences, _measured) = compare(&[Choice::Linux6_1, Choice::Linux6_12], false)?;
    Ok(differences)
}

fn compare(kernels: &[Choice], bless: bool) -> Result<(Vec<String>, Vec<Row>)> {
    let path = workspace::root().join("tests/vm/verifier.csv");
    let expected = if path.exists() {
        table::read(&path)?
    } else {
        Vec::new()
    };
    let program = build()?;
    let mut measured = Vec::new();
    for kernel in kernels {
        measured.extend(measure(kernel, &program)?);
    }
    if bless {
        let is_measured = |row: &Row| measured.iter().any(|other| other.kernel == row.kernel);
        let mut rows: Vec<Row> = expected
            .into_iter()
            .filter(|row| !is_measured(row))
            .collect();
        rows.extend(measured.iter().cloned());
        table::write(&path, &rows)?;
        return Ok((Vec::new(), measured));
    }
    let mut compared = measured.clone();
    if kernels
        .iter()
        .any(|kernel| matches!(kernel, Choice::Path(_)))
    {
        // Of any newer kernel there need not be figures.
        compared.retain(|row| expected.iter().any(|other| other.kernel == row.kernel));
    }
    Ok((table::differences(&expected, &compared), measured))
}

fn measure(kernel: &Choice, program: &Path) -> Result<Vec<Row>> {
    let captured = vm::capture(&Job {
        kernel: kernel.clone(),
        machine: Machine::new(1, vm::MEMORY_MIB, true)?,
        // One round: by instruction time, others give the same figures.
        command: [
            program.as_os_str(),
            "verifier".as_ref(),
            "--rounds=1".as_ref(),
        ]
        .map(OsString::from)
        .into(),
        time_limit: Some(vm::TIME_LIMIT),
        keep_console: false,
    })?;
    if captured.exit_code != 0 {
        bail!(
            "Linux {} does not take all programs (exit code {}): see above",
            captured.kernel_version,
            captured.exit_code
        );
    }
    let mut rows: Vec<Row> = serde_json::from_str(captured.stdout.trim())
        .with_context(|| format!("reading what was measured: {}", captured.stdout))?;
    let series = captured.kernel_version.split('.').take(2);
    let series = series.collect::<Vec<_>>().join(".");
    for row in &mut rows {
        row.kernel.clone_from(&series);
    }
    Ok(rows)
}

/// Builds the program that measures.
fn build() -> Result<PathBuf> {
    let status = Command::new(workspace::cargo())
        .current_dir(workspace::root())
        .args(["build", "--quiet", "--package", "hostler-bench"])
        .status()
        .context("starting cargo")?;
    if !status.success() {
        bail!("building the benches failed ({status})");
    }
    Ok(workspace::target_folder().join("debug/hostler-bench"))
}
