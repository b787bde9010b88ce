//! Tells an Alertmanager what fires, again and again, as it wants to be told: what it does not hear of for
//! a while it takes to be over, so that nothing fires for ever where this host has gone.
//!
//! What there is to be told is kept here as it is now, and not as changes in a queue: while nobody answers a
//! queue would fill, and an alert whose end found no room would fire for ever.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hostler_decide::{
    alerts::{Alert, Change, Subject},
    measures::Measure,
};
use reqwest::Url;
use serde::Serialize;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel},
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    client::{Client, Outcome},
    measure,
};
use crate::instants::{exact_instant, now_ms};

/// How often it is told.
const EACH: Duration = Duration::from_mins(1);

/// After a failure it is told again so much later.
const RETRY: Duration = Duration::from_secs(10);

/// What it does not hear of for so long is over.
const VALID: Duration = Duration::from_mins(5);

/// Alerts that are over and could not be told yet: further ones are over for an Alertmanager when it has not
/// heard of them for a while.
const MOST_OVER: usize = 1_000;

/// One alert, as Alertmanager's API (v2) has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted<'a> {
    labels: BTreeMap<&'static str, &'a str>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
}

/// What an Alertmanager is to be told.
#[derive(Clone, Default)]
pub(super) struct Current(Arc<Mutex<Kept>>);

impl Current {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells an Alertmanager of changes.
pub(super) struct Line {
    current: Current,
    wake: Sender<()>,
}

impl Line {
    /// The line, and what is heard at its other end.
    pub(super) fn new() -> (Self, Current, Receiver<()>) {
        let current = Current::default();
        let (wake, woken) = channel(1);
        let line = Self {
            current: current.clone(),
            wake,
        };
        (line, current, woken)
    }

    /// Takes changes, however many there were since it was last told.
    pub(super) fn take(&self, changes: &[Change]) {
        let mut kept = self.current.kept();
        let now_ms = now_ms();
        for change in changes {
            kept.take(change, now_ms);
        }
        drop(kept);
        // Where there is no room it is about to wake, and where nobody hears it has ended.
        let _is_woken = self.wake.try_send(());
    }
}

/// What fires, and what has been over since it was last told.
#[derive(Clone, Default)]
struct Kept {
    firing: BTreeMap<(String, Subject), Alert>,
    over: Vec<(Alert, u64)>,
}

impl Kept {
    fn take(&mut self, change: &Change, now_ms: u64) {
        let (Change::Fires(alert) | Change::IsOver(alert)) = change;
        let key = (alert.rule.name.clone(), alert.subject.clone());
        match change {
            Change::Fires(_) => {
                self.firing.insert(key, alert.clone());
            }
            Change::IsOver(_) => {
                self.firing.remove(&key);
                if self.over.len() < MOST_OVER {
                    self.over.push((alert.clone(), now_ms));
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.firing.is_empty() && self.over.is_empty()
    }

    /// What is over goes first: what fires again since then must have the last word.
    fn posted<'a>(&'a self, host: &'a str, now_ms: u64) -> Vec<Posted<'a>> {
        let valid_ms = u64::try_from(VALID.as_millis()).unwrap_or(u64::MAX);
        let over = (self.over.iter()).map(|(alert, at_ms)| posted(alert, host, *at_ms));
        let firing = self.firing.values();
        let firing = firing.map(|alert| posted(alert, host, now_ms.saturating_add(valid_ms)));
        over.chain(firing).collect()
    }
}

fn posted<'a>(alert: &'a Alert, host: &'a str, ends_ms: u64) -> Posted<'a> {
    let (rule, subject) = (&alert.rule, &alert.subject);
    let labels = [
        ("alertname", &*rule.name),
        ("severity", rule.severity.as_str()),
        ("host", host),
        ("scope", subject.scope.as_str()),
        ("group", &*subject.group),
        ("agent", &*subject.name),
        ("measure", measure(alert).map_or("", Measure::as_str)),
    ];
    let mut annotations = BTreeMap::from([("subject", subject.to_string())]);
    if !rule.summary.is_empty() {
        annotations.insert("summary", rule.summary.clone());
    }
    if let Some(value) = alert.value {
        annotations.insert("value", value.to_string());
    }
    Posted {
        // An empty label is none.
        labels: (labels.into_iter())
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        annotations,
        starts_at: exact_instant(alert.since_ms),
        ends_at: exact_instant(ends_ms),
    }
}

/// Tells of what fires until the line is gone.
pub(super) async fn run(client: Client, current: Current, mut woken: Receiver<()>) {
    let host = hostler_observe::host_name();
    let url = address(client.url());
    let mut ticks = interval_at(Instant::now() + EACH, EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            is_there = woken.recv() => if is_there.is_none() { return },
            _ = ticks.tick() => {}
        }
        // More may come while it is sent.
        let kept = current.kept().clone();
        if kept.is_empty() {
            continue;
        }
        match client.send(&url, &kept.posted(&host, now_ms())).await {
            Outcome::Failed => ticks.reset_after(RETRY),
            outcome => {
                if outcome == Outcome::Refused {
                    client.lose();
                }
                current.kept().over.drain(..kept.over.len());
            }
        }
    }
}

/// Where alerts are posted, by the address of the whole.
fn address(base: &Url) -> Url {
    let mut url = base.clone();
    let path = base.path().trim_end_matches('/');
    if !path.ends_with("/api/v2/alerts") {
        let path = format!("{path}/api/v2/alerts");
        url.set_path(&path);
    }
    url
}
