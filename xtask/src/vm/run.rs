//! A run: what the guest needs, a boot, and a second one if the first died.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::emulator::Emulator;
use super::guest::{self, Outcome, Output};
use super::initramfs::{self, Program};
use super::interrupt::Interrupt;
use super::kernel::{Choice, Kernel};
use super::qemu::Machine;
use super::store::Store;
use super::{command, console, memory, terminal};

const ATTEMPTS: u32 = 2;

/// What a guest is to do.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) kernel: Choice,
    pub(crate) machine: Machine,
    pub(crate) task: Task,
    /// How long boot and command may take; for ever if not said.
    pub(crate) time_limit: Option<Duration>,
    pub(crate) keep_console: bool,
}

/// What runs in a guest.
#[derive(Clone, Debug)]
pub(crate) enum Task {
    /// A command and its arguments.
    Command(Vec<OsString>),
    /// A script for `sh`, of any length.
    Script(String),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The command ended with this code.
    Exited(u8),
    /// A signal told us to stop.
    Interrupted(i32),
    /// Every guest died before the command's end.
    Died,
}

/// A run that is over.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) end: End,
    /// Why guests died before that, one for each that did.
    pub(super) deaths: Vec<String>,
    /// The last guest's console.
    pub(super) console: String,
}

/// Everything the boots of one run share.
pub(super) struct Run {
    scratch: TempDir,
    emulator: Emulator,
    kernel: Kernel,
    initramfs: PathBuf,
    end_marker: String,
    machine: Machine,
    time_limit: Option<Duration>,
    keep_console: bool,
}

/// Where the command's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its streams come to us.
    Streams,
    /// It has our terminal.
    Terminal,
}

impl Run {
    pub(super) fn prepare(job: &Job, mode: Mode) -> Result<Self> {
        ensure!(
            cfg!(target_arch = "x86_64"),
            "the guest runs the host's programs on an emulated x86-64: the host must be one"
        );
        memory::check(job.machine.memory_mib)?;
        let store = Store::open()?;
        let kernel = store.kernel(&job.kernel)?;
        let emulator = store.emulator()?;
        let busybox = store.busybox()?;
        drop(store);
        let scratch = TempDir::with_prefix("hostler-vm-").context("making a directory")?;
        let end_marker = random_marker("end of stream");
        let initramfs = scratch.path().join("initramfs");
        let directory = env::current_dir().context("asking for the working directory")?;
        let program = Program {
            script: &command::script(&command::environment(), &directory, &job.task),
            settings: &settings(&kernel, mode, &end_marker),
        };
        fs::write(&initramfs, initramfs::build(&kernel, &busybox, &program)?)
            .with_context(|| format!("writing {}", initramfs.display()))?;
        Ok(Self {
            scratch,
            emulator,
            kernel,
            initramfs,
            end_marker,
            machine: job.machine,
            time_limit: job.time_limit,
            keep_console: job.keep_console,
        })
    }

    /// What `uname -r` says in the guest.
    pub(super) fn kernel_version(&self) -> &str {
        &self.kernel.version
    }

    /// Marks the end of the streams.
    pub(super) fn end_marker(&self) -> &str {
        &self.end_marker
    }

    /// Boots until a guest lives to the command's end, too many have died, or one took too long. Each
    /// boot's output goes to what `output` makes for it.
    pub(super) fn to_end<'a>(
        &'a self,
        interrupt: &Interrupt,
        mut output: impl FnMut() -> Output<'a>,
    ) -> Result<Ran> {
        let mut deaths = Vec::new();
        loop {
            let attempt = deaths.len() + 1;
            let log = self.scratch.path().join(format!("console-{attempt}.log"));
            let end = match self.boot(&log, interrupt, output())? {
                Outcome::Exited(code) => End::Exited(code),
                Outcome::Interrupted(signal) => End::Interrupted(signal),
                Outcome::Died(death) => {
                    let may_live = death.is_worth_a_retry();
                    let death = death.to_string();
                    eprintln!("xtask vm: guest {attempt} of {ATTEMPTS} died: {death}");
                    eprint!("{}", console::excerpt(&console::read(&log)));
                    announce_console(&log)?;
                    deaths.push(death);
                    if may_live && deaths.len() < ATTEMPTS as usize {
                        eprintln!("xtask vm: RETRY: starting the command again in a new guest");
                        continue;
                    }
                    End::Died
                }
            };
            if self.keep_console && end != End::Died {
                announce_console(&log)?;
            }
            let console = console::read(&log);
            return Ok(Ran {
                end,
                deaths,
                console,
            });
        }
    }

    fn boot(&self, log: &Path, interrupt: &Interrupt, output: Output) -> Result<Outcome> {
        let command = |ports| {
            self.emulator
                .boot(&self.kernel, &self.initramfs, log, self.machine, ports)
        };
        guest::run(command, log, output, self.time_limit, interrupt)
    }
}

fn announce_console(log: &Path) -> Result<()> {
    let kept = console::keep(log)?;
    eprintln!("xtask vm: the console is kept in {}", kept.display());
    Ok(())
}

/// The variables of `init/*.sh`.
fn settings(kernel: &Kernel, mode: Mode, end_marker: &str) -> String {
    let modules = kernel.modules.display().to_string().replace('\'', "'\\''");
    let (interactive, terminal_size) = match mode {
        Mode::Terminal => ("yes", terminal::size()),
        Mode::Streams => ("no", String::new()),
    };
    format!(
        "version='{}'\nmodules='{modules}'\ninteractive={interactive}\n\
         end_marker='{end_marker}'\nterminal_size='{terminal_size}'\n",
        kernel.version,
    )
}

/// Bytes that no command prints by chance; `what` they mark is for who reads along.
pub(super) fn random_marker(what: &str) -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("<{what} {:016x}{:016x}>", random(), random())
}
