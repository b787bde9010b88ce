//! `hostler trace pressure`: time lost for want of CPU, memory and I/O, and the pools of memory.

use hostler_decide::{scene::Scene, window::Window};
use hostler_observe::Options;

use super::{Need, Trace};
use crate::{
    args::{Format, GlobalArgs, PressureArgs, selects},
    failure::Failure,
    output::Stdout,
    render::{pressure_csv, pressure_json, pressure_text},
    report::{PressureReport, PressureRow},
};

pub(crate) fn run(args: &PressureArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let patterns = args.trace.agents.clone();
    let options = Options {
        pressure: true,
        select: Box::new(move |name| selects(&patterns, name)),
        ..Options::default()
    };
    let render = |window: &Window, _: &Scene, is_first| {
        let report = report(args, window);
        match args.trace.format.chosen() {
            Format::Json => pressure_json(&report),
            Format::Csv => pressure_csv(&report, is_first),
            Format::Text => pressure_text(&report, stdout.size().0, args.top, stdout.color),
        }
    };
    Trace {
        args: &args.trace,
        global,
        stdout,
        what: "pressure",
        need: Need::Pressure,
        options,
    }
    .run(render)
}

fn report(args: &PressureArgs, window: &Window) -> PressureReport {
    let mut rows: Vec<PressureRow> = window
        .agents
        .values()
        .filter(|(agent, window)| {
            window.polled.is_some() && selects(&args.trace.agents, &agent.name)
        })
        .map(|(agent, window)| PressureRow {
            agent: agent.name.to_string(),
            polled: window.polled(),
        })
        .collect();
    rows.sort_by(|left, right| {
        let most_first = right.lost_share().total_cmp(&left.lost_share());
        most_first.then_with(|| left.agent.cmp(&right.agent))
    });
    PressureReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        host: window.host.clone().unwrap_or_default(),
        rows,
        losses: window.losses,
    }
}
