//! The options of `hostler export`.

use clap::{Args, ValueEnum};

use super::{
    AgentPattern, SourceArgs,
    options::{PeerArgs, TimesArgs},
};

const EXPORT_EXAMPLES: &str = "\
Examples:
  hostler export --duration 10s                      metrics of ten seconds of this host
  hostler export --from load.rec --format csv > load.csv
  hostler export --from load.rec --format otlp --to http://127.0.0.1:4318
  hostler export --interval 15s --to /var/lib/node_exporter/hostler.prom
  hostler export --agent '*mcp*' --format json --interval 1s";

pub(super) const EXPORT_HELP: &str = "\
Write what is measured, or was recorded, as metrics for other programs

These are the metrics of `hostler run` (agent/daemon/METRICS.md), of all agents or of those that are \
asked for: of this host from now on, or of a recording. Counters begin at zero where reading begins. With \
--interval they are written again and again: a file is replaced as a whole each time, as collectors of \
text files want it, and standard output gets one after the other.

What a single trace shows is exported by `--json` and `--csv` of that trace, also --from a recording.";

/// What to export.
#[derive(Args, Debug)]
#[command(after_long_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// How metrics are written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(crate) format: ExportFormat,
    /// A file, "-" for standard output, or the address of a collector for OTLP over HTTP
    #[arg(long, value_name = "WHERE", default_value = "-")]
    pub(crate) to: String,
    /// Only agents whose name matches the pattern; may be given several times
    #[arg(long = "agent", value_name = "GLOB")]
    pub(crate) agents: Vec<AgentPattern>,
    /// When to write.
    #[command(flatten)]
    pub(crate) times: TimesArgs,
    /// Names for peers.
    #[command(flatten)]
    pub(crate) peers: PeerArgs,
    /// Where it comes from.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// How metrics are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// `OpenMetrics`
    #[default]
    Openmetrics,
    /// Prometheus' older text format
    Prometheus,
    /// One JSON object on each line, for each metric and each time
    Json,
    /// Comma-separated values, a line for each sample
    Csv,
    /// OpenTelemetry's protocol, as protobuf
    Otlp,
}

impl ExportArgs {
    pub(super) fn contradiction(&self) -> Option<String> {
        let times = self.times.contradiction();
        let of_host = [("--peer", !self.peers.named.is_empty())];
        times
            .or_else(|| self.source.contradiction(&of_host))
            .or_else(|| self.peers.contradiction())
            .or_else(|| {
                let is_wrong = self.collector().is_some() && self.format != ExportFormat::Otlp;
                is_wrong.then(|| "a collector takes OTLP: write '--format otlp'".to_owned())
            })
    }

    /// The address of a collector, if that is where it goes.
    pub(crate) fn collector(&self) -> Option<&str> {
        let is_address = self.to.starts_with("http://") || self.to.starts_with("https://");
        is_address.then_some(&self.to)
    }
}
