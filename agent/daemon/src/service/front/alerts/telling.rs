//! The thread's loop: hands what is said to whoever tells it to whom.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use hostler_decide::alerts::Change;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    task::JoinHandle,
};

use super::{Deliveries, Outcomes, alertmanager, client, webhook};
use crate::config::{NotifyConfig, Target};

/// Changes that can wait for one who is told.
const ROOM: usize = 32;

/// How long whoever is told may take at the end.
const GRACE: Duration = Duration::from_secs(3);

/// What the thread is told.
pub(super) enum Said {
    /// Others are to be told from now on; who is new hears first what fires already.
    Notify(Box<NotifyConfig>, Vec<Change>),
    /// Alerts fire or are over.
    Changes(Vec<Change>),
}

/// Somebody who is told.
struct Told {
    target: Target,
    line: Line,
    task: JoinHandle<()>,
}

/// How they are told.
enum Line {
    /// Of each change.
    Webhook(Sender<Arc<Vec<Change>>>),
    /// Of what there is now.
    Alertmanager(alertmanager::Line),
}

/// Which kind of somebody.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Webhook,
    Alertmanager,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Alertmanager => "alertmanager",
        }
    }

    /// What is counted of it.
    pub(super) fn outcomes(self, counts: &Deliveries) -> &Outcomes {
        match self {
            Self::Webhook => &counts.webhook,
            Self::Alertmanager => &counts.alertmanager,
        }
    }
}

/// Tells others until nobody says anything any more.
pub(super) async fn tell(mut heard: Receiver<Said>, counts: Arc<Deliveries>) {
    let (mut webhook, mut alertmanager) = (None, None);
    while let Some(said) = heard.recv().await {
        match said {
            Said::Notify(config, firing) => {
                let firing = Arc::new(firing);
                for (told, target, kind) in [
                    (&mut webhook, config.webhook, Kind::Webhook),
                    (&mut alertmanager, config.alertmanager, Kind::Alertmanager),
                ] {
                    if change(told, target, kind, &counts) && !firing.is_empty() {
                        hand_over(told.as_ref(), &firing, &counts);
                    }
                }
            }
            Said::Changes(changes) => {
                let changes = Arc::new(changes);
                hand_over(webhook.as_ref(), &changes, &counts);
                hand_over(alertmanager.as_ref(), &changes, &counts);
            }
        }
    }
    let tasks: Vec<JoinHandle<()>> = [webhook, alertmanager]
        .into_iter()
        .flatten()
        .map(|told: Told| told.task)
        .collect();
    let ended = async {
        for task in tasks {
            // It ends, or it was cut off: both are an end.
            let _ended = task.await;
        }
    };
    if tokio::time::timeout(GRACE, ended).await.is_err() {
        tracing::warn!("some alerts could not be told any more");
    }
}

/// Tells another one from now on, or nobody. Whether there is one who is new.
fn change(
    told: &mut Option<Told>,
    target: Option<Target>,
    kind: Kind,
    counts: &Arc<Deliveries>,
) -> bool {
    if told.as_ref().map(|told| &told.target) == target.as_ref() {
        return false;
    }
    if let Some(before) = told.take() {
        before.task.abort();
    }
    let Some(target) = target else {
        return false;
    };
    let client = match client::Client::new(&target, kind, Arc::clone(counts)) {
        Ok(client) => client,
        Err(error) => {
            let to = kind.as_str();
            tracing::error!(to, at = target.origin(), error, "alerts can't be sent");
            return false;
        }
    };
    let (line, task) = match kind {
        Kind::Webhook => {
            let (changes, heard) = channel(ROOM);
            let task = tokio::spawn(webhook::run(client, heard));
            (Line::Webhook(changes), task)
        }
        Kind::Alertmanager => {
            let (line, current, woken) = alertmanager::Line::new();
            let task = tokio::spawn(alertmanager::run(client, current, woken));
            (Line::Alertmanager(line), task)
        }
    };
    *told = Some(Told { target, line, task });
    true
}

fn hand_over(told: Option<&Told>, changes: &Arc<Vec<Change>>, counts: &Deliveries) {
    match told.map(|told| &told.line) {
        None => {}
        Some(Line::Alertmanager(line)) => line.take(changes),
        Some(Line::Webhook(line)) => {
            if let Err(TrySendError::Full(_)) = line.try_send(Arc::clone(changes)) {
                counts.webhook.lost.fetch_add(1, Relaxed);
            }
        }
    }
}
