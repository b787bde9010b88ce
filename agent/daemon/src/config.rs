//! The configuration: what was written ([`RawConfig`]), and what it means ([`Config`]).
//!
//! A file is taken or refused as a whole. Whatever is unknown in it is refused, too: a key that is
//! misspelt would else be a wish that nobody hears.

mod access;
mod alerts;
mod difference;
mod document;
mod history;
mod quantity;
mod raw;
mod span;

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
use nix::{
    sys::socket::UnixAddr,
    unistd::{Gid, Group},
};

use crate::metrics::Policy;

pub(crate) use self::difference::difference;
pub use self::{
    access::Access,
    alerts::{NotifyConfig, Target},
    document::document,
    history::HistoryConfig,
    quantity::Quantity,
    raw::{
        LogFormat, Others, RawConfig, RawControl, RawHistory, RawLog, RawMetrics, RawSignals,
        RawTls,
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
    /// What somebody wants to be told of.
    pub alerts: Vec<hostler_decide::alerts::Rule>,
    /// Who is told.
    pub notify: NotifyConfig,
}

/// The control API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlConfig {
    /// Where to listen.
    pub socket: PathBuf,
    /// The group that may do all.
    pub group: Option<Gid>,
    /// What others may do.
    pub others: Others,
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
            control: control(&raw.control)?,
            history: HistoryConfig::read(&raw.history)?,
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

fn control(raw: &RawControl) -> Result<Option<ControlConfig>, (String, String)> {
    let refused = |key: &str, message: String| (format!("control.{key}"), message);
    if raw.socket.is_empty() {
        return Ok(None);
    }
    let socket = PathBuf::from(&raw.socket);
    if !socket.is_absolute() || UnixAddr::new(&socket).is_err() {
        let message = format!("`{}` is not the whole path of a socket", raw.socket);
        return Err(refused("socket", message));
    }
    let group = match &*raw.group {
        "" => None,
        name => match Group::from_name(name) {
            Ok(Some(group)) => Some(group.gid),
            Ok(None) => {
                let message = format!("there is no group `{name}` on this host");
                return Err(refused("group", message));
            }
            Err(errno) => return Err(refused("group", format!("`{name}`: {errno}"))),
        },
    };
    Ok(Some(ControlConfig {
        socket,
        group,
        others: raw.others,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        Config::parse("a.toml", text)
            .expect_err("it makes no sense")
            .to_string()
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = Config::parse("a.toml", "").expect("it is empty");
        assert_eq!(config.raw, RawConfig::default());
        assert_eq!(config.tick, Duration::from_secs(1));
        assert_eq!(config.long_wait_ns, hostler_observe::LONG_WAIT_NS);
        assert!(
            config
                .metrics
                .expect("by default")
                .listen
                .ip()
                .is_loopback()
        );
    }

    #[test]
    fn what_is_unknown_is_refused_with_its_line_wherever_it_stands() {
        for text in [
            "colour = 'red'",
            "[log]\ncolour = 'red'",
            "[signals]\ncolour = true",
            "[metrics]\ncolour = 'red'",
            "[[rule]]\nname = 'a'\ncolour = 'red'",
        ] {
            let refusal = refusal(text);
            assert!(refusal.starts_with("a.toml: "), "{refusal}");
            assert!(refusal.contains("`colour`"), "{refusal}");
            let line = format!("line {}", text.lines().count());
            assert!(refusal.contains(&line), "{refusal}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_key_and_what_would() {
        for (text, key, remedy) in [
            ("tick = '5ms'", "tick", "from 100ms to 4s"),
            ("log.level = 'loud'", "log.level", "none of off, error"),
            ("log.level = 'info,a=loud'", "log.level", "`loud`"),
            ("tick = '5'", "tick", "for example 500ms"),
            (
                "[signals]\nlong_wait = '1h'",
                "signals.long_wait",
                "from 1us to 1m",
            ),
            (
                "[metrics]\nlisten = 'here'",
                "metrics.listen",
                "127.0.0.1:9465",
            ),
            ("[metrics]\nseries = 5", "metrics.series", "from 100 to"),
            (
                "[metrics]\nlinger = '0s'",
                "metrics.linger",
                "from 1s to 1day",
            ),
            (
                "[metrics]\ntoken_file = '/no/such'",
                "metrics.token_file",
                "/no/such",
            ),
            (
                "metrics.tls = { certificate = '/no/such', key = '/no' }",
                "metrics.tls",
                "/no/such",
            ),
            ("[metrics]\npinned = ['[a']", "metrics.pinned", "'*mcp*'"),
            ("[control]\nsocket = 'here'", "control.socket", "whole path"),
            (
                "[control]\ngroup = 'no-such-group'",
                "control.group",
                "`no-such-group`",
            ),
            ("[history]\nfolder = 'here'", "history.folder", "whole path"),
            ("[history]\nsize_mib = 1", "history.size_mib", "from 16 to"),
            (
                "[history]\nminutes = '1m'",
                "history.minutes",
                "from 1h to 90days",
            ),
            ("[[alert]]\nname = 'a b'", "alert `a b`: name", "letters"),
            ("[[alert]]\nname = 'a'", "measure", "wait_p99"),
            (
                "[[alert]]\nname = 'a'\nmeasure = 'colour'",
                "measure",
                "none of cpu",
            ),
            ("[[alert]]\nname = 'a'\nmeasure = 'cpu'", "measure", "above"),
            (
                "[[alert]]\nname = 'a'\nmeasure = 'wait_p99'\nabove = 5",
                "alert `a`: above",
                "50ms",
            ),
            ("[[alert]]\nname = 'a'\nabsent = true", "absent", "`match`"),
            (
                "[[alert]]\nname = 'a'\nabsent = true\nmatch = ['b']\nabove = 1",
                "absent",
                "one or the other",
            ),
            (
                "[[alert]]\nname = 'a'\nof = 'host'\nmatch = ['b']",
                "match",
                "one host",
            ),
            (
                "[[alert]]\nname = 'a'\nfor = '2days'\nmeasure = 'cpu'\nabove = 1",
                "for",
                "from 0s to 1day",
            ),
            (
                "[notify.webhook]\nurl = 'ftp://a'",
                "notify.webhook.url",
                "https://",
            ),
            (
                "[notify.webhook]\nurl = 'http://a'\ntoken_file = '/no/such'",
                "token_file",
                "/no/such",
            ),
            ("[control]\nothers = 'all'", "others", "`nothing` or `read`"),
            ("[peers]\nlan = ['10.0.0.1']", "peers.lan", "gives itself"),
            ("[[rule]]\nname = 'a'", "rule", "`a`"),
        ] {
            let refusal = refusal(text);
            assert!(refusal.contains(key), "{refusal}");
            assert!(refusal.contains(remedy), "{refusal}");
        }
    }

    #[test]
    fn what_is_shown_of_a_configuration_means_the_same_again() {
        let text = "tick = '2s'\n[peers]\nmodel = ['10.0.0.1:443']\n[[rule]]\nname = 'a'\n\
                    match.comm = 'a*'\n[metrics]\nlisten = ''";
        let config = Config::parse("a.toml", text).expect("it makes sense");
        assert!(config.metrics.is_none());
        let again = Config::parse("b.toml", &config.shown()).expect("it makes sense");
        assert_eq!(again.raw, config.raw);
    }

    #[test]
    fn only_what_is_measured_asks_for_other_programs() {
        let config = |text: &str| Config::parse("a.toml", text).expect("it makes sense");
        let before = config("");
        assert!(before.measures_like(&config("tick = '2s'\n[metrics]\ntop = 1")));
        assert!(!before.measures_like(&config("[signals]\nwakes = true")));
        assert!(!before.measures_like(&config("[peers]\nmodel = ['10.0.0.1']")));
    }

    #[test]
    fn a_file_that_is_not_there_or_no_file_is_refused_with_its_path() {
        for path in ["/no/such/file.toml", "/"] {
            let refusal = Config::read(Some(Path::new(path))).expect_err("it is no file");
            assert!(refusal.to_string().starts_with(path), "{refusal}");
        }
    }
}
