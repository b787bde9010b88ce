//! `hostler trace faults`: page faults of each agent.

use hostler_common::ledger::state;
use hostler_decide::window::Window;
use hostler_observe::Observer;

use super::trace;
use crate::{
    args::{FaultsArgs, Format, GlobalArgs, selects},
    failure::Failure,
    output::Stdout,
    render::{faults_csv, faults_json, faults_text},
    report::{FaultsReport, FaultsRow},
};

pub(crate) fn run(args: &FaultsArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let render = |window: &Window, _: &Observer, is_first| {
        let report = report(args, window);
        match args.trace.format.chosen() {
            Format::Json => faults_json(&report),
            Format::Csv => faults_csv(&report, is_first),
            Format::Text => faults_text(&report, stdout.size().0, args.top, stdout.color),
        }
    };
    trace(&args.trace, global, "page faults", stdout, render)
}

fn report(args: &FaultsArgs, window: &Window) -> FaultsReport {
    let mut rows: Vec<FaultsRow> = window
        .agents
        .values()
        .filter(|(agent, _)| selects(&args.trace.agents, &agent.name))
        .map(|(agent, window)| FaultsRow {
            name: agent.name.to_string(),
            threads: window.ledger.threads,
            faults: window.faults,
            blocked_io_ns: window.ledger.spent_ns(state::BLOCKED_IO),
            on_cpu_ns: window.on_cpu_ns(),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.faults.major, row.faults.minor)));
    FaultsReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        rows,
        losses: window.losses,
    }
}
