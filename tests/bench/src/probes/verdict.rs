//! Whether the targets are met.

use serde::Serialize;

use super::{
    summary::{LoadSummary, SlowDown},
    tool::Tool,
};
use crate::table::grouped;

/// Hostler's cost by the reference's must not be more than this with any load.
const TARGET: f64 = 0.4;

/// What it should be.
const AIM: f64 = 0.3;

/// What the bench is about. `None` where something is missing for an answer.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Verdict {
    /// The load with the worst ratio to the reference, and that ratio.
    pub(crate) worst: Option<(&'static str, f64)>,
    pub(crate) target_met: Option<bool>,
    pub(crate) aim_met: Option<bool>,
    /// Hostler's slow-down of a round trip is below that of every peer.
    pub(crate) slow_down_least: Option<bool>,
    /// The same in words.
    pub(crate) sentences: Vec<String>,
}

impl Verdict {
    pub(crate) fn of(loads: &[LoadSummary], slow_downs: &[SlowDown]) -> Self {
        let mut verdict = Self::default();
        verdict.judge_cost(loads);
        verdict.judge_slow_down(slow_downs);
        verdict
    }

    fn judge_cost(&mut self, loads: &[LoadSummary]) {
        let ratios = loads.iter().flat_map(|summary| {
            let hostlers = summary.tools.iter().filter(|it| it.tool.is_hostler());
            hostlers.filter_map(|it| Some((summary.load.title(), it.ratio?.median)))
        });
        let worst = ratios.max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((load, ratio)) = worst else {
            self.say("cost: no verdict, hostler and runqlat were not both measured".to_owned());
            return;
        };
        self.worst = worst;
        self.target_met = Some(ratio <= TARGET);
        self.aim_met = Some(ratio <= AIM);
        let reference = Tool::REFERENCE.title();
        self.say(format!(
            "cost: {ratio:.2} x {reference} at worst ({load}); the target of {TARGET} is {}, the aim of {AIM} is {}",
            missed_by(ratio, TARGET),
            missed_by(ratio, AIM),
        ));
    }

    fn judge_slow_down(&mut self, slow_downs: &[SlowDown]) {
        let of = |tool: Tool| {
            let found = slow_downs.iter().find(|it| it.tool == Some(tool))?;
            Some((tool.title(), found.cpu_ns.median))
        };
        let least_peer = Tool::ALL
            .into_iter()
            .filter(|tool| !tool.is_hostler())
            .filter_map(of)
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let hostler = Tool::ALL
            .into_iter()
            .filter(|it| it.is_hostler())
            .filter_map(of)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some(((peer, peer_ns), (_, ns))) = least_peer.zip(hostler) else {
            self.say("slow-down: no verdict, hostler and a peer were not both measured".to_owned());
            return;
        };
        self.slow_down_least = Some(ns < peer_ns);
        let relation = if ns < peer_ns { "below" } else { "NOT below" };
        self.say(format!(
            "slow-down: {} ns a round trip, {relation} every peer's (least: {peer}, {} ns)",
            grouped(ns),
            grouped(peer_ns),
        ));
    }

    fn say(&mut self, sentence: String) {
        self.sentences.push(sentence);
    }
}

fn missed_by(ratio: f64, limit: f64) -> String {
    if ratio <= limit {
        "met".to_owned()
    } else {
        format!("MISSED by {:.2}", ratio - limit)
    }
}
