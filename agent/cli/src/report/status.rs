//! How the daemon does.

use hostler_daemon::control::{FiringAlert, Status};
use serde::Serialize;

/// How the daemon of a host does.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "report", rename = "status")]
pub(crate) struct StatusReport {
    /// Its version.
    pub(crate) version: String,
    /// Its process.
    pub(crate) pid: u32,
    /// Since it was started.
    pub(crate) uptime_ms: u64,
    /// The host's name.
    pub(crate) host: String,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// Where its configuration is written.
    pub(crate) configuration: String,
    /// Where metrics are served; `None` if they are not.
    pub(crate) metrics_address: Option<String>,
    /// Whether a history is kept, and where or why not.
    pub(crate) history: String,
    /// Whether the host is changed.
    pub(crate) changes: String,
    /// Alerts that fire, as far as they are told one by one.
    pub(crate) alerts: Vec<AlertLine>,
    /// Alerts that fire.
    pub(crate) alerts_firing: u64,
    /// Agents that had threads at the last reading.
    pub(crate) agents: u64,
    /// Who watches.
    pub(crate) watchers: u32,
    /// Time between two readings.
    pub(crate) tick_ms: u64,
    /// Ticks so far.
    pub(crate) ticks: u64,
    /// Ticks that began half a tick late or more.
    pub(crate) late_ticks: u64,
    /// Since the last tick.
    pub(crate) silent_ms: u64,
}

/// An alert that fires.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct AlertLine {
    /// Its rule.
    pub(crate) name: String,
    /// `info`, `warning` or `critical`.
    pub(crate) severity: String,
    /// What the rule says.
    pub(crate) summary: String,
    /// `host`, `group` or `agent`.
    pub(crate) scope: String,
    /// The group, or the agent's.
    pub(crate) group: String,
    /// The agent.
    pub(crate) agent: String,
    /// What is measured; empty where it is about absence.
    pub(crate) measure: String,
    /// What it was when it was judged last.
    pub(crate) value: Option<f64>,
    /// Since when it holds, in ms since 1970.
    pub(crate) since_ms: u64,
}

impl From<FiringAlert> for AlertLine {
    fn from(alert: FiringAlert) -> Self {
        Self {
            name: alert.name,
            severity: alert.severity,
            summary: alert.summary,
            scope: alert.scope,
            group: alert.group,
            agent: alert.agent,
            measure: alert.measure,
            value: alert.value,
            since_ms: alert.since_ms,
        }
    }
}

impl From<Status> for StatusReport {
    fn from(status: Status) -> Self {
        let address = status.metrics_address;
        Self {
            version: status.version,
            pid: status.pid,
            uptime_ms: status.uptime_ms,
            host: status.host,
            kernel: status.kernel,
            configuration: status.configuration,
            metrics_address: (!address.is_empty()).then_some(address),
            history: status.history,
            changes: status.changes,
            alerts: status.alerts.into_iter().map(AlertLine::from).collect(),
            alerts_firing: status.alerts_firing,
            agents: status.agents,
            watchers: status.watchers,
            tick_ms: status.tick_ms,
            ticks: status.ticks,
            late_ticks: status.late_ticks,
            silent_ms: status.silent_ms,
        }
    }
}
