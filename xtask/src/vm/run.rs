//! A run: what the guest needs, a boot, and a second one if the first died.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::emulator::Emulator;
use super::guest::{self, Outcome, Output};
use super::initramfs::{self, Program};
use super::interrupt::Interrupt;
use super::kernel::Kernel;
use super::qemu::Machine;
use super::store::Store;
use super::{GUEST_FAILED, VmArgs, command, console, terminal};

const TIME_LIMIT: Duration = Duration::from_mins(10);
const ATTEMPTS: u32 = 2;

pub(super) fn run(args: &VmArgs) -> Result<ExitCode> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "the guest runs the host's programs on an emulated x86-64: the host must be one"
    );
    let run = Run::prepare(args)?;
    let interrupt = Interrupt::watch()?;
    for attempt in 1..=ATTEMPTS {
        let log = run.scratch.path().join(format!("console-{attempt}.log"));
        match run.boot(&log, &interrupt)? {
            Outcome::Exited(code) => {
                if args.keep {
                    announce_console(&log, attempt)?;
                }
                return Ok(ExitCode::from(code));
            }
            Outcome::Interrupted(signal) => {
                if args.keep {
                    announce_console(&log, attempt)?;
                }
                return Ok(ExitCode::from(
                    u8::try_from(128 + signal).unwrap_or(GUEST_FAILED),
                ));
            }
            Outcome::Died(death) => {
                eprintln!("xtask vm: guest {attempt} of {ATTEMPTS} died: {death}");
                eprint!("{}", console::excerpt(&log));
                announce_console(&log, attempt)?;
                if attempt < ATTEMPTS {
                    eprintln!("xtask vm: RETRY: starting the command again in a new guest");
                }
            }
        }
    }
    eprintln!("xtask vm: the guest died {ATTEMPTS} times; giving up with exit code {GUEST_FAILED}");
    Ok(ExitCode::from(GUEST_FAILED))
}

fn announce_console(log: &Path, attempt: u32) -> Result<()> {
    let kept = console::keep(log, attempt)?;
    eprintln!("xtask vm: the console is kept in {}", kept.display());
    Ok(())
}

/// Everything the boots of one run share.
struct Run {
    scratch: TempDir,
    emulator: Emulator,
    kernel: Kernel,
    initramfs: PathBuf,
    machine: Machine,
    interactive: bool,
    end_marker: String,
    time_limit: Option<Duration>,
}

impl Run {
    fn prepare(args: &VmArgs) -> Result<Self> {
        let machine = args.machine()?;
        let store = Store::open()?;
        let kernel = store.kernel(&args.kernel)?;
        let emulator = store.emulator()?;
        let busybox = store.busybox()?;
        drop(store);
        let scratch = TempDir::with_prefix("hostler-vm-").context("making a directory")?;
        let end_marker = end_marker();
        let initramfs = scratch.path().join("initramfs");
        let directory = env::current_dir().context("asking for the working directory")?;
        let program = Program {
            script: &command::script(&command::environment(), &directory, &command_line(args)),
            settings: &settings(&kernel, args.shell, &end_marker),
        };
        fs::write(&initramfs, initramfs::build(&kernel, &busybox, &program)?)
            .with_context(|| format!("writing {}", initramfs.display()))?;
        Ok(Self {
            scratch,
            emulator,
            kernel,
            initramfs,
            machine,
            interactive: args.shell,
            end_marker,
            time_limit: args.timeout.or((!args.shell).then_some(TIME_LIMIT)),
        })
    }

    fn boot(&self, log: &Path, interrupt: &Interrupt) -> Result<Outcome> {
        let output = if self.interactive {
            Output::Terminal
        } else {
            Output::Streams {
                end_marker: &self.end_marker,
            }
        };
        let command = |ports| {
            self.emulator
                .boot(&self.kernel, &self.initramfs, log, self.machine, ports)
        };
        guest::run(command, log, &output, self.time_limit, interrupt)
    }
}

/// The command given, or the user's shell.
fn command_line(args: &VmArgs) -> Vec<OsString> {
    if args.command.is_empty() {
        vec![env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())]
    } else {
        args.command.clone()
    }
}

/// The variables of `init/*.sh`.
fn settings(kernel: &Kernel, interactive: bool, end_marker: &str) -> String {
    let modules = kernel.modules.display().to_string().replace('\'', "'\\''");
    format!(
        "version='{}'\nmodules='{modules}'\ninteractive={}\nend_marker='{end_marker}'\n\
         terminal_size='{}'\n",
        kernel.version,
        if interactive { "yes" } else { "no" },
        if interactive {
            terminal::size()
        } else {
            String::new()
        },
    )
}

/// Bytes that no command prints by chance.
fn end_marker() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("<end of stream {:016x}{:016x}>", random(), random())
}
