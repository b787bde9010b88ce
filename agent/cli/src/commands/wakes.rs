//! `hostler trace wakes`: who wakes whom.

use std::{cell::RefCell, cmp::Reverse, collections::BTreeMap};

use hostler_common::wake::WakeKey;
use hostler_decide::{
    pairs::Who,
    scene::Scene,
    signal::Reading,
    wakes::{WakeGraph, WakeSignal},
    window::Window,
};
use hostler_observe::Options;

use super::{Need, Source, announce};
use crate::{
    args::{Format, GlobalArgs, WakesArgs, selects},
    failure::Failure,
    output::{self, Stdout},
    render::{wakes_csv, wakes_json, wakes_text},
    report::{WakesReport, WakesRow},
};

pub(crate) fn run(args: &WakesArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let options = Options {
        wakes: true,
        ..Options::default()
    };
    let trace = &args.trace;
    let schedule = trace.times.schedule();
    let (from, patterns) = (&trace.source, &trace.agents);
    let source = Source::open(from, patterns, Need::Wakes, schedule, global, options)?;
    announce("who wakes whom", &source, schedule, stdout);
    let graph = RefCell::new(WakeGraph::default());
    graph.borrow_mut().follow(source.beginning());
    let look = |reading: &Reading, _: &Scene| {
        graph.borrow_mut().follow(reading);
        Ok(true)
    };
    let mut is_first = true;
    source.run(schedule, look, |window, scene| {
        let report = report(args, window, &graph.borrow(), scene);
        let is_first = std::mem::take(&mut is_first);
        output::write(&match trace.format.chosen() {
            Format::Json => wakes_json(&report),
            Format::Csv => wakes_csv(&report, is_first),
            Format::Text => {
                let between = if is_first { "" } else { "\n" };
                let text = wakes_text(&report, stdout.size().0, args.top, stdout.color);
                format!("{between}{text}")
            }
        })
    })
}

fn report(args: &WakesArgs, window: &Window, graph: &WakeGraph, scene: &Scene) -> WakesReport {
    let patterns = &args.trace.agents;
    let is_wanted = |row: &WakesRow| {
        let waker = row.waker.name(&row.woken).unwrap_or_default();
        selects(patterns, &row.woken) || selects(patterns, waker)
    };
    // An edge of this window may be too light for the graph, and one of the graph's silent now.
    let mut edges: BTreeMap<WakeKey, f64> = window.wakes.keys().map(|key| (*key, 0.0)).collect();
    edges.extend(graph.edges().map(|(key, edge)| (*key, edge.per_s)));
    let mut rows: Vec<WakesRow> = edges
        .iter()
        .map(|(key, per_s)| {
            let wakes = window.wakes.get(key).copied().unwrap_or_default();
            row(key, wakes, *per_s, window, scene)
        })
        .filter(is_wanted)
        .collect();
    rows.sort_by_key(|row| Reverse(row.wakes.wakes));
    WakesReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        has_nodes: scene.facts.topology.has_several_nodes(),
        rows,
        losses: window.losses,
    }
}

fn row(key: &WakeKey, wakes: WakeSignal, per_s: f64, window: &Window, scene: &Scene) -> WakesRow {
    let name_of = |slot| scene.name_of_slot(slot);
    WakesRow {
        woken: window.name_of(key.woken, &name_of),
        waker: Who::of(key.waker, key.woken.slot, &name_of),
        wakes,
        per_s,
    }
}
