//! Judges alerts and tells of them: the log at once, and others from a thread of its own, so that nobody
//! who does not answer holds up whoever measures or serves.

mod alertmanager;
mod client;
mod telling;
#[cfg(test)]
mod tests;
mod webhook;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hostler_decide::{
    alerts::{Alert, Alerts, Change, Condition},
    measures::Measure,
    samples::Samples,
};
use tokio::sync::mpsc::{Sender, channel};

use self::telling::{Said, tell};
use super::super::ServiceError;
use crate::config::Config;

/// Changes that can wait to be told; further ones are in the log only, and counted.
const ROOM: usize = 64;

/// Alerts, and who is told.
pub(in crate::service) struct AlertDesk {
    alerts: Mutex<Alerts>,
    said: Sender<Said>,
    counts: Arc<Deliveries>,
}

/// The thread that tells others.
pub(super) struct AlertThread(JoinHandle<()>);

/// What became of what was to be told, cumulative.
#[derive(Debug, Default)]
pub(in crate::service) struct Deliveries {
    /// To a webhook.
    pub(in crate::service) webhook: Outcomes,
    /// To an Alertmanager.
    pub(in crate::service) alertmanager: Outcomes,
}

/// Of one of them.
#[derive(Debug, Default)]
pub(in crate::service) struct Outcomes {
    /// Messages that were taken.
    pub(in crate::service) taken: AtomicU64,
    /// Attempts that failed.
    pub(in crate::service) failed: AtomicU64,
    /// Messages that nobody was told in the end.
    pub(in crate::service) lost: AtomicU64,
}

impl AlertDesk {
    /// Without rules, and with nobody who is told. The thread ends when the desk is dropped.
    pub(super) fn start() -> Result<(Self, AlertThread), ServiceError> {
        let (said, heard) = channel(ROOM);
        let counts: Arc<Deliveries> = Arc::default();
        let of_thread = Arc::clone(&counts);
        let failed = |source| ServiceError::System {
            what: "starting the thread that tells of alerts",
            source,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(client::LOOKUP_THREADS)
            .build()
            .map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("hostler-alerts".to_owned())
            .spawn(move || {
                hostler_observe::give_up_all();
                runtime.block_on(tell(heard, of_thread));
                // A look-up that hangs is not waited for.
                runtime.shutdown_background();
            })
            .map_err(failed)?;
        let desk = Self {
            alerts: Mutex::default(),
            said,
            counts,
        };
        Ok((desk, AlertThread(thread)))
    }

    /// What became of what was to be told.
    pub(in crate::service) fn deliveries(&self) -> &Deliveries {
        &self.counts
    }

    /// By this configuration from now on.
    pub(super) fn configure(&self, config: &Config) {
        let changes = self.alerts().set_rules(config.alerts.clone());
        self.tell(changes);
        let firing = self.firing().into_iter().map(Change::Fires).collect();
        self.say(Said::Notify(Box::new(config.notify.clone()), firing));
    }

    /// Agents have other leases from now on.
    pub(super) fn begin(&self) {
        self.alerts().begin();
    }

    /// Whether there is any rule.
    pub(super) fn has_rules(&self) -> bool {
        self.alerts().counts().next().is_some()
    }

    /// Adds what happened up to `now_ms`, in ms since 1970.
    pub(super) fn judge(&self, samples: &Samples, now_ms: u64) {
        let changes = self.alerts().add(samples, now_ms);
        self.tell(changes);
    }

    /// All that fire.
    pub(super) fn firing(&self) -> Vec<Alert> {
        self.alerts().firing()
    }

    /// How many fire, by name and severity of the rule.
    pub(in crate::service) fn counts(&self) -> Vec<(String, &'static str, u64)> {
        let alerts = self.alerts();
        let counts = alerts.counts();
        counts
            .map(|(rule, count)| (rule.name.clone(), rule.severity.as_str(), count as u64))
            .collect()
    }

    fn alerts(&self) -> MutexGuard<'_, Alerts> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        changes.iter().for_each(log);
        self.say(Said::Changes(changes));
    }

    fn say(&self, said: Said) {
        if let Err(error) = self.said.try_send(said) {
            // What is current is told with the next change, and each change is in the log.
            tracing::error!(%error, "whoever tells of alerts does not keep up");
            self.counts.webhook.lost.fetch_add(1, Relaxed);
        }
    }
}

impl AlertThread {
    /// Waits until what was said is told, as far as that takes no longer than `grace`. The desk must be gone.
    pub(super) fn end(self, grace: Duration) {
        let give_up = Instant::now() + grace;
        while !self.0.is_finished() {
            if Instant::now() >= give_up {
                tracing::warn!("whoever is told of alerts does not answer");
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn log(change: &Change) {
    let (Change::Fires(alert) | Change::IsOver(alert)) = change;
    let (name, severity) = (&*alert.rule.name, alert.rule.severity.as_str());
    let (subject, summary) = (&alert.subject, &*alert.rule.summary);
    let (measure, value) = (measure(alert).map(Measure::as_str), alert.value);
    match change {
        Change::Fires(_) => {
            tracing::warn!(alert = name, severity, %subject, measure, value, summary, "alert fires");
        }
        Change::IsOver(_) => {
            tracing::info!(alert = name, severity, %subject, measure, value, "alert is over");
        }
    }
}

/// What is measured, if anything is.
pub(super) fn measure(alert: &Alert) -> Option<Measure> {
    match &alert.rule.condition {
        Condition::Bounds(bounds) => Some(bounds.measure),
        Condition::Absent => None,
    }
}
