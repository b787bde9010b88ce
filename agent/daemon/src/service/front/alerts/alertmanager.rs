//! Tells an Alertmanager what fires, again and again, as it wants to be told: what it does not hear of for
//! a while it takes to be over, so that nothing fires for ever where this host has gone.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use hostler_decide::{
    alerts::{Alert, Change, Subject},
    measures::Measure,
};
use reqwest::Url;
use serde::Serialize;
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, MissedTickBehavior, interval_at},
};

use super::{
    client::{Client, Outcome},
    measure,
    webhook::now_ms,
};

/// How often it is told.
const EACH: Duration = Duration::from_mins(1);

/// After a failure it is told again so much later.
const RETRY: Duration = Duration::from_secs(10);

/// What it does not hear of for so long is over.
const VALID: Duration = Duration::from_mins(5);

/// Alerts that are over and could not be told yet.
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

/// What fires, and what has been over since it was last told.
#[derive(Default)]
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
        starts_at: instant(alert.since_ms),
        ends_at: instant(ends_ms),
    }
}

fn instant(ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(ms);
    humantime::format_rfc3339_millis(at).to_string()
}

/// Tells of what fires until there are no changes any more.
pub(super) async fn run(client: Client, mut changes: Receiver<Arc<Vec<Change>>>) {
    let host = hostler_observe::host_name();
    let url = address(client.url());
    let mut kept = Kept::default();
    let mut ticks = interval_at(Instant::now() + EACH, EACH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = changes.recv() => {
                let Some(heard) = heard else { return };
                heard.iter().for_each(|change| kept.take(change, now_ms()));
            }
            _ = ticks.tick() => {}
        }
        if kept.is_empty() {
            continue;
        }
        match client.send(&url, &kept.posted(&host, now_ms())).await {
            Outcome::Taken => kept.over.clear(),
            // Then it is told of by the next one, or takes it to be over by itself.
            Outcome::Failed => ticks.reset_after(RETRY),
            Outcome::Refused => {
                client.lose();
                kept.over.clear();
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
