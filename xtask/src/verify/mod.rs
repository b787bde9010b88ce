//! `cargo xtask verify`: what each kernel's verifier makes of each program, against a table.
//!
//! It runs in guests whose time is instruction time, so that even the verifier's time repeats.

mod table;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use self::table::Row;
use crate::vm::{self, Choice, Job, Machine, Task};
use crate::workspace;

/// The kernels that the table is about.
const KERNELS: [Choice; 2] = [Choice::Linux6_1, Choice::Linux6_12];

/// Where the table is, in the workspace.
const TABLE: &str = "tests/vm/verifier.csv";

/// Said with every table.
const LIMITS: &str = "\
Times are instruction time (2 ns for each), not those of a real machine: caches, memory bandwidth \
and branch prediction are not modelled.";

const AFTER_HELP: &str = "\
All that can be asked of the programs is turned on. A figure may be 10 % off its line in \
tests/vm/verifier.csv, a time by 20 µs at least; a refusal fails with the verifier's log. A time \
may hold an interrupt: where times alone are too long, the kernel is measured once more, and the \
shorter time of each program counts. With \
--bless the table is written anew for the kernels that were measured.

INSTRUCTIONS are those that the verifier went through on all paths (it gives up at a million), \
STACK is the programs' (512 bytes at the most), MEMORY that of their instructions, in whole pages, \
and of the machine code. \
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
        KERNELS.to_vec()
    } else {
        args.kernel.clone()
    };
    let bill = Bill::measure(&kernels)?;
    print!("{}\n{LIMITS}\n", table::render(&bill.rows));
    for remark in bill.remarks() {
        println!("{remark}");
    }
    if args.bless {
        bill.write()?;
        println!("written: {TABLE}");
        return Ok(ExitCode::SUCCESS);
    }
    let differences = bill.differences()?;
    for line in &differences {
        println!("{line}");
    }
    if differences.is_empty() {
        println!("nothing else differs from {TABLE}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("if that is right, run `cargo xtask verify --bless`");
    Ok(ExitCode::FAILURE)
}

/// What differs from the table on the kernels that it is about, and what else is to be said, as a
/// step of the tests.
pub(crate) fn check() -> Result<(Vec<String>, Vec<String>)> {
    let bill = Bill::measure(&KERNELS)?;
    print!("{}", table::render(&bill.rows));
    Ok((bill.differences()?, bill.remarks()))
}

/// What was measured.
struct Bill {
    rows: Vec<Row>,
    /// Series of kernels that were given by path, of which the table need not know.
    by_path: Vec<String>,
    /// Why guests died, one for each that did.
    deaths: Vec<String>,
    /// What was too long the first time, where a kernel was measured once more.
    repeated: Vec<String>,
}

impl Bill {
    fn measure(kernels: &[Choice]) -> Result<Self> {
        let program = build()?;
        let mut bill = Self {
            rows: Vec::new(),
            by_path: Vec::new(),
            deaths: Vec::new(),
            repeated: Vec::new(),
        };
        let expected = expected()?;
        for kernel in kernels {
            let (series, mut rows) = bill.measure_on(kernel, &program)?;
            let too_long = table::times_too_long(&expected, &rows);
            if !too_long.is_empty() {
                let (_, again) = bill.measure_on(kernel, &program)?;
                table::take_shorter_times(&mut rows, &again);
                bill.repeated.extend(too_long);
            }
            bill.rows.extend(rows);
            if matches!(kernel, Choice::Path(_)) {
                bill.by_path.push(series);
            }
        }
        Ok(bill)
    }

    fn measure_on(&mut self, kernel: &Choice, program: &Path) -> Result<(String, Vec<Row>)> {
        // One round: by instruction time, others give the same figures.
        let words = [
            program.as_os_str(),
            "verifier".as_ref(),
            "--rounds=1".as_ref(),
        ];
        let captured = vm::capture(&Job {
            kernel: kernel.clone(),
            machine: Machine::new(1, vm::MEMORY_MIB, true)?,
            task: Task::Command(words.map(OsString::from).into()),
            time_limit: Some(vm::TIME_LIMIT),
            keep_console: false,
        })?;
        let version = &captured.kernel_version;
        self.deaths.extend(captured.deaths);
        if captured.exit_code != 0 {
            let code = captured.exit_code;
            bail!("Linux {version} does not take all programs (exit code {code}): see above");
        }
        let mut rows: Vec<Row> = serde_json::from_str(captured.stdout.trim())
            .with_context(|| format!("reading what was measured: {}", captured.stdout))?;
        let series = version.split('.').take(2).collect::<Vec<_>>().join(".");
        for row in &mut rows {
            row.kernel.clone_from(&series);
        }
        Ok((series, rows))
    }

    fn differences(&self) -> Result<Vec<String>> {
        let expected = expected()?;
        let mut rows = self.rows.clone();
        rows.retain(|row| !self.is_only_shown(&row.kernel, &expected));
        Ok(table::differences(&expected, &rows))
    }

    /// Of any newer kernel there need not be figures.
    fn is_only_shown(&self, series: &str, expected: &[Row]) -> bool {
        let is_by_path = self.by_path.iter().any(|other| other == series);
        is_by_path && !expected.iter().any(|row| row.kernel == series)
    }

    fn remarks(&self) -> Vec<String> {
        let expected = expected().unwrap_or_default();
        let shown = self.by_path.iter();
        let shown = shown.filter(|series| self.is_only_shown(series, &expected));
        let shown = shown.map(|series| format!("{series}: not in the table, shown only"));
        let deaths = self.deaths.iter();
        let deaths = deaths.map(|death| format!("a guest was started again: {death}"));
        let repeated = self.repeated.iter();
        let repeated = repeated.map(|line| format!("measured once more: {line}"));
        shown.chain(deaths).chain(repeated).collect()
    }

    fn write(&self) -> Result<()> {
        let is_measured = |row: &Row| self.rows.iter().any(|other| other.kernel == row.kernel);
        let mut rows = expected()?;
        rows.retain(|row| !is_measured(row));
        rows.extend(self.rows.iter().cloned());
        table::write(&workspace::root().join(TABLE), &rows)
    }
}

/// The table's rows; none before it is written for the first time.
fn expected() -> Result<Vec<Row>> {
    let path = workspace::root().join(TABLE);
    if path.exists() {
        table::read(&path)
    } else {
        Ok(Vec::new())
    }
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
