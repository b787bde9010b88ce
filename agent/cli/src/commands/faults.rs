//! `hostler trace faults`: page faults of each agent.

use hostler_common::ledger::state;
use hostler_decide::{
    scene::{Availability, Scene},
    window::Window,
};
use hostler_observe::Options;

use super::{Need, Trace};
use crate::{
    args::{FaultsArgs, Format, GlobalArgs, selects},
    failure::Failure,
    output::Stdout,
    render::{Layout, faults_csv, faults_json, faults_text},
    report::{FaultsReport, FaultsRow},
};

pub(crate) fn run(args: &FaultsArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let options = Options {
        fault_latency: true,
        ..Options::default()
    };
    let render = |window: &Window, scene: &Scene, is_first| {
        let report = report(args, window, scene);
        let layout = Layout {
            width: stdout.size().0,
            color: stdout.color,
            top: args.top,
            histograms: args.histograms.unwrap_or(3),
        };
        match args.trace.format.chosen() {
            Format::Json => faults_json(&report),
            Format::Csv => faults_csv(&report, is_first),
            Format::Text => faults_text(&report, layout),
        }
    };
    Trace {
        args: &args.trace,
        global,
        stdout,
        what: "page faults",
        need: Need::Nothing,
        options,
    }
    .run(render)
}

fn report(args: &FaultsArgs, window: &Window, scene: &Scene) -> FaultsReport {
    let mut rows: Vec<FaultsRow> = window
        .agents
        .values()
        .filter(|(agent, _)| selects(&args.trace.agents, &agent.name))
        .map(|(agent, window)| FaultsRow {
            name: agent.name.to_string(),
            threads: window.ledger.threads,
            faults: window.faults,
            latency: window.fault_latency.clone(),
            blocked_io_ns: window.ledger.spent_ns(state::BLOCKED_IO),
            on_cpu_ns: window.on_cpu_ns(),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.faults.major, row.faults.minor)));
    FaultsReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        rows,
        latency_refused: match &scene.facts.signals.fault_latency {
            Availability::Measured => None,
            Availability::Refused(reason) => Some(reason.clone()),
            Availability::Unwanted => Some("it was not recorded".to_owned()),
        },
        losses: window.losses,
    }
}
