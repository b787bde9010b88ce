//! The configuration as it is written. The comments of its fields are those of the file that
//! `hostler config default` prints, and its defaults are the values there.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use documented::DocumentedFields;
use hostler_decide::{
    alerts::Severity,
    identity::{RawMatch, RawRule},
    samples::Scope,
};
use serde::{Deserialize, Serialize};

use super::{Quantity, Span};
use crate::{control::DEFAULT_SOCKET, history::DEFAULT_FOLDER};

/// Where the journal is unless told otherwise.
const DEFAULT_JOURNAL: &str = "/var/lib/hostler/journal";

/// All that can be written.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// Time between two readings of the host, from 100ms to 4s.
    pub tick: Span,
    /// What Hostler says of itself, on standard error.
    pub log: RawLog,
    /// What is measured beside the agents' waits for a CPU, their time ledgers, page faults and
    /// bytes, which always are. A change here loads the programs anew, and counters begin at zero.
    pub signals: RawSignals,
    /// Metrics for Prometheus, at `/metrics`; `/healthz` and `/readyz` are there, too.
    pub metrics: RawMetrics,
    /// The socket at which commands such as `hostler agents` and `hostler status` ask the daemon.
    pub control: RawControl,
    /// What is kept of the past on this host, for `hostler trend` and `hostler report`.
    pub history: RawHistory,
    /// Who had better run on which NUMA node.
    pub plan: RawPlan,
    /// Who is told of alerts, beside the log.
    pub notify: RawNotify,
    /// Names for whoever is at the other end of TCP sockets. A place is an address, a network or the
    /// name of a host, each with a port or without; names of hosts are looked up when the file is read.
    pub peers: BTreeMap<String, Vec<String>>,
    /// Processes that belong to one agent, before their cgroups say so; the first rule that matches
    /// wins.
    pub rule: Vec<RawRule>,
    /// What somebody wants to be told of. What is written of a measure must all hold at once.
    pub alert: Vec<RawAlert>,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawLog {
    /// How much is said: off, error, warn, info, debug, trace, or filters such as
    /// `info,hostler_observe=debug`. The variable `HOSTLER_LOG` goes before it.
    pub level: String,
    /// How it is written: text, or json with one object on each line. Counts from the next start on.
    pub format: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For a reader.
    #[default]
    Text,
    /// One JSON object on each line.
    Json,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a signal")]
pub struct RawSignals {
    /// Whom agents talk to by TCP, and how long a round trip takes.
    pub sockets: bool,
    /// Time lost for want of CPU, memory and I/O, memory of agents, and the host's pools.
    pub pressure: bool,
    /// Who made whom wait for a CPU, of waits of `long_wait` and longer.
    pub causes: bool,
    /// The shortest wait that is laid to somebody, from 1us to 1m.
    pub long_wait: Span,
    /// On which NUMA nodes threads run and memory lies; nothing on a host with one node.
    pub placement: bool,
    /// Who wakes whom.
    pub wakes: bool,
    /// How long page faults take, where the kernel allows it. Costs 16 MiB of kernel memory.
    pub fault_latency: bool,
}

/// Metrics.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawMetrics {
    /// The address and port to listen at; "" for no metrics. Whoever reaches it can read the names of
    /// all agents, unless a token or certificates are asked for.
    pub listen: String,
    /// How many agents have series of their own, by each of these: CPU time, waits for a CPU, major
    /// faults, TCP round trips, memory, pressure. All others are in the series of their groups only.
    pub top: usize,
    /// Agents that always have series of their own, as patterns for their names.
    pub pinned: Vec<String>,
    /// For how long an agent keeps its series after it was last among those, or was last seen; from 1s
    /// to 1day.
    pub linger: Span,
    /// Groups that have series of their own; further ones, and those whose agents have all been gone
    /// for `linger`, are added up as `[other groups]`.
    pub groups: usize,
    /// Series that a scrape holds at the most; what is left out is counted.
    pub series: usize,
    /// A file with the token that whoever asks for metrics must have, as `Authorization: Bearer`; none
    /// by default. `/healthz` and `/readyz` are open to all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// TLS; none by default. Files are read when the configuration is, also at SIGHUP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<RawTls>,
}

/// The control API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawControl {
    /// The Unix socket to listen at, as a whole path; "" for none.
    pub socket: String,
    /// A group of users who may do all that root may: read, and make the daemon read this file again;
    /// "" for none.
    pub group: String,
    /// What all other users of the host may do: nothing, or read.
    pub others: Others,
}

/// The history.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawHistory {
    /// The folder of its file, as a whole path; "" for no history.
    pub folder: String,
    /// For how long it tells seconds apart (or ticks, if those are longer), from 1m to 1day.
    pub seconds: Span,
    /// For how long it tells minutes apart, from 1h to 90days.
    pub minutes: Span,
    /// For how long it tells hours apart, from 1day to 1000days.
    pub hours: Span,
    /// How large its file may become, in MiB; what is oldest goes first. At least 16.
    pub size_mib: u64,
}

/// Planning.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawPlan {
    /// observe plans nothing; advise says in the log and in metrics what had better be changed, and
    /// changes nothing; act changes it, a few steps at a time, and takes back what does not help. Both want `signals.wakes`, or know nothing of agents that work together.
    pub mode: PlanMode,
    /// Time between two plans, from 10s to 1h.
    pub interval: Span,
    /// Agents that are to stay where they are, as patterns for their names.
    pub leave: Vec<String>,
    /// Where it is written down what is changed, before it is: so that it can be taken back.
    pub journal: String,
}

/// How far Hostler goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PlanMode {
    /// It measures.
    #[default]
    Observe,
    /// It says what it would do.
    Advise,
    /// It does it.
    Act,
}

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawAlert {
    /// Its name, of letters, digits, `_` and `-`.
    pub name: String,
    /// How bad it is: info, warning or critical.
    pub severity: Severity,
    /// What whoever is told should know.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// What it is about: the host, each group, or each agent.
    pub of: Scope,
    /// Names of the groups or agents, as patterns; all if none are written.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What is measured, by the names that `hostler trend` shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measure: Option<String>,
    /// It is more than this: times as 50ms, memory as 1GiB, shares as 20%, rates as 100/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub above: Option<Quantity>,
    /// It is less than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Quantity>,
    /// It is more than usual by this part: 50% is half as much again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rises_by: Option<Quantity>,
    /// It is less than usual by this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub falls_by: Option<Quantity>,
    /// What is so long ago counts half in what is usual, from 10s to 7days.
    pub against: Span,
    /// Instead of a measure: for each name of `match`, nobody is there who has it.
    pub absent: bool,
    /// How long each judgement looks at, from 1s to 1h.
    pub over: Span,
    /// How long it must last, up to 1day.
    #[serde(rename = "for")]
    pub lasts: Span,
}

impl RawAlert {
    /// One of each kind.
    fn examples() -> Vec<Self> {
        let quantity = |text: &str| Some(Quantity(text.to_owned()));
        let texts = |name: &str, summary: &str| Self {
            name: name.to_owned(),
            summary: summary.to_owned(),
            ..Self::default()
        };
        vec![
            Self {
                names: vec!["*mcp*".to_owned()],
                measure: Some("wait_p99".to_owned()),
                above: quantity("20ms"),
                ..texts("tools-wait", "Tool servers wait for a CPU.")
            },
            Self {
                of: Scope::Group,
                measure: Some("memory".to_owned()),
                above: quantity("8GiB"),
                rises_by: quantity("50%"),
                against: Span(Duration::from_hours(24)),
                ..texts("memory-climbs", "A group has much more memory than usual.")
            },
            Self {
                severity: Severity::Critical,
                of: Scope::Host,
                measure: Some("received".to_owned()),
                below: quantity("10KiB/s"),
                falls_by: quantity("90%"),
                ..texts("models-silent", "Hardly anything is received any more.")
            },
            Self {
                names: vec!["mcp-files".to_owned(), "mcp-search".to_owned()],
                absent: true,
                ..texts("tool-gone", "A tool server does not run.")
            },
        ]
    }
}

/// Who is told of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawNotify {
    /// An address that is sent each change as JSON, by POST; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<RawTarget>,
    /// An Alertmanager, which is told again and again what fires; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<RawTarget>,
}

/// Where alerts are sent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct RawTarget {
    /// Its address, http://… or https://….
    pub url: String,
    /// A file with a token that is sent along, as `Authorization: Bearer`; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// How long it may take, from 100ms to 1m.
    pub timeout: Span,
}

impl Default for RawTarget {
    fn default() -> Self {
        Self {
            url: String::new(),
            token_file: None,
            timeout: Span(Duration::from_secs(10)),
        }
    }
}

/// What users may do who are neither root nor in the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Others {
    /// Nothing.
    #[default]
    Nothing,
    /// Read what is measured.
    Read,
}

/// TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// The certificate, and what lies between it and its root, in PEM.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
    /// Roots of the certificates that clients must have, in PEM; without it, none is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<PathBuf>,
}

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            tick: Span(Duration::from_secs(1)),
            log: RawLog::default(),
            signals: RawSignals::default(),
            metrics: RawMetrics::default(),
            control: RawControl::default(),
            history: RawHistory::default(),
            plan: RawPlan::default(),
            peers: BTreeMap::new(),
            rule: Vec::new(),
            notify: RawNotify::default(),
            alert: Vec::new(),
        }
    }
}

impl Default for RawLog {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl Default for RawSignals {
    fn default() -> Self {
        Self {
            sockets: true,
            pressure: true,
            causes: true,
            long_wait: Span(Duration::from_millis(1)),
            placement: true,
            wakes: false,
            fault_latency: false,
        }
    }
}

impl Default for RawMetrics {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9465".to_owned(),
            top: 25,
            pinned: Vec::new(),
            linger: Span(Duration::from_mins(15)),
            groups: 64,
            series: 20_000,
            token_file: None,
            tls: None,
        }
    }
}

impl Default for RawControl {
    fn default() -> Self {
        Self {
            socket: DEFAULT_SOCKET.to_owned(),
            group: String::new(),
            others: Others::Nothing,
        }
    }
}

impl Default for RawHistory {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            folder: DEFAULT_FOLDER.to_owned(),
            seconds: Span(Duration::from_mins(15)),
            minutes: Span(2 * DAY),
            hours: Span(90 * DAY),
            size_mib: 512,
        }
    }
}

impl Default for RawPlan {
    fn default() -> Self {
        Self {
            mode: PlanMode::Observe,
            interval: Span(Duration::from_secs(30)),
            leave: Vec::new(),
            journal: DEFAULT_JOURNAL.to_owned(),
        }
    }
}

impl RawConfig {
    /// The default with an example of each thing that is not there by default.
    pub(super) fn example() -> Self {
        let peers = [("model", "api.example.com:443"), ("tools", "10.1.0.0/16")];
        Self {
            peers: peers
                .map(|(name, place)| (name.to_owned(), vec![place.to_owned()]))
                .into(),
            rule: vec![RawRule {
                name: "coder".to_owned(),
                group: Some("coders".to_owned()),
                agent: Some("{env:AGENT_ID}".to_owned()),
                matchers: RawMatch {
                    cgroup: Some("/agents/*".to_owned()),
                    env: [("AGENT_ID".to_owned(), "*".to_owned())].into(),
                    ..RawMatch::default()
                },
                ..RawRule::default()
            }],
            notify: RawNotify {
                webhook: Some(RawTarget {
                    url: "https://example.com/hooks/hostler".to_owned(),
                    token_file: Some("/etc/hostler/webhook-token".into()),
                    ..RawTarget::default()
                }),
                alertmanager: Some(RawTarget {
                    url: "http://127.0.0.1:9093".to_owned(),
                    ..RawTarget::default()
                }),
            },
            alert: RawAlert::examples(),
            metrics: RawMetrics {
                token_file: Some("/etc/hostler/token".into()),
                tls: Some(RawTls {
                    certificate: "/etc/hostler/tls.crt".into(),
                    key: "/etc/hostler/tls.key".into(),
                    clients: Some("/etc/hostler/clients.crt".into()),
                }),
                ..RawMetrics::default()
            },
            ..Self::default()
        }
    }
}
