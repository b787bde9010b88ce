//! What had better be changed on a host.

use hostler_decide::{plan::Plan, signal::LossSignal};

/// A plan, and what it is of.
#[derive(Clone, Debug)]
pub(crate) struct PlanReport {
    /// The host's name.
    pub(crate) host: String,
    /// What to do.
    pub(crate) plan: Plan,
    /// Whether it was counted who wakes whom; else the plan knows nothing of that.
    pub(crate) has_wakes: bool,
    /// What is not exact.
    pub(crate) losses: LossSignal,
}
