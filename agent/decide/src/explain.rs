//! Why an agent got no further: where its threads' time went in a window, and what cost most of
//! it.
//!
//! The time that threads lose (waiting for a CPU, throttled, blocked) is cut into parts by what
//! caused it, and no part is told twice, so that the [`Reason`]s can be ranked and added up. A new
//! kind of reason is a variant of [`Why`] and a function beside those in [`explain`].

mod evidence;
mod reason;
mod states;
mod waits;

#[cfg(test)]
mod tests;

use hostler_common::ledger::state;
use serde::Serialize;

use crate::bottleneck::{Bottleneck, TimeParts};

pub use evidence::{Blame, Evidence, Host, KeptWaiting};
pub use reason::{Reason, Why};

/// Reasons that an explanation gives at most.
pub const MOST_REASONS: usize = 3;

/// Asleep for at least this much of its time, an agent is called asleep.
const ASLEEP_PERCENT: u64 = 95;

/// On CPUs for at least this much of the window's length, an agent is said to compute.
const COMPUTING_PERCENT: u64 = 80;

/// Wake-ups below which quantiles of their waits say little.
const ENOUGH_WAKE_UPS: u64 = 100;

/// How much longer than the median the 99th percentile is in bursts.
const BURST_RATIO: u64 = 100;

/// What is concluded from the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// All in one word.
    pub verdict: Verdict,
    /// What cost the agent's threads most time, the most costly first; at most [`MOST_REASONS`].
    pub reasons: Vec<Reason>,
    /// Which of all that its time went to held it up most; `None` if it had nothing to do.
    pub bottleneck: Option<Bottleneck>,
    /// Whether a few of its wake-ups wait much longer than most.
    pub bursts: Option<Bursts>,
}

/// How an agent fared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It had no threads.
    NoThreads,
    /// Something held it up: there are reasons.
    HeldUp,
    /// Nothing held it up; it slept nearly all the time.
    Asleep,
    /// Nothing held it up; it keeps a CPU busy.
    Computes,
    /// Nothing held it up.
    Unhindered,
}

/// Waits after a wake-up of which most are short and a few long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bursts {
    /// Half of them are at most this long, in ns.
    pub p50_ns: u64,
    /// One in a hundred is about this long or longer, in ns.
    pub p99_ns: u64,
}

/// Says what cost the agent's threads most time. Deterministic, and defined for any evidence.
pub fn explain(evidence: &Evidence) -> Explanation {
    let mut reasons = Vec::new();
    reasons.extend(states::throttled(evidence));
    reasons.extend(states::blocked_on_io(evidence));
    reasons.extend(states::blocked(evidence));
    reasons.extend(waits::by_cause(evidence));
    let reasons = most_costly(reasons, evidence);
    Explanation {
        verdict: verdict(evidence, &reasons),
        bottleneck: TimeParts::of(&evidence.window, evidence.around(), evidence.length_ns)
            .bottleneck(evidence.length_ns as f64),
        bursts: bursts(evidence),
        reasons,
    }
}

fn most_costly(mut reasons: Vec<Reason>, evidence: &Evidence) -> Vec<Reason> {
    for reason in &mut reasons {
        // A ledger can hold a little too much in one state and as much too little in another.
        reason.cost_ns = reason.cost_ns.min(evidence.window.ledger.total_ns());
    }
    reasons.retain(|reason| evidence.is_felt(reason.cost_ns));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.cost_ns));
    reasons.truncate(MOST_REASONS);
    reasons
}

fn verdict(evidence: &Evidence, reasons: &[Reason]) -> Verdict {
    let window = &evidence.window;
    let total_ns = window.ledger.total_ns();
    let is_most = |part_ns: u64, percent: u64, all_ns: u64| {
        u128::from(part_ns) * 100 >= u128::from(all_ns) * u128::from(percent)
    };
    if total_ns == 0 && window.is_idle() {
        Verdict::NoThreads
    } else if !reasons.is_empty() {
        Verdict::HeldUp
    } else if is_most(
        window.ledger.spent_ns(state::ASLEEP),
        ASLEEP_PERCENT,
        total_ns,
    ) {
        Verdict::Asleep
    } else if is_most(window.on_cpu_ns(), COMPUTING_PERCENT, evidence.length_ns) {
        Verdict::Computes
    } else {
        Verdict::Unhindered
    }
}

fn bursts(evidence: &Evidence) -> Option<Bursts> {
    let waits = &evidence.window.wake_wait;
    let (p50_ns, p99_ns) = (waits.quantile_ns(0.5)?, waits.quantile_ns(0.99)?);
    let is_long = p99_ns >= evidence.long_wait_ns && p99_ns >= p50_ns.saturating_mul(BURST_RATIO);
    (is_long && waits.total() >= ENOUGH_WAKE_UPS).then_some(Bursts { p50_ns, p99_ns })
}
