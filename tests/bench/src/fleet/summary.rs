//! A fleet's truth in one line.

use serde::Serialize;

use crate::truth::Line;

/// Sums over all agents, and how long their requests took.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) agents: u32,
    /// Those that ended before they had told all.
    pub(crate) agents_lost: u32,
    pub(crate) turns: u64,
    pub(crate) requests: u64,
    pub(crate) cpu_ns: u64,
    pub(crate) minor_faults: u64,
    pub(crate) major_faults: u64,
    /// `None` without requests.
    pub(crate) request_p50_ns: Option<u64>,
    pub(crate) request_p99_ns: Option<u64>,
    /// How late agents woke.
    pub(crate) late_p50_ns: Option<u64>,
    pub(crate) late_p99_ns: Option<u64>,
    #[serde(skip)]
    requests_took_ns: Vec<u64>,
    #[serde(skip)]
    turns_late_ns: Vec<u64>,
}

impl Summary {
    pub(crate) fn add(&mut self, line: &Line) {
        match line {
            Line::Turn {
                late_ns, request, ..
            } => {
                self.turns_late_ns.push(*late_ns);
                self.requests_took_ns
                    .extend(request.iter().map(|it| it.took_ns));
            }
            Line::Agent {
                turns,
                requests,
                cpu_ns,
                minor_faults,
                major_faults,
                ..
            } => {
                self.agents += 1;
                self.turns += turns;
                self.requests += requests;
                self.cpu_ns += cpu_ns;
                self.minor_faults += minor_faults;
                self.major_faults += major_faults;
            }
        }
    }

    /// With its quantiles.
    pub(crate) fn finished(mut self) -> Self {
        [self.request_p50_ns, self.request_p99_ns] = quantiles(&mut self.requests_took_ns);
        [self.late_p50_ns, self.late_p99_ns] = quantiles(&mut self.turns_late_ns);
        self
    }
}

/// The median and the 99th percentile.
fn quantiles(values: &mut [u64]) -> [Option<u64>; 2] {
    values.sort_unstable();
    [50, 99].map(|percent| values.get(values.len() * percent / 100).copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::RequestTruth;

    #[test]
    fn a_summary_holds_the_sums_and_the_quantiles_of_all_agents() {
        let mut summary = Summary::default();
        for number in 0..100 {
            summary.add(&Line::Turn {
                agent: 1,
                at_ns: 0,
                late_ns: 10 * number,
                compute_ns: 1,
                pages: 1,
                request: Some(RequestTruth {
                    server: 0,
                    sent_bytes: 1,
                    received_bytes: 1,
                    connect_ns: None,
                    took_ns: number,
                }),
            });
        }
        let summary = summary.finished();
        assert_eq!(summary.request_p50_ns, Some(50));
        assert_eq!(summary.late_p99_ns, Some(990));
    }
}
