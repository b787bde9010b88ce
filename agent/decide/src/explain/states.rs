//! Reasons that are states of the ledger by themselves.

use hostler_common::ledger::state;

use super::{
    evidence::Evidence,
    reason::{Reason, Why},
};

pub(super) fn throttled(evidence: &Evidence) -> Option<Reason> {
    spent(evidence, state::THROTTLED, Why::Throttled)
}

pub(super) fn blocked_on_io(evidence: &Evidence) -> Option<Reason> {
    spent(evidence, state::BLOCKED_IO, Why::BlockedOnIo)
}

pub(super) fn blocked(evidence: &Evidence) -> Option<Reason> {
    spent(evidence, state::BLOCKED, Why::Blocked)
}

fn spent(evidence: &Evidence, state: u32, why: Why) -> Option<Reason> {
    let cost_ns = evidence.window.ledger.spent_ns(state);
    (cost_ns > 0).then_some(Reason { cost_ns, why })
}
