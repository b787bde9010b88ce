//! Signals that ask us to stop: noted here, acted on where the guest is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Remembers the last signal that asked us to stop.
pub(crate) struct Interrupt(Arc<AtomicUsize>);

impl Interrupt {
    /// From now on these signals no longer end this process by themselves.
    pub(crate) fn watch() -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        for number in [SIGHUP, SIGINT, SIGTERM] {
            let value = usize::try_from(number).context("signal numbers are positive")?;
            signal_hook::flag::register_usize(number, Arc::clone(&signal), value)
                .with_context(|| format!("watching for signal {number}"))?;
        }
        Ok(Self(signal))
    }

    pub(super) fn signal(&self) -> Option<i32> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }
}
