//! `hostler trace runq --by preemptor`: who made whom wait.

use std::cmp::Reverse;

use hostler_common::pair::relation;
use hostler_decide::{pairs::Who, scene::Scene, signal::Reading, window::Window};
use hostler_observe::{LONG_WAIT_NS, Options};

use super::{Need, Source, announce, waits::single_waits};
use crate::{
    args::{Format, GlobalArgs, RunqArgs, selects},
    failure::Failure,
    output::{self, Stdout},
    render::{pairs_json, pairs_text, waits_json, waits_text},
    report::{Pair, PairsReport},
};

/// Pairs that a text report shows, unless said otherwise.
const TOP: usize = 20;

pub(crate) fn run(args: &RunqArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let long_ns = args.long.map(|long| long.as_nanos());
    let options = Options {
        pairs: true,
        wait_events: args.events,
        long_wait_ns: long_ns.map_or(LONG_WAIT_NS, |ns| u64::try_from(ns).unwrap_or(u64::MAX)),
        ..Options::default()
    };
    let need = if args.events {
        Need::SingleWaits
    } else {
        Need::Causes
    };
    let schedule = args.times.schedule();
    let patterns = &args.agents;
    let source = Source::open(&args.source, patterns, need, schedule, global, options)?;
    announce("who makes whom wait for a CPU", &source, schedule, stdout);
    let mut is_first = true;
    let look = |reading: &Reading, scene: &Scene| {
        if !args.events {
            return Ok(true);
        }
        let waits = single_waits(&args.agents, reading, scene);
        if waits.is_empty() {
            return Ok(true);
        }
        output::write(&match args.format.chosen() {
            Format::Json => waits_json(&waits),
            Format::Text | Format::Csv => waits_text(&waits, scene.began_ns),
        })
    };
    source.run(schedule, look, |window, scene| {
        let report = PairsReport {
            from_ns: window.from_ns,
            to_ns: window.to_ns,
            long_wait_ns: scene.facts.signals.long_wait_ns.unwrap_or(LONG_WAIT_NS),
            pairs: pairs(args, window, scene),
            losses: window.losses,
        };
        let is_first = std::mem::take(&mut is_first);
        let top = args.top.unwrap_or(TOP);
        output::write(&match args.format.chosen() {
            Format::Json => pairs_json(&report),
            Format::Text | Format::Csv => {
                let between = if is_first && !args.events { "" } else { "\n" };
                let text = pairs_text(&report, stdout.size().0, top, stdout.color);
                format!("{between}{text}")
            }
        })
    })
}

fn pairs(args: &RunqArgs, window: &Window, scene: &Scene) -> Vec<Pair> {
    let name_of = |slot| scene.name_of_slot(slot);
    let mut pairs: Vec<Pair> = window
        .pairs
        .iter()
        .map(|(key, totals)| Pair {
            waiter: window.name_of(key.waiter, &name_of),
            cause: Who::of(key.cause, key.waiter.slot, &name_of),
            preempted: key.relation == relation::PREEMPTOR,
            waits: totals.waits,
            wait_ns: totals.wait_ns,
        })
        .filter(|pair| selects(&args.agents, &pair.waiter))
        .collect();
    pairs.sort_by_key(|pair| Reverse(pair.wait_ns));
    pairs
}
