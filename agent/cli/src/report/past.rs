//! What happened in the past, by the history that the daemon keeps.

use hostler_daemon::history::{Series, Trend};
use hostler_decide::{measures::Measure, samples::Sample};

/// Measures of one series over a span of time.
#[derive(Clone, Debug)]
pub(crate) struct TrendReport {
    /// Who it is of.
    pub(crate) series: Series,
    /// What happened.
    pub(crate) trend: Trend,
    /// What is asked of it.
    pub(crate) measures: Vec<Measure>,
}

impl TrendReport {
    /// A measure of each part.
    pub(crate) fn values(&self, measure: Measure) -> Vec<Option<f64>> {
        let parts = self.trend.parts.iter();
        parts
            .map(|part| part.as_ref().and_then(|sample| measure.of(sample)))
            .collect()
    }

    /// Whether a measure is anything but zero in any part.
    pub(crate) fn tells(&self, measure: Measure) -> bool {
        let values = self.values(measure);
        values.into_iter().flatten().any(|value| value > 0.0)
    }
}

/// A series and what happened to it over the whole span.
#[derive(Clone, Debug)]
pub(crate) struct Total {
    /// Who it is of.
    pub(crate) series: Series,
    /// What happened.
    pub(crate) sample: Sample,
}

/// What happened on a host.
#[derive(Clone, Debug)]
pub(crate) struct PastReport {
    /// The host's name.
    pub(crate) host: String,
    /// The host, with all measures that tell anything.
    pub(crate) whole: TrendReport,
    /// What agents and groups are ranked by.
    pub(crate) by: Measure,
    /// Groups, the first ones first.
    pub(crate) groups: Vec<Total>,
    /// Agents, the first ones first, each with its trend.
    pub(crate) agents: Vec<(Total, TrendReport)>,
    /// Agents that are left out.
    pub(crate) more_agents: usize,
    /// Groups that are left out.
    pub(crate) more_groups: usize,
}
