//! `hostler trace runq`: how long agents, groups, CPUs or nodes waited for a CPU, as histograms.

use std::collections::BTreeMap;

use hostler_decide::{
    scene::{CpuView, Scene},
    signal::Reading,
    topology::Topology,
    window::{RunQueueWindow, Window},
};
use hostler_observe::Options;

use super::{Need, Source, agent_rows, announce};
use crate::{
    args::{Format, GlobalArgs, GroupBy, RunqArgs, selects},
    failure::Failure,
    output::{self, Stdout},
    render::{Layout, runq_csv, runq_json, runq_text},
    report::{Row, RunqReport},
};

/// Rows of a text report, unless said otherwise.
const TOP: usize = 20;

pub(crate) fn run(args: &RunqArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let need = match args.group_by {
        GroupBy::Cpu | GroupBy::Node if args.source.from.is_some() => Need::Cpus,
        _ => Need::Nothing,
    };
    let schedule = args.times.schedule();
    let patterns = &args.agents;
    let source = Source::open(
        &args.source,
        patterns,
        need,
        schedule,
        global,
        options(args),
    )?;
    announce("waits for a CPU", &source, schedule, stdout);
    let mut is_first = true;
    let look = |_: &Reading, _: &Scene| Ok(true);
    source.run(schedule, look, |window, scene| {
        let report = RunqReport {
            from_ns: window.from_ns,
            to_ns: window.to_ns,
            group_by: args.group_by,
            rows: rows(args, window, &scene.facts.topology),
            losses: window.losses,
        };
        let is_first = std::mem::take(&mut is_first);
        output::write(&text(args, &report, is_first, stdout))
    })
}

fn options(args: &RunqArgs) -> Options {
    let patterns = args.agents.clone();
    let cpu_view = match args.group_by {
        GroupBy::Agent | GroupBy::Group => CpuView::Off,
        GroupBy::Cpu | GroupBy::Node if patterns.is_empty() => CpuView::All,
        GroupBy::Cpu | GroupBy::Node => CpuView::Selected,
    };
    let select = Box::new(move |name: &str| selects(&patterns, name));
    Options {
        cpu_view,
        select,
        ..Options::default()
    }
}

fn rows(args: &RunqArgs, window: &Window, topology: &Topology) -> Vec<Row> {
    let row = |name, window| Row {
        agent: None,
        name,
        window,
    };
    let by_number = |word: &str, windows: BTreeMap<u32, RunQueueWindow>| {
        let windows = windows.into_iter();
        windows
            .map(|(number, window)| row(format!("{word} {number}"), window))
            .collect()
    };
    match args.group_by {
        GroupBy::Agent => agent_rows(window, &args.agents),
        GroupBy::Group => {
            let mut sums = BTreeMap::<String, RunQueueWindow>::new();
            for agent in agent_rows(window, &args.agents) {
                let group = agent
                    .agent
                    .map_or(agent.name, |agent| agent.group.to_string());
                sums.entry(group).or_default().add(&agent.window);
            }
            sums.into_iter()
                .map(|(name, window)| row(name, window))
                .collect()
        }
        GroupBy::Cpu => by_number("cpu", window.cpus.clone()),
        GroupBy::Node => {
            let mut sums = BTreeMap::<u32, RunQueueWindow>::new();
            for (cpu, window) in &window.cpus {
                sums.entry(topology.node_of(*cpu)).or_default().add(window);
            }
            by_number("node", sums)
        }
    }
}

fn text(args: &RunqArgs, report: &RunqReport, is_first: bool, stdout: Stdout) -> String {
    match args.format.chosen() {
        Format::Json => runq_json(report, args.top),
        Format::Csv => runq_csv(report, args.top, is_first),
        Format::Text => {
            let layout = Layout {
                width: stdout.size().0,
                color: stdout.color,
                top: args.top.unwrap_or(TOP),
                histograms: args.histograms_to_draw(),
            };
            let between = if is_first { "" } else { "\n" };
            format!("{between}{}", runq_text(report, layout))
        }
    }
}
