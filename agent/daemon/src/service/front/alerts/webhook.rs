//! Tells a webhook of each change, in order. One that can't be told is tried again a few times while the
//! next ones wait.

use std::{sync::Arc, time::Duration};

use hostler_decide::{
    alerts::{Alert, Change},
    measures::Measure,
};
use serde::Serialize;
use tokio::sync::mpsc::Receiver;

use super::{
    client::{Client, Outcome},
    measure,
};
use crate::instants::now_ms;

/// How long is waited before each further attempt.
const AGAIN: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(25),
];

/// What is sent.
#[derive(Debug, Serialize)]
struct Message<'a> {
    /// Of what this is: another meaning gets another number.
    version: u32,
    /// The host's name.
    host: &'a str,
    /// When it was made, in ms since 1970.
    at_ms: u64,
    alerts: Vec<Told<'a>>,
}

/// A change.
#[derive(Debug, Serialize)]
struct Told<'a> {
    /// `firing` or `over`.
    status: &'static str,
    alert: &'a str,
    severity: &'static str,
    summary: &'a str,
    /// `host`, `group` or `agent`.
    scope: &'static str,
    group: &'a str,
    agent: &'a str,
    /// What is measured; `null` where it is about absence.
    measure: Option<&'static str>,
    /// In ns, bytes, a share from 0 to 1, or a number, in each second where it is a rate.
    value: Option<f64>,
    /// Since when it holds, in ms since 1970.
    since_ms: u64,
}

impl<'a> Told<'a> {
    fn of(change: &'a Change) -> Self {
        let (status, alert) = match change {
            Change::Fires(alert) => ("firing", alert),
            Change::IsOver(alert) => ("over", alert),
        };
        let Alert {
            rule,
            subject,
            value,
            since_ms,
        } = alert;
        Self {
            status,
            alert: &rule.name,
            severity: rule.severity.as_str(),
            summary: &rule.summary,
            scope: subject.scope.as_str(),
            group: &subject.group,
            agent: &subject.name,
            measure: measure(alert).map(Measure::as_str),
            value: *value,
            since_ms: *since_ms,
        }
    }
}

/// Tells of changes until there are none any more.
pub(super) async fn run(client: Client, mut changes: Receiver<Arc<Vec<Change>>>) {
    let host = hostler_observe::host_name();
    while let Some(changes) = changes.recv().await {
        let message = Message {
            version: 1,
            host: &host,
            at_ms: now_ms(),
            alerts: changes.iter().map(Told::of).collect(),
        };
        if !send(&client, &message).await {
            client.lose();
        }
    }
}

async fn send(client: &Client, message: &Message<'_>) -> bool {
    let url = client.url();
    let mut outcome = client.send(url, message).await;
    for delay in AGAIN {
        if outcome != Outcome::Failed {
            break;
        }
        tokio::time::sleep(delay).await;
        outcome = client.send(url, message).await;
    }
    outcome == Outcome::Taken
}
