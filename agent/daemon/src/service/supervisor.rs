//! What the service manager is told: that the daemon is ready, lives, reads its configuration again, and
//! stops. Without one nobody is told.

use sd_notify::NotifyState;

/// Measuring has begun.
pub(super) fn ready(agents: usize) {
    let status = format!("measuring {agents} agents");
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// A tick went well. From the loop itself: a loop that hangs is one that the manager should end.
pub(super) fn alive() {
    if sd_notify::watchdog_enabled().is_some() {
        tell(&[NotifyState::Watchdog]);
    }
}

/// The configuration is read again.
pub(super) fn reloading() {
    // systemd 253 and later wants to know since when.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// The daemon is about to end.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager could not be told");
    }
}
