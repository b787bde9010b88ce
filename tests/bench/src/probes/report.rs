//! The report: a table a load, one for the slow-down, and the verdict.

use std::fmt::Write as _;

use super::{
    record::Record,
    summary::{LoadSummary, SlowDown, ToolCost},
    tool::Tool,
};
use crate::{
    spread::Spread,
    table::{grouped, table},
};

const NOTE: &str = "\
Medians over the rounds, least and greatest in brackets. WAKE-UP and SWITCH are ns a run as the
kernel counts them, including its own clock reads, which the empty program stands for. NET is the
time in all programs on scheduler hooks, less as many empty runs, by the machine's switches. RATIO
is NET by runqlat's of the same round. Hostler always counts waits, stretches, switches, the ledger
and bytes; `--group-by cpu` adds the view per CPU, `--by preemptor` who made whom wait.";

const TRIPS_NOTE: &str = "\
A round's figure is the end of its fastest tenth of batches of 64 round trips, since what disturbs
only adds, less that beside no tool just before. CPU time is judged: other threads of the machine
don't add to it.";

pub(crate) fn text(record: &Record) -> String {
    let mut text = String::new();
    let _infallible = writeln!(
        text,
        "Linux {}, {} rounds of {} s\n",
        record.kernel, record.rounds, record.seconds
    );
    for summary in &record.loads {
        let title = summary.load.title();
        let _infallible = writeln!(text, "{title}\n{}", costs(summary));
    }
    if !record.loads.is_empty() {
        let _infallible = writeln!(text, "{NOTE}\n");
    }
    if !record.slow_downs.is_empty() {
        let heading = "round trip on one CPU, statistics off: ns that each tool adds";
        let _infallible = writeln!(text, "{heading}\n{}", trips(&record.slow_downs));
    }
    for skipped in &record.skipped {
        let _infallible = writeln!(text, "skipped: {}: {}", skipped.what, skipped.reason);
    }
    for sentence in &record.verdict.sentences {
        let _infallible = writeln!(text, "{sentence}");
    }
    let _infallible = writeln!(text, "{} skipped", record.skipped.len());
    text
}

fn costs(summary: &LoadSummary) -> String {
    let titles = [
        "TOOL",
        "SWITCHES/S",
        "RUNS/S",
        "WAKE-UP",
        "SWITCH",
        "NET NS/SWITCH",
        "RATIO",
    ];
    let row = |cost: &ToolCost| {
        [
            cost.tool.title().to_owned(),
            grouped(cost.switches_per_s),
            grouped(cost.runs_per_s),
            cost.ns_per_wakeup.map_or_else(absent, grouped),
            cost.ns_per_switch_run.map_or_else(absent, grouped),
            figures(cost.net_ns_per_switch),
            cost.ratio.map_or_else(absent, ratios),
        ]
    };
    let mut rows: Vec<_> = summary.tools.iter().map(row).collect();
    let empty = summary.empty_ns_per_run.median;
    let mut last = ["empty program", "", "", "", "", "", ""].map(str::to_owned);
    last[4] = grouped(empty);
    rows.push(last);
    table(titles, rows)
}

fn trips(slow_downs: &[SlowDown]) -> String {
    let row = |slow_down: &SlowDown| {
        [
            slow_down
                .tool
                .map_or("(the round trip itself)", Tool::title)
                .to_owned(),
            figures(slow_down.cpu_ns),
            figures(slow_down.wall_ns),
        ]
    };
    let titles = ["TOOL", "CPU TIME", "WALL TIME"];
    let table = table(titles, slow_downs.iter().map(row).collect());
    format!("{table}{TRIPS_NOTE}\n")
}

fn figures(spread: Spread) -> String {
    let Spread {
        median,
        least,
        greatest,
    } = spread;
    format!(
        "{} ({}–{})",
        grouped(median),
        grouped(least),
        grouped(greatest)
    )
}

fn ratios(spread: Spread) -> String {
    let Spread {
        median,
        least,
        greatest,
    } = spread;
    format!("{median:.2} ({least:.2}–{greatest:.2})")
}

fn absent() -> String {
    "–".to_owned()
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests;
