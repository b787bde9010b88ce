//! What Hostler costs itself, as the daemon tells it.

use std::collections::BTreeMap;

use hostler_decide::{durations::Durations, plan::Loss};

/// All of it, cumulative unless said otherwise.
#[derive(Clone, Debug, Default)]
pub struct OwnCost {
    /// Ticks.
    pub paces: Paces,
    /// Of each program, as far as it was sampled: how often it ran, and for how long, in ns.
    pub programs: BTreeMap<String, (u64, u64)>,
    /// Kernel memory of each map now, in bytes.
    pub map_bytes: BTreeMap<String, u64>,
    /// Scrapes by format.
    pub scrapes: BTreeMap<&'static str, u64>,
    /// Connections that were refused, by interface and reason.
    pub refused: BTreeMap<(&'static str, &'static str), u64>,
    /// The history.
    pub history: HistoryCost,
    /// Planning; `None` if nothing is planned.
    pub plans: Option<PlanCost>,
    /// How many alerts fire, by name and severity of their rules.
    pub alerts: Vec<(String, &'static str, u64)>,
    /// What became of what was to be told of alerts, by to whom and outcome.
    pub deliveries: BTreeMap<(&'static str, &'static str), u64>,
    /// CPU time of writing metrics, in ns.
    pub writing_cpu_ns: u64,
    /// The process; `None` if it can't be read.
    pub process: Option<ProcessCost>,
}

/// What is counted of the history.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryCost {
    /// Stretches of time that were written.
    pub written: u64,
    /// Those that were lost.
    pub lost: u64,
    /// Those that went before their time, for want of room.
    pub expelled: u64,
    /// What all samples take now, in bytes.
    pub bytes: u64,
}

/// What is told of plans.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanCost {
    /// Plans that were made.
    pub plans: u64,
    /// CPU time of planning, in ns.
    pub cpu_ns: u64,
    /// Steps of the last one.
    pub steps: u64,
    /// What the host lost a second when it was made.
    pub lost: Loss,
    /// What was changed; `None` if nothing is to be.
    pub act: Option<ActCost>,
}

/// What is told of changes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ActCost {
    /// Steps that were carried out.
    pub begun: u64,
    /// Those that could not be.
    pub refused: u64,
    /// Those that were judged and kept.
    pub kept: u64,
    /// Those that did not help and were taken back.
    pub reverted: u64,
    /// Those that are in force.
    pub in_force: u64,
    /// Knobs that others have set meanwhile, and that are theirs.
    pub yielded: u64,
    /// Memory that was moved, in bytes.
    pub moved_bytes: u64,
}

/// Ticks, and how long they took.
#[derive(Clone, Debug, Default)]
pub struct Paces {
    /// Ticks.
    pub ticks: u64,
    /// Of these, those that began half a tick late or more.
    pub late: u64,
    /// Reading the host.
    pub read: Durations,
    /// Taking the window.
    pub window: Durations,
}

/// The process, now.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessCost {
    /// CPU time, in s.
    pub cpu_s: f64,
    /// Memory that is in use, in bytes.
    pub resident_bytes: u64,
    /// Of that, what is no page of a file or shared, in bytes.
    pub anonymous_bytes: u64,
    /// Address space, in bytes.
    pub virtual_bytes: u64,
    /// Descriptors.
    pub open_fds: u64,
    /// Descriptors that it may have.
    pub max_fds: u64,
    /// Threads.
    pub threads: u64,
    /// When it began, in s since 1970.
    pub began_s: f64,
}
