//! How the daemon does.

use hostler_daemon::control::Status;
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
            agents: status.agents,
            watchers: status.watchers,
            tick_ms: status.tick_ms,
            ticks: status.ticks,
            late_ticks: status.late_ticks,
            silent_ms: status.silent_ms,
        }
    }
}
