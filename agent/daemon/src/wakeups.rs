//! What wakes a loop that reads a host, beside its timers.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep_until},
};

/// What the kernel tells of pressure.
pub(crate) struct Alarms {
    /// Can be read when it does.
    descriptor: Option<AsyncFd<OwnedFd>>,
    /// What the kernel tells before that is taken in then.
    quiet_until: Instant,
    quiet: Duration,
}

impl Alarms {
    /// Listens to alarms, if there are any. There are dozens of them, and a host that is short of CPUs
    /// must not be read all the time for their sake: `quiet` is the least time between two of them.
    #[expect(
        deprecated,
        reason = "an owned descriptor stays open for as long as it is registered, which is what the \
                  unsafe successor asks for"
    )]
    pub(crate) fn new(descriptor: Option<OwnedFd>, quiet: Duration) -> std::io::Result<Self> {
        let readable = |descriptor| AsyncFd::with_interest(descriptor, Interest::READABLE);
        Ok(Self {
            descriptor: descriptor.map(readable).transpose()?,
            quiet_until: Instant::now(),
            quiet,
        })
    }

    /// Waits until the kernel tells of pressure: who reads the host then takes that in.
    pub(crate) async fn next(&mut self) {
        let Some(descriptor) = &self.descriptor else {
            return std::future::pending().await;
        };
        match descriptor.readable().await {
            Ok(mut ready) => {
                ready.clear_ready();
                sleep_until(self.quiet_until).await;
            }
            // The runtime is ending.
            Err(_) => std::future::pending().await,
        }
        self.quiet_until = Instant::now() + self.quiet;
    }
}

/// The first signal ends the loop, in order. If that takes too long for somebody, the second one ends
/// the process.
pub(crate) fn end_at_second_signal() -> std::io::Result<()> {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag not set yet.
        flag::register_conditional_default(signal, Arc::clone(&seen))?;
        flag::register(signal, Arc::clone(&seen))?;
    }
    Ok(())
}
