//! `hostler trace runq --by preemptor`: who made whom wait.

use std::cmp::Reverse;

use hostler_common::pair::relation;
use hostler_decide::{pairs::Who, signal::Reading, window::Window};
use hostler_observe::{Observer, Options};

use super::{announce, observe, waits::single_waits, watch_closely};
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
    let long_wait_ns = u64::try_from(args.long.as_nanos()).unwrap_or(u64::MAX);
    let options = Options {
        pairs: true,
        wait_events: args.events,
        long_wait_ns,
        ..Options::default()
    };
    let mut observer = observe(&args.agents, global, options)?;
    let schedule = args.times.schedule();
    announce("who makes whom wait for a CPU", schedule, stdout);
    let mut is_first = true;
    let began_ns = observer.beginning().at_ns;
    let look = |reading: &Reading, observer: &Observer| {
        let waits = single_waits(&args.agents, reading, observer);
        if waits.is_empty() {
            return Ok(true);
        }
        output::write(&match args.format.chosen() {
            Format::Json => waits_json(&waits),
            Format::Text | Format::Csv => waits_text(&waits, began_ns),
        })
    };
    watch_closely(&mut observer, schedule, look, |window, observer| {
        let report = PairsReport {
            from_ns: window.from_ns,
            to_ns: window.to_ns,
            long_wait_ns,
            pairs: pairs(args, window, observer),
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

fn pairs(args: &RunqArgs, window: &Window, observer: &Observer) -> Vec<Pair> {
    let name_of = |slot| observer.name_of_slot(slot);
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
