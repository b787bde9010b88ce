//! A guest whose command's output is wanted, rather than shown.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};

use super::guest::Output;
use super::interrupt::Interrupt;
use super::run::{End, Job, Mode, Run};

/// What a command printed in a guest. What it wrote to stderr was passed on.
pub(crate) struct Captured {
    pub(crate) exit_code: u8,
    pub(crate) stdout: String,
    /// What `uname -r` says in the guest.
    pub(crate) kernel_version: String,
    /// Why guests died before this one, one for each that did.
    pub(crate) deaths: Vec<String>,
}

/// Runs a command in a guest to its end.
pub(crate) fn capture(job: &Job) -> Result<Captured> {
    let run = Run::prepare(job, Mode::Streams)?;
    let mut bytes = Arc::default();
    let ran = run.to_end(&Interrupt::watch()?, || {
        // What a guest printed that died is not the command's output.
        bytes = Arc::default();
        Output::Streams {
            end_marker: run.end_marker(),
            stdout: Box::new(Shared(Arc::clone(&bytes))),
            stderr: Box::new(io::stderr()),
        }
    })?;
    let exit_code = match ran.end {
        End::Exited(code) => code,
        End::Interrupted(signal) => bail!("signal {signal} asked to stop"),
        End::Died => bail!("every guest died: {}", ran.deaths.join("; ")),
    };
    let bytes = bytes.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Captured {
        exit_code,
        stdout: String::from_utf8_lossy(&bytes).into_owned(),
        kernel_version: run.kernel_version().to_owned(),
        deaths: ran.deaths,
    })
}

struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
