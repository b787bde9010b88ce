//! Signals that whoever started the command means it to have.

use std::io;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use procfs::process::Process;
use tokio::{
    process::Child,
    signal::unix::{self, SignalKind, signal},
};

/// Those that come.
pub(super) struct Signals {
    terminate: unix::Signal,
    hang_up: unix::Signal,
    user_1: unix::Signal,
    user_2: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
}

impl Signals {
    /// From now on none of them ends this process.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::SIGTERM,
            _ = self.hang_up.recv() => Signal::SIGHUP,
            _ = self.user_1.recv() => Signal::SIGUSR1,
            _ = self.user_2.recv() => Signal::SIGUSR2,
            _ = self.interrupt.recv() => Signal::SIGINT,
            _ = self.quit.recv() => Signal::SIGQUIT,
        }
    }
}

/// Has the command have it as well. It has what was typed, Ctrl-C among it, already where both are in the
/// foreground of a terminal, which tells all that are.
pub(super) fn pass_on(child: &Child, signal: Signal) {
    let is_typed = matches!(signal, Signal::SIGINT | Signal::SIGQUIT) && is_in_foreground();
    // One that has ended has no number, and its number is nobody else's before it was waited for.
    if let Some(pid) = child.id().filter(|_| !is_typed) {
        let _gone = kill(Pid::from_raw(pid.cast_signed()), signal);
    }
}

fn is_in_foreground() -> bool {
    let stat = Process::myself().and_then(|process| process.stat());
    stat.is_ok_and(|stat| stat.tpgid == stat.pgrp)
}
