//! Everything that was measured, and what follows from it: the JSON document.

use serde::Serialize;

use super::{
    programs::ProgramRuns,
    summary::{LoadSummary, SlowDown, load_summary, slow_downs},
    tool::Tool,
    verdict::Verdict,
};
use crate::load::{Load, RoundTrips};

/// A whole run of the bench.
#[derive(Serialize)]
pub(crate) struct Record {
    pub(crate) kernel: String,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) windows: Vec<CostWindow>,
    pub(crate) round_trips: Vec<SlowDownPair>,
    pub(crate) loads: Vec<LoadSummary>,
    pub(crate) slow_downs: Vec<SlowDown>,
    pub(crate) verdict: Verdict,
}

/// What was left out, and why.
#[derive(Serialize)]
pub(crate) struct Skipped {
    pub(crate) what: String,
    pub(crate) reason: String,
}

/// One tool with one load, the statistics on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CostWindow {
    pub(crate) round: u32,
    pub(crate) load: Load,
    pub(crate) tool: Tool,
    pub(crate) seconds: f64,
    /// Context switches of the whole machine.
    pub(crate) switches: u64,
    /// The empty program, at the same switches.
    pub(crate) empty: ProgramRuns,
    /// The tool's programs that count.
    pub(crate) programs: Vec<ProgramRuns>,
}

/// The ping-pong beside one tool, the statistics off.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct SlowDownPair {
    pub(crate) round: u32,
    pub(crate) tool: Tool,
    /// Just before, beside no tool.
    pub(crate) alone: RoundTrips,
    pub(crate) beside: RoundTrips,
}

impl Record {
    pub(crate) fn new(rounds: u32, seconds: u64) -> Self {
        Self {
            kernel: hostler_observe::kernel_release(),
            rounds,
            seconds,
            skipped: Vec::new(),
            windows: Vec::new(),
            round_trips: Vec::new(),
            loads: Vec::new(),
            slow_downs: Vec::new(),
            verdict: Verdict::default(),
        }
    }

    pub(crate) fn skip(&mut self, skipped: Skipped) {
        eprintln!("skipped: {}: {}", skipped.what, skipped.reason);
        self.skipped.push(skipped);
    }

    /// Sums up what was measured.
    pub(crate) fn conclude(&mut self) {
        self.loads = Load::ALL
            .into_iter()
            .filter_map(|load| load_summary(load, &self.windows))
            .collect();
        self.slow_downs = slow_downs(&self.round_trips);
        self.verdict = Verdict::of(&self.loads, &self.slow_downs);
    }
}

impl Skipped {
    pub(crate) fn new(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            reason: reason.into(),
        }
    }
}
