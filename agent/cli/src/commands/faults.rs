//! `hostler trace faults`: page faults of each agent.

use hostler_common::ledger::state;
use hostler_decide::window::Window;
use hostler_observe::Options;

use super::{announce, observe, watch};
use crate::{
    args::{FaultsArgs, Format, GlobalArgs, selects},
    failure::Failure,
    output::{self, Stdout},
    render::{faults_csv, faults_json, faults_text},
    report::{FaultsReport, FaultsRow},
};

pub(crate) fn run(args: &FaultsArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let mut observer = observe(&args.agents, global, Options::default())?;
    let schedule = args.times.schedule();
    announce("page faults", schedule, stdout);
    let mut is_first = true;
    watch(&mut observer, schedule, |window, _| {
        let report = report(args, window);
        let is_first = std::mem::take(&mut is_first);
        output::write(&match args.format.chosen() {
            Format::Json => faults_json(&report),
            Format::Csv => faults_csv(&report, is_first),
            Format::Text => {
                let between = if is_first { "" } else { "\n" };
                let text = faults_text(&report, stdout.size().0, args.top, stdout.color);
                format!("{between}{text}")
            }
        })
    })
}

fn report(args: &FaultsArgs, window: &Window) -> FaultsReport {
    let mut rows: Vec<FaultsRow> = window
        .agents
        .values()
        .filter(|(agent, _)| selects(&args.agents, &agent.name))
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
