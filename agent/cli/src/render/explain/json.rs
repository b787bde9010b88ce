//! The same for a program: all numbers, and each reason with its code and its sentence.

use std::collections::BTreeMap;

use hostler_decide::{
    bottleneck::Bottleneck,
    explain::{Bursts, KeptWaiting, Reason, Verdict},
};
use serde::Serialize;

use crate::{
    render::{
        ledger::LedgerJson,
        losses::LossesJson,
        machine::json_line,
        pressure::PressureJson,
        rtt::{RowJson as RttJson, row_json},
    },
    report::ExplainReport,
};

use super::words;

#[derive(Serialize)]
struct ReportJson<'a> {
    /// Always `explain`.
    report: &'static str,
    from_ns: u64,
    to_ns: u64,
    agent: AgentJson<'a>,
    /// `no_threads`, `held_up`, `asleep`, `computes` or `unhindered`.
    verdict: Verdict,
    /// The most costly first; empty unless the verdict is `held_up`.
    reasons: Vec<ReasonJson<'a>>,
    /// What held it up most, and the part of its time that this took: `computing`, `cpu`, `own_threads`,
    /// `quota`, `memory`, `faults`, `storage`, `kernel` or `network`. Null if it had nothing to do.
    bottleneck: Option<Bottleneck>,
    ledger: LedgerJson,
    waits: WaitsJson,
    /// Null unless a few wake-ups wait much longer than most.
    bursts: Option<Bursts>,
    /// Whom it talked to by TCP, as in the report `rtt`.
    peers: Vec<RttJson<'a>>,
    /// Between two readings of its cgroup; null if it has none.
    pressure: Option<PressureJson>,
    /// By node, the time on its CPUs in ns; empty where it was not counted.
    on_node_ns: BTreeMap<usize, u64>,
    /// How often a thread was put on a CPU of another node.
    node_migrations: u64,
    /// By node, its anonymous memory; null where it was not looked at.
    anon_bytes: Option<BTreeMap<usize, u64>>,
    /// Who waited longest for the agent comes first.
    kept_waiting: &'a [KeptWaiting],
    host: HostJson,
    losses: LossesJson,
}

#[derive(Serialize)]
struct AgentJson<'a> {
    name: &'a str,
    group: &'a str,
    /// `agent` or `system`.
    kind: &'static str,
    /// What makes it one agent: `cgroup`, `program`, `rule`, `kernel` or `other`.
    source: &'static str,
    place: &'a str,
    slot: u32,
    generation: u32,
}

#[derive(Serialize)]
struct ReasonJson<'a> {
    /// `reason`, the code; `cost_ns`; and the numbers of that reason.
    #[serde(flatten)]
    reason: &'a Reason,
    sentence: String,
    /// What may help; may be empty.
    remedy: String,
}

#[derive(Serialize)]
struct WaitsJson {
    waits: u64,
    waits_woken: u64,
    waits_preempted: u64,
    wait_p50_ns: Option<u64>,
    wait_p99_ns: Option<u64>,
    wait_max_ns: Option<u64>,
    /// The shortest wait that was laid to somebody.
    long_wait_ns: u64,
}

#[derive(Serialize)]
struct HostJson {
    cpus: u32,
    /// Time on CPUs of all threads.
    on_cpu_ns: u64,
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn explain_json(report: &ExplainReport) -> String {
    let (agent, explanation) = (&report.agent, &report.explanation);
    let show = |name: &str| name.to_owned();
    let reasons = explanation.reasons.iter().map(|reason| ReasonJson {
        reason,
        sentence: words::sentence(reason, &report.evidence, &show),
        remedy: words::remedy(reason, &report.evidence),
    });
    json_line(&ReportJson {
        report: "explain",
        from_ns: report.from_ns,
        to_ns: report.to_ns,
        agent: AgentJson {
            name: &agent.name,
            group: &agent.group,
            kind: agent.kind.as_str(),
            source: agent.source.as_str(),
            place: &agent.place,
            slot: agent.slot.slot,
            generation: agent.slot.generation,
        },
        verdict: explanation.verdict,
        reasons: reasons.collect(),
        bottleneck: explanation.bottleneck,
        ledger: (&report.evidence.window.ledger).into(),
        waits: WaitsJson::from(report),
        bursts: explanation.bursts,
        peers: report.peers.iter().map(row_json).collect(),
        pressure: report.evidence.window.polled().pressure.map(Into::into),
        on_node_ns: of_nodes(&report.evidence.window.placement().on_cpu_ns),
        node_migrations: report.evidence.window.placement().node_migrations,
        anon_bytes: report
            .evidence
            .window
            .node_memory
            .as_deref()
            .map(|memory| of_nodes(&memory.bytes.anon)),
        kept_waiting: &report.evidence.kept_waiting,
        host: HostJson {
            cpus: report.evidence.host.cpus,
            on_cpu_ns: report.evidence.host.on_cpu_ns,
        },
        losses: report.losses.into(),
    })
}

/// What is not 0, by node.
fn of_nodes(amounts: &[u64]) -> BTreeMap<usize, u64> {
    let amounts = amounts.iter().copied().enumerate();
    amounts.filter(|(_, amount)| *amount > 0).collect()
}

impl From<&ExplainReport> for WaitsJson {
    fn from(report: &ExplainReport) -> Self {
        let window = &report.evidence.window;
        let waits = window.waits();
        Self {
            waits: waits.total(),
            waits_woken: window.wake_wait.total(),
            waits_preempted: window.preempt_wait.total(),
            wait_p50_ns: waits.quantile_ns(0.5),
            wait_p99_ns: waits.quantile_ns(0.99),
            wait_max_ns: waits.max_ns(),
            long_wait_ns: report.evidence.long_wait_ns,
        }
    }
}
