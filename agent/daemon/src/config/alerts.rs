//! Alerts as they are configured, and who is told of them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use hostler_decide::{
    alerts::{Bounds, Condition, Rule, Severity},
    measures::Measure,
    samples::Scope,
};

use super::{
    Quantity, Span,
    access::read_token,
    raw::{RawAlert, RawNotify, RawTarget},
    within,
};

/// Rules there may be.
const MOST_RULES: usize = 64;

/// A key and a sentence about what makes no sense.
type Refusal = (String, String);

/// Who is told of alerts, beside the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyConfig {
    /// Whoever takes a webhook.
    pub webhook: Option<Target>,
    /// An Alertmanager.
    pub alertmanager: Option<Target>,
}

/// Where to send what.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub url: reqwest::Url,
    /// What it takes to be heard there.
    pub token: Option<Arc<str>>,
    /// How long it may take.
    pub timeout: Duration,
}

impl Target {
    /// Where it is, without what else its address says: the path of a webhook is often its secret.
    pub(crate) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

/// What it takes to be heard is nobody's to see.
impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let token = self.token.as_ref().map(|_| "…");
        f.debug_struct("Target")
            .field("at", &self.origin())
            .field("token", &token)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Rules as they were written.
pub(super) fn rules(raw: &[RawAlert]) -> Result<Vec<Rule>, Refusal> {
    if raw.len() > MOST_RULES {
        let message = format!("there are {}, and there can be {MOST_RULES}", raw.len());
        return Err(("alert".to_owned(), message));
    }
    let mut names = BTreeSet::new();
    for alert in raw {
        if !names.insert(&alert.name) {
            let message = format!("two are called `{}`", alert.name);
            return Err(("alert".to_owned(), message));
        }
    }
    raw.iter()
        .map(|alert| {
            rule(alert)
                .map_err(|(key, message)| (format!("alert `{}`: {key}", alert.name), message))
        })
        .collect()
}

fn rule(raw: &RawAlert) -> Result<Rule, Refusal> {
    let refused = |key: &'static str| move |message: String| (key.to_owned(), message);
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.chars().all(is_plain) {
        let message = "a name is of letters, digits, `_` and `-`".to_owned();
        return Err(refused("name")(message));
    }
    let scope = raw.of;
    let patterns: Result<Vec<_>, String> = raw.names.iter().map(|name| name.parse()).collect();
    let patterns = patterns.map_err(refused("match"))?;
    if scope == Scope::Host && !patterns.is_empty() {
        let message = "there is one host: leave it away, or write `of`".to_owned();
        return Err(refused("match")(message));
    }
    let over = within(raw.over, Duration::from_secs(1)..=Duration::from_hours(1));
    let lasts = within(raw.lasts, Duration::ZERO..=Duration::from_hours(24));
    let condition = if raw.absent {
        absent(raw, scope)?
    } else {
        Condition::Bounds(bounds(raw)?)
    };
    Ok(Rule {
        name: raw.name.clone(),
        severity: raw.severity,
        summary: raw.summary.clone(),
        scope,
        patterns,
        condition,
        over_us: microseconds(over.map_err(refused("over"))?),
        for_us: microseconds(lasts.map_err(refused("for"))?),
    })
}

fn absent(raw: &RawAlert, scope: Scope) -> Result<Condition, Refusal> {
    let is_bounded = raw.measure.is_some()
        || [&raw.above, &raw.below, &raw.rises_by, &raw.falls_by]
            .iter()
            .any(|bound| bound.is_some());
    if is_bounded {
        let message = "who is absent has no measure: write one or the other".to_owned();
        return Err(("absent".to_owned(), message));
    }
    if scope == Scope::Host || raw.names.is_empty() {
        let message = "say with `match` which agents or groups must be there".to_owned();
        return Err(("absent".to_owned(), message));
    }
    Ok(Condition::Absent)
}

fn bounds(raw: &RawAlert) -> Result<Bounds, Refusal> {
    let refused = |key: &'static str| move |message: String| (key.to_owned(), message);
    let text = raw.measure.as_deref();
    let text = text.ok_or_else(|| {
        let message = "say what is measured, for example wait_p99, or `absent = true`".to_owned();
        refused("measure")(message)
    })?;
    let measure: Measure = text.parse().map_err(refused("measure"))?;
    let value = |bound: &Option<Quantity>| {
        let bound = bound.as_ref();
        bound.map(|bound| bound.value(measure.unit())).transpose()
    };
    let part = |bound: &Option<Quantity>| bound.as_ref().map(Quantity::part).transpose();
    let against = within(
        raw.against,
        Duration::from_secs(10)..=Duration::from_hours(7 * 24),
    );
    let bounds = Bounds {
        measure,
        above: value(&raw.above).map_err(refused("above"))?,
        below: value(&raw.below).map_err(refused("below"))?,
        rises_by: part(&raw.rises_by).map_err(refused("rises_by"))?,
        falls_by: part(&raw.falls_by).map_err(refused("falls_by"))?,
        against_us: microseconds(against.map_err(refused("against"))?),
    };
    let all = [bounds.above, bounds.below, bounds.rises_by, bounds.falls_by];
    if all.iter().all(Option::is_none) {
        let message = "say what it must not be: above, below, rises_by or falls_by".to_owned();
        return Err(refused("measure")(message));
    }
    Ok(bounds)
}

impl NotifyConfig {
    /// What is written of it.
    pub(super) fn read(raw: &RawNotify) -> Result<Self, Refusal> {
        let target = |name: &str, raw: &Option<RawTarget>| {
            let target = raw.as_ref().map(Target::read).transpose();
            target.map_err(|(key, message)| (format!("notify.{name}.{key}"), message))
        };
        Ok(Self {
            webhook: target("webhook", &raw.webhook)?,
            alertmanager: target("alertmanager", &raw.alertmanager)?,
        })
    }
}

impl Target {
    fn read(raw: &RawTarget) -> Result<Self, Refusal> {
        let refused = |key: &'static str| move |message: String| (key.to_owned(), message);
        let url: Option<reqwest::Url> = raw.url.parse().ok();
        let url = url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        let url = url.ok_or_else(|| {
            let message = "it is no address; write http://… or https://…".to_owned();
            refused("url")(message)
        })?;
        let token = raw.token_file.as_deref();
        let token = token.map(|path| read_token(path, 1)).transpose();
        let timeout = within(
            raw.timeout,
            Duration::from_millis(100)..=Duration::from_mins(1),
        );
        Ok(Self {
            url,
            token: token.map_err(refused("token_file"))?,
            timeout: timeout.map_err(refused("timeout"))?,
        })
    }
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Default for RawAlert {
    fn default() -> Self {
        Self {
            name: String::new(),
            severity: Severity::Warning,
            summary: String::new(),
            of: Scope::Agent,
            names: Vec::new(),
            measure: None,
            above: None,
            below: None,
            rises_by: None,
            falls_by: None,
            against: Span(Duration::from_hours(1)),
            absent: false,
            over: Span(Duration::from_secs(15)),
            lasts: Span(Duration::from_mins(1)),
        }
    }
}
