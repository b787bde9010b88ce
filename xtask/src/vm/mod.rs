//! `cargo xtask vm`: a command in a guest with another kernel and another shape.

mod apt;
mod cache;
mod capture;
mod command;
mod console;
mod cpio;
mod emulator;
mod guest;
mod image;
mod initramfs;
mod interrupt;
mod kernel;
pub(crate) mod matrix;
mod memory;
mod modules;
mod qemu;
mod run;
pub(crate) mod session;
mod sources;
mod store;
mod stream;
mod terminal;

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};

pub(crate) use self::capture::capture;
use self::guest::Output;
pub(crate) use self::interrupt::Interrupt;
pub(crate) use self::kernel::Choice;
use self::matrix::{Counts, Request};
pub(crate) use self::qemu::Machine;
use self::run::{End, Mode, Run};
pub(crate) use self::run::{Job, Task};

/// What `timeout` and `env` use for a failure of their own, which no usual command returns.
const GUEST_FAILED: u8 = 125;

const AFTER_HELP: &str = "\
The guest is emulated: it needs neither KVM nor root. It sees the host's files read-only, below a \
writable overlay in RAM that ends with it, and starts the command as root in the same working \
directory, with HOSTLER_GUEST=1 and no network but loopback. It has cgroup v2 with all \
controllers; tracefs and bpffs are not mounted. Processes the command leaves behind are killed.

Kernels, QEMU and busybox come once from Debian through this machine's apt sources, verified and \
never installed, and stay in the user's cache directory (hostler/vm); remove an entry there to \
fetch it anew.

The exit code is the command's. A guest that dies or hangs is started once more, which is reported \
on stderr; 125 says that it died again, or that there was no way to start it.";

/// How long a guest may take, unless more is known of it.
pub(crate) const TIME_LIMIT: Duration = Duration::from_mins(10);

/// MiB of all nodes together.
pub(crate) const MEMORY_MIB: u32 = 2048;

/// Run a command, or the privileged tests, in a guest with another kernel and another shape.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct VmArgs {
    /// 6.1 (Debian 12), 6.12 (its backports), or the PATH of a vmlinuz with its modules in
    /// ../lib/modules or /lib/modules, or of a directory with an unpacked kernel package
    /// [default: 6.1, with --test both].
    #[arg(long)]
    kernel: Option<Choice>,

    /// NUMA nodes, each with two CPUs and an equal share of the memory [default: 1; with --test 2,
    /// and without --kernel 4 too, on 6.12].
    #[arg(long, value_parser = ["1", "2", "4"])]
    nodes: Option<String>,

    /// Run the privileged tests (tests/host and tests/vm) in one boot for each kernel and shape,
    /// or those whose name contains FILTER.
    #[arg(
        long,
        value_name = "FILTER",
        num_args = 0..=1,
        default_missing_value = "",
        conflicts_with_all = ["shell", "icount", "command"],
    )]
    test: Option<String>,

    /// With --test: write all outcomes to FILE, as JSON.
    #[arg(long, value_name = "FILE", requires = "test")]
    summary: Option<PathBuf>,

    /// With --test: write the golden files in tests/ anew instead of comparing them.
    #[arg(long, requires = "test")]
    bless: bool,

    /// Let guest time be instruction time: two nanoseconds for each instruction. Good for
    /// comparing latencies, which repeat to within a percent. Caches and the distance of NUMA
    /// nodes are not modelled, so times are not those of a real machine, and everything takes
    /// about twice as long.
    #[arg(long)]
    icount: bool,

    /// Give the command the terminal; without a COMMAND, start a shell. There is no time limit
    /// unless one is given.
    #[arg(long)]
    shell: bool,

    /// Keep the console log and print its path.
    #[arg(long)]
    keep: bool,

    /// Memory of all nodes together, in MiB. Half of it is the overlay's limit.
    #[arg(long, value_name = "MIB", default_value_t = MEMORY_MIB)]
    memory: u32,

    /// How long boot and command may take before the guest counts as hung [default: 10min; with
    /// --test 30min a guest].
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Option<Duration>,

    /// The command and its arguments.
    #[arg(last = true, value_name = "COMMAND", required_unless_present_any = ["shell", "test"])]
    command: Vec<OsString>,
}

impl VmArgs {
    fn nodes(&self) -> Option<u32> {
        self.nodes.as_ref().and_then(|nodes| nodes.parse().ok())
    }

    fn job(&self) -> Result<Job> {
        Ok(Job {
            kernel: self.kernel.clone().unwrap_or(Choice::Linux6_1),
            machine: Machine::new(self.nodes().unwrap_or(1), self.memory, self.icount)?,
            task: Task::Command(if self.command.is_empty() {
                vec![env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())]
            } else {
                self.command.clone()
            }),
            time_limit: self.timeout.or((!self.shell).then_some(TIME_LIMIT)),
            keep_console: self.keep,
        })
    }
}

/// Runs the command in a guest. Failures of ours are told apart from the command's by their code.
#[expect(clippy::unnecessary_wraps, reason = "every task has this signature")]
pub(crate) fn run(args: &VmArgs) -> Result<ExitCode> {
    let outcome = match &args.test {
        Some(filter) => run_tests(args, filter),
        None => run_command(args),
    };
    Ok(outcome.unwrap_or_else(|error| {
        eprintln!("xtask vm: {error:#}");
        ExitCode::from(GUEST_FAILED)
    }))
}

fn run_command(args: &VmArgs) -> Result<ExitCode> {
    let mode = if args.shell {
        Mode::Terminal
    } else {
        Mode::Streams
    };
    let run = Run::prepare(&args.job()?, mode)?;
    let output = || match mode {
        Mode::Terminal => Output::Terminal,
        Mode::Streams => Output::ours(run.end_marker()),
    };
    Ok(match run.to_end(&Interrupt::watch()?, output)?.end {
        End::Exited(code) => ExitCode::from(code),
        End::Interrupted(signal) => {
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(GUEST_FAILED))
        }
        End::Died => {
            eprintln!("xtask vm: every guest died; giving up with exit code {GUEST_FAILED}");
            ExitCode::from(GUEST_FAILED)
        }
    })
}

fn run_tests(args: &VmArgs, filter: &str) -> Result<ExitCode> {
    let reports = matrix::run(&Request {
        kernel: args.kernel.clone(),
        nodes: args.nodes(),
        filter: (!filter.is_empty()).then(|| filter.to_owned()),
        bless: args.bless,
        memory_mib: args.memory,
        time_limit: args.timeout,
        keep_console: args.keep,
    })?;
    if let Some(path) = &args.summary {
        matrix::write(&reports, path)?;
    }
    println!();
    for report in &reports {
        println!("{}: {}", report.title(), report.remark());
    }
    let sum = matrix::sum(&reports);
    println!(
        "{} passed, {} failed, {} skipped in {} guests",
        sum.passed,
        sum.failed,
        sum.skipped,
        reports.len()
    );
    ensure!(
        sum != Counts::default(),
        "there is no test whose name contains `{filter}`"
    );
    Ok(if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
