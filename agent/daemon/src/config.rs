//! The configuration: what was written ([`RawConfig`]), and what it means ([`Config`]).
//!
//! A file is taken or refused as a whole. Whatever is unknown in it is refused, too: a key that is
//! misspelt would else be a wish that nobody hears.

mod access;
mod alerts;
mod control;
mod difference;
mod document;
mod history;
mod plan;
mod quantity;
mod raw;
mod span;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read as _},
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    time::Duration,
};

use hostler_decide::{
    agent_pattern::AgentPattern,
    identity::{RawRules, Rules},
};
use hostler_observe::{MOST_NAMED_PEERS, NamedPeer};

use crate::metrics::Policy;

pub(crate) use self::difference::difference;
pub use self::{
    access::Access,
    alerts::{NotifyConfig, Target},
    control::ControlConfig,
    document::document,
    history::{HistoryConfig, history_folder},
    plan::{PlanConfig, journal_file},
    quantity::Quantity,
    raw::{
        LogFormat, Others, PlanMode, RawConfig, RawControl, RawHistory, RawLog, RawMetrics,
        RawPlan, RawSignals, RawTls,
    },
    span::Span,
};

/// The file that is read if none is named and it is there.
pub const DEFAULT_FILE: &str = "/etc/hostler/hostler.toml";

/// Largest file that is read, in bytes: thousands of rules.
const MAX_FILE_BYTES: u64 = 1 << 20;

const SHORTEST_TICK: Duration = Duration::from_millis(100);
/// Shorter than the rest that a slot has, so that the last moments of an agent are always read.
const LONGEST_TICK: Duration = Duration::from_secs(4);
/// More series than this make a scrape that no Prometheus should be given.
const MOST_SERIES: usize = 200_000;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It can't be read.
    #[error("{} can't be read: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no configuration.
    #[error("{origin}: {message}")]
    Syntax {
        /// The file.
        origin: String,
        /// Where and why.
        message: String,
    },
    /// A value makes no sense.
    #[error("{origin}: {key}: {message}")]
    Value {
        /// The file.
        origin: String,
        /// The key.
        key: String,
        /// Why.
        message: String,
    },
}

/// What a configuration means.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it was written, or in words that it was nowhere.
    pub origin: String,
    /// As it was written, with defaults for what was not.
    pub raw: RawConfig,
    /// Time between two readings.
    pub tick: Duration,
    /// The shortest wait that is laid to somebody, in ns.
    pub long_wait_ns: u64,
    /// Who is at the other end of sockets.
    pub peers: Vec<NamedPeer>,
    /// Which processes belong together.
    pub rules: Rules,
    /// Metrics; `None` if there are to be none.
    pub metrics: Option<MetricsConfig>,
    /// The control API; `None` if there is to be none.
    pub control: Option<ControlConfig>,
    /// The history; `None` if there is to be none.
    pub history: Option<HistoryConfig>,
    /// Planning; `None` if nothing is to be planned.
    pub plan: Option<PlanConfig>,
    /// Where it is written down what is changed on the host.
    pub journal: PathBuf,
    /// What somebody wants to be told of.
    pub alerts: Vec<hostler_decide::alerts::Rule>,
    /// Who is told.
    pub notify: NotifyConfig,
}

/// Metrics.
#[derive(Clone, Debug)]
pub struct MetricsConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Agents that always have series of their own.
    pub pinned: Vec<AgentPattern>,
    /// Who may ask.
    pub access: Access,
}

impl Config {
    /// Reads a file; without a path the default one, if it is there.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let default = Path::new(DEFAULT_FILE);
        let named = path.unwrap_or(default);
        match read_text(named) {
            Ok(text) => Self::parse(&named.display().to_string(), &text),
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Self::parse("the defaults", "")
            }
            Err(source) => Err(ConfigError::Read {
                path: named.to_owned(),
                source,
            }),
        }
    }

    /// Reads a text, which comes from `origin`.
    pub fn parse(origin: &str, text: &str) -> Result<Self, ConfigError> {
        let raw = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            origin: origin.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        Self::resolve(origin, raw).map_err(|(key, message)| ConfigError::Value {
            origin: origin.to_owned(),
            key,
            message,
        })
    }

    fn resolve(origin: &str, raw: RawConfig) -> Result<Self, (String, String)> {
        let refused = |key: &str| {
            let key = key.to_owned();
            move |message: String| (key, message)
        };
        check_level(&raw.log.level).map_err(refused("log.level"))?;
        let tick = within(raw.tick, SHORTEST_TICK..=LONGEST_TICK).map_err(refused("tick"))?;
        let long_wait = within(
            raw.signals.long_wait,
            Duration::from_micros(1)..=Duration::from_mins(1),
        );
        let long_wait = long_wait.map_err(refused("signals.long_wait"))?;
        let raw_rules = RawRules {
            rules: raw.rule.clone(),
        };
        let rules = Rules::new(&raw_rules).map_err(|error| refused("rule")(error.to_string()))?;
        Ok(Self {
            origin: origin.to_owned(),
            tick,
            long_wait_ns: u64::try_from(long_wait.as_nanos()).expect("at most a minute"),
            peers: peers(&raw)?,
            rules,
            metrics: metrics(&raw.metrics)?,
            control: ControlConfig::read(&raw.control)?,
            history: HistoryConfig::read(&raw.history)?,
            plan: PlanConfig::read(&raw)?,
            journal: plan::read_journal(&raw.plan)?,
            alerts: alerts::rules(&raw.alert)?,
            notify: NotifyConfig::read(&raw.notify)?,
            raw,
        })
    }

    /// All that holds, as a file.
    pub fn shown(&self) -> String {
        toml::to_string_pretty(&self.raw).expect("it was read from such a file")
    }

    /// Which agents have series of their own.
    pub(crate) fn policy(&self) -> Policy {
        let written = &self.raw.metrics;
        let pinned = self.metrics.as_ref().map(|metrics| metrics.pinned.clone());
        Policy {
            top: written.top,
            pinned: pinned.unwrap_or_default(),
            linger: written.linger.0,
            groups: written.groups,
            series: written.series,
        }
    }

    /// Whether programs that were loaded for `other` also do for this.
    pub(crate) fn measures_like(&self, other: &Self) -> bool {
        self.raw.signals == other.raw.signals
            && self.raw.rule == other.raw.rule
            && self.peers == other.peers
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let message = format!("it is longer than {MAX_FILE_BYTES} bytes");
        return Err(io::Error::other(message));
    }
    Ok(text)
}

/// Whether it is a list of levels, each for all or for one part of Hostler.
fn check_level(text: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',') {
        let (_, level) = part.split_once('=').unwrap_or(("", part));
        if !LEVELS.contains(&level.trim()) {
            let levels = LEVELS.join(", ");
            return Err(format!("`{}` is none of {levels}", level.trim()));
        }
    }
    Ok(())
}

fn within(span: Span, range: RangeInclusive<Duration>) -> Result<Duration, String> {
    if range.contains(&span.0) {
        return Ok(span.0);
    }
    let (least, most) = (Span(*range.start()), Span(*range.end()));
    Err(format!("{span} is not from {least} to {most}"))
}

fn peers(raw: &RawConfig) -> Result<Vec<NamedPeer>, (String, String)> {
    if raw.peers.len() > MOST_NAMED_PEERS {
        let message = format!("at most {MOST_NAMED_PEERS} peers can have a name");
        return Err(("peers".to_owned(), message));
    }
    let peer = |(name, places): (&String, &Vec<String>)| {
        let argument = format!("{name}={}", places.join(","));
        argument
            .parse()
            .map_err(|message| (format!("peers.{name}"), message))
    };
    raw.peers.iter().map(peer).collect()
}

fn metrics(raw: &RawMetrics) -> Result<Option<MetricsConfig>, (String, String)> {
    let refused = |key: &str, message: String| (format!("metrics.{key}"), message);
    within(
        raw.linger,
        Duration::from_secs(1)..=Duration::from_hours(24),
    )
    .map_err(|message| refused("linger", message))?;
    if !(100..=MOST_SERIES).contains(&raw.series) {
        let message = format!("{} is not from 100 to {MOST_SERIES}", raw.series);
        return Err(refused("series", message));
    }
    let pinned: Result<Vec<AgentPattern>, String> =
        raw.pinned.iter().map(|pattern| pattern.parse()).collect();
    let pinned = pinned.map_err(|message| refused("pinned", message))?;
    if raw.listen.is_empty() {
        return Ok(None);
    }
    let listen = raw.listen.parse().map_err(|_| {
        let message = format!(
            "`{}` is no address with a port; write for example 127.0.0.1:9465 or [::1]:9465",
            raw.listen
        );
        refused("listen", message)
    })?;
    let access = Access::read(raw).map_err(|(key, message)| refused(key, message))?;
    Ok(Some(MetricsConfig {
        listen,
        pinned,
        access,
    }))
}
