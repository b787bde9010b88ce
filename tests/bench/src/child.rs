//! Processes that the bench starts, and that end with it however it ends.

use std::{
    ffi::OsStr,
    io::Read as _,
    os::unix::process::CommandExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::interrupt::Interrupt;

/// How long a process may take to end once it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

const STEP: Duration = Duration::from_millis(10);

/// A running process. Dropping it ends the process.
pub(crate) struct Bounded {
    child: Child,
    name: String,
}

impl Bounded {
    /// Starts a command, whose words are `words`. The kernel ends it if the bench is killed.
    pub(crate) fn start<W: AsRef<OsStr>>(
        name: &str,
        words: impl IntoIterator<Item = W>,
        stdout: Stdio,
    ) -> Result<Self> {
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .args(words)
            // A Ctrl-C at the terminal is for the bench, which then ends its children in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name} by setpriv, of the package util-linux"))?;
        Ok(Self {
            child,
            name: name.to_owned(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with what the process said last if it has ended.
    pub(crate) fn check_running(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.ended(status)),
        }
    }

    /// Asks the process to end, and waits until it has.
    pub(crate) fn stop(mut self, signal: Signal) -> Result<()> {
        self.check_running()?;
        self.end(signal);
        Ok(())
    }

    /// Waits until the process ends by itself, and returns what it printed.
    pub(crate) fn wait(mut self, interrupt: &Interrupt) -> Result<String> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            interrupt.sleep(STEP)?;
        };
        if !status.success() {
            return Err(self.ended(status));
        }
        let mut text = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut text)?;
        }
        Ok(text)
    }

    fn ended(&mut self, status: ExitStatus) -> anyhow::Error {
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            // What can't be read is not said.
            let _unreadable = stderr.read_to_string(&mut said);
        }
        let name = &self.name;
        anyhow::anyhow!("{name} ended by itself ({status}): {}", said.trim())
    }

    fn end(&mut self, signal: Signal) {
        let Ok(pid) = i32::try_from(self.child.id()).map(Pid::from_raw) else {
            return;
        };
        // It may have ended by itself meanwhile, which is what is wanted.
        let _gone = kill(pid, signal);
        let give_up = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > give_up {
                let _gone = self.child.kill();
            }
            thread::sleep(STEP);
        }
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end(Signal::SIGTERM);
        }
    }
}
