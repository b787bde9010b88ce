//! The table on top of a run-queue report: one line a row, longest total wait first.

use hostler_decide::window::RunQueueWindow;

use crate::{
    args::GroupBy,
    report::{Others, Ranking},
};

use super::{
    paint::Paint,
    table::{Column, Table},
    units::{compact_count, duration, duration_or_none},
};

/// The lines of the table, at most `width` columns wide.
pub(super) fn lines(
    ranking: &Ranking<'_>,
    group_by: GroupBy,
    width: usize,
    paint: Paint,
) -> Vec<String> {
    let columns = [
        Column::name(title(group_by)),
        Column::number("WAITS"),
        Column::number("P50"),
        Column::number("P90").expendable(3),
        Column::number("P99"),
        Column::number("MAX").expendable(1),
        Column::number("WAITED"),
        Column::number("ON CPU"),
        Column::number("VOL SW").expendable(2),
        Column::number("INV SW").expendable(2),
    ];
    let mut table = Table::new(&columns);
    for row in &ranking.shown {
        table.add(cells(row.name.clone(), &row.window));
    }
    if let Some(others) = &ranking.others {
        table.add(cells(others_name(others, group_by), &others.window));
    }
    table.lines(width, paint)
}

/// `agent`, `group`, `CPU` or `node`, in the number that fits `count`.
pub(super) fn noun(group_by: GroupBy, count: usize) -> &'static str {
    match (group_by, count) {
        (GroupBy::Agent, 1) => "agent",
        (GroupBy::Agent, _) => "agents",
        (GroupBy::Group, 1) => "group",
        (GroupBy::Group, _) => "groups",
        (GroupBy::Cpu, 1) => "CPU",
        (GroupBy::Cpu, _) => "CPUs",
        (GroupBy::Node, 1) => "node",
        (GroupBy::Node, _) => "nodes",
    }
}

/// What the line for the rows left out is called.
pub(super) fn others_name(others: &Others, group_by: GroupBy) -> String {
    format!("… and {} more {}", others.rows, noun(group_by, others.rows))
}

fn title(group_by: GroupBy) -> &'static str {
    match group_by {
        GroupBy::Agent => "AGENT",
        GroupBy::Group => "GROUP",
        GroupBy::Cpu => "CPU",
        GroupBy::Node => "NODE",
    }
}

fn cells(name: String, window: &RunQueueWindow) -> [String; 10] {
    let waits = window.waits();
    let quantile = |q| duration_or_none(waits.quantile_ns(q));
    [
        name,
        compact_count(waits.total()),
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        duration_or_none(waits.max_ns()),
        duration(window.wait_ns()),
        duration(window.on_cpu_ns()),
        compact_count(window.voluntary_switches),
        compact_count(window.involuntary_switches),
    ]
}
