//! `hostler trace wakes`: who wakes whom.

use std::{cell::RefCell, cmp::Reverse};

use hostler_common::wake::WakeKey;
use hostler_decide::{
    pairs::Who,
    scene::Scene,
    wakes::{WakeGraph, WakeSignal},
    window::Window,
};
use hostler_observe::Options;

use super::{Need, Trace};
use crate::{
    args::{Format, GlobalArgs, WakesArgs, selects},
    failure::Failure,
    output::Stdout,
    render::{wakes_csv, wakes_json, wakes_text},
    report::{WakesReport, WakesRow},
};

pub(crate) fn run(args: &WakesArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let options = Options {
        wakes: true,
        ..Options::default()
    };
    let graph = RefCell::new(WakeGraph::default());
    let render = |window: &Window, scene: &Scene, is_first| {
        let mut graph = graph.borrow_mut();
        graph.append(&window.wakes, window.length_ns());
        let report = report(args, window, &graph, scene);
        match args.trace.format.chosen() {
            Format::Json => wakes_json(&report),
            Format::Csv => wakes_csv(&report, is_first),
            Format::Text => wakes_text(&report, stdout.size().0, args.top, stdout.color),
        }
    };
    Trace {
        args: &args.trace,
        global,
        stdout,
        what: "who wakes whom",
        need: Need::Wakes,
        options,
    }
    .run(render)
}

fn report(args: &WakesArgs, window: &Window, graph: &WakeGraph, scene: &Scene) -> WakesReport {
    let patterns = &args.trace.agents;
    let is_wanted = |row: &WakesRow| {
        let waker = row.waker.name(&row.woken).unwrap_or_default();
        selects(patterns, &row.woken) || selects(patterns, waker)
    };
    let mut rows: Vec<WakesRow> = graph
        .edges()
        .map(|(key, edge)| {
            let wakes = window.wakes.get(key).copied().unwrap_or_default();
            row(key, wakes, edge.per_s, window, scene)
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
