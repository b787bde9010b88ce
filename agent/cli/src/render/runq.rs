//! A run-queue report for a reader: a table, histograms, and what is not exact.

use hostler_decide::window::RunQueueWindow;

use crate::report::{Row, RunqReport};

use super::{
    foreign::{printable, shortened},
    histogram::histogram,
    layout::Layout,
    losses::footer,
    paint::Paint,
    runq_table::{self, noun},
    units::{compact_count, count, duration, duration_or_none, share},
};

/// The report as text, its last line's end included.
pub(crate) fn runq_text(report: &RunqReport, layout: Layout) -> String {
    let paint = Paint::new(layout.color);
    let mut text = headline(report, paint);
    if !report.rows.is_empty() {
        let ranking = report.ranking(layout.top);
        let table = runq_table::lines(&ranking, report.group_by, layout.width, paint);
        text.push('\n');
        for line in table {
            text.push_str(&line);
            text.push('\n');
        }
        for row in ranking.shown.iter().take(layout.histograms) {
            text.push('\n');
            text.push_str(&block(row, layout.width, paint));
        }
    }
    text.push_str(&footer(&report.losses));
    text
}

fn headline(report: &RunqReport, paint: Paint) -> String {
    let length = duration(report.length_ns());
    let total = report.total();
    if report.rows.is_empty() {
        let nobody = noun(report.group_by, 1);
        return format!("No {nobody} had anything to run in {length}.\n");
    }
    let rows = report.rows.len();
    let headline = format!(
        "{} {} in {length}: {} waits for a CPU, {} in all",
        count(rows as u64),
        noun(report.group_by, rows),
        count(total.waits().total()),
        duration(total.wait_ns()),
    );
    format!("{}\n", paint.strong(headline))
}

/// The numbers of one row in words, and its histogram.
fn block(row: &Row, width: usize, paint: Paint) -> String {
    let source = row.agent.as_ref().map(|agent| agent.source);
    let kind = source.map_or("", |source| source.as_str());
    let room = width.saturating_sub(kind.len() + 2).max(16);
    let name = printable(&row.name);
    let title = format!(
        "{}  {}",
        paint.strong(shortened(&name, room)),
        paint.faint(kind)
    );
    format!(
        "{}\n{}{}",
        if kind.is_empty() {
            paint.strong(&name)
        } else {
            title
        },
        facts(&row.window),
        histogram(&row.window, width, paint),
    )
}

fn facts(window: &RunQueueWindow) -> String {
    let waits = window.waits();
    let quantile = |q| duration_or_none(waits.quantile_ns(q));
    let total = waits.total();
    format!(
        "  {} waits: {} woken, {} preempted; {} in all\n  \
           p50 {}, p90 {}, p99 {}, max {}\n  \
           {} on CPU; switches: {} voluntary, {} involuntary\n",
        compact_count(total),
        share(window.wake_wait.total(), total),
        share(window.preempt_wait.total(), total),
        duration(window.wait_ns()),
        quantile(0.5),
        quantile(0.9),
        quantile(0.99),
        duration_or_none(waits.max_ns()),
        duration(window.on_cpu_ns()),
        compact_count(window.voluntary_switches),
        compact_count(window.involuntary_switches),
    )
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests;
