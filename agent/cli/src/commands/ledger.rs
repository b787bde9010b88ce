//! `hostler trace ledger`: where the time of each agent's threads went.

use hostler_common::ledger::state;
use hostler_decide::{
    scene::{Scene, Signals},
    window::{LedgerWindow, Window},
};
use hostler_observe::Options;

use super::{Need, Trace};
use crate::{
    args::{Format, GlobalArgs, LedgerArgs, selects},
    failure::Failure,
    output::Stdout,
    render::{ledger_csv, ledger_json, ledger_text},
    report::{LedgerReport, LedgerRow},
};

pub(crate) fn run(args: &LedgerArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let render = |window: &Window, scene: &Scene, is_first| {
        let report = report(args, window, &scene.facts.signals);
        match args.trace.format.chosen() {
            Format::Json => ledger_json(&report),
            Format::Csv => ledger_csv(&report, is_first),
            Format::Text => ledger_text(&report, stdout.size().0, args.top, stdout.color),
        }
    };
    Trace {
        args: &args.trace,
        global,
        stdout,
        what: "where the time goes",
        need: Need::Nothing,
        options: Options::default(),
    }
    .run(render)
}

fn report(args: &LedgerArgs, window: &Window, signals: &Signals) -> LedgerReport {
    let mut rows: Vec<LedgerRow> = window
        .agents
        .values()
        .filter(|(agent, _)| selects(&args.trace.agents, &agent.name))
        .map(|(agent, window)| LedgerRow {
            name: agent.name.to_string(),
            ledger: window.ledger,
            block_io: signals.block_io.then_some(window.block_io),
            oom_kills: signals.oom_kills.then_some(window.oom_kills),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(wanted_ns(&row.ledger)));
    LedgerReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        rows,
        losses: window.losses,
    }
}

/// Time during which threads ran or wanted to.
fn wanted_ns(ledger: &LedgerWindow) -> u64 {
    [
        state::ON_CPU,
        state::WAITING_WOKEN,
        state::WAITING_PREEMPTED,
        state::THROTTLED,
    ]
    .map(|state| ledger.spent_ns(state))
    .iter()
    .sum()
}
