//! Who wakes whom, as a table.

use hostler_decide::pairs::Who;
use serde::Serialize;

use crate::report::{WakesReport, WakesRow};

use super::{
    losses::{LossesJson, footer},
    machine::{csv, json_line},
    paint::Paint,
    table::{Column, Table},
    units::{compact_count, count, duration, rate, share},
};

/// The report as text, its last line's end included.
pub(crate) fn wakes_text(report: &WakesReport, width: usize, top: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let length_ns = report.to_ns.saturating_sub(report.from_ns);
    let all: u64 = report.rows.iter().map(|row| row.wakes.wakes).sum();
    if all == 0 {
        let footer = footer(&report.losses);
        return format!("Nobody was woken in {}.\n{footer}", duration(length_ns));
    }
    let others: u64 = report.rows.iter().map(|row| row.wakes.node_wakes).sum();
    let from_others = if report.has_nodes {
        format!(", {} from another node", share(others, all))
    } else {
        String::new()
    };
    let title = format!(
        "{} wake-ups in {}{from_others}",
        count(all),
        duration(length_ns)
    );
    let mut table = Table::new(&[
        Column::name("WHO WAS WOKEN"),
        Column::name("BY WHOM"),
        Column::number("WAKES"),
        Column::number("WAKES/s"),
        Column::number("LATELY").expendable(2),
        Column::number("OTHER NODE").expendable(1),
    ]);
    let shown: Vec<&WakesRow> = report
        .rows
        .iter()
        .filter(|row| row.wakes.wakes > 0)
        .collect();
    for row in shown.iter().take(top) {
        table.add([
            row.woken.clone(),
            by_whom(row).to_owned(),
            compact_count(row.wakes.wakes),
            rate(row.wakes.wakes, length_ns),
            format!("{:.1}", row.per_s),
            if report.has_nodes {
                share(row.wakes.node_wakes, row.wakes.wakes)
            } else {
                "–".to_owned()
            },
        ]);
    }
    let mut text = paint.strong(title) + "\n\n";
    let left_out = shown.len().saturating_sub(top);
    text.push_str(&table.text(width, paint, left_out, "pairs"));
    text.push_str(&footer(&report.losses));
    text
}

fn by_whom(row: &WakesRow) -> &str {
    match &row.waker {
        Who::Itself => "itself",
        waker => waker.name(&row.woken).unwrap_or_default(),
    }
}

#[derive(Serialize)]
struct ReportJson<'a> {
    /// Always `wakes`.
    report: &'static str,
    from_ns: u64,
    to_ns: u64,
    /// Most wake-ups first.
    wakes: Vec<RowJson<'a>>,
    losses: LossesJson,
}

#[derive(Serialize)]
struct RowJson<'a> {
    woken: &'a str,
    /// `same_agent`, `another_agent`, `kernel_thread`, `unattributed` or `interrupts`.
    waker_class: &'static str,
    /// Its name in a list of agents.
    waker: Option<&'a str>,
    wakes: u64,
    /// By a CPU of another node than the one where the woken thread ran last.
    node_wakes: u64,
    /// A second, wake-ups of half a minute ago counting half.
    lately_per_s: f64,
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn wakes_json(report: &WakesReport) -> String {
    let rows = report.rows.iter().map(|row| RowJson {
        woken: &row.woken,
        waker_class: row.waker.class(),
        waker: row.waker.name(&row.woken),
        wakes: row.wakes.wakes,
        node_wakes: row.wakes.node_wakes,
        lately_per_s: row.per_s,
    });
    json_line(&ReportJson {
        report: "wakes",
        from_ns: report.from_ns,
        to_ns: report.to_ns,
        wakes: rows.collect(),
        losses: report.losses.into(),
    })
}

const TITLES: [&str; 8] = [
    "from_ns",
    "to_ns",
    "woken",
    "waker_class",
    "waker",
    "wakes",
    "node_wakes",
    "lately_per_s",
];

/// The report as CSV, which means what the fields mean in JSON; titles only if asked for.
pub(crate) fn wakes_csv(report: &WakesReport, titles: bool) -> String {
    let rows = report.rows.iter().map(|row| {
        [
            report.from_ns.to_string(),
            report.to_ns.to_string(),
            row.woken.clone(),
            row.waker.class().to_owned(),
            row.waker.name(&row.woken).unwrap_or_default().to_owned(),
            row.wakes.wakes.to_string(),
            row.wakes.node_wakes.to_string(),
            row.per_s.to_string(),
        ]
    });
    csv(TITLES, titles, rows)
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_decide::{signal::LossSignal, wakes::WakeSignal};

    use super::*;

    fn report(has_nodes: bool) -> WakesReport {
        let row = |woken: &str, waker, wakes, node_wakes| WakesRow {
            woken: woken.to_owned(),
            waker,
            wakes: WakeSignal { wakes, node_wakes },
            per_s: 1.25,
        };
        WakesReport {
            from_ns: 0,
            to_ns: 2_000_000_000,
            has_nodes,
            rows: vec![
                row("agents/a1", Who::Agent("agents/a2".to_owned()), 1_200, 300),
                row("agents/a1", Who::Interrupts, 12, 0),
                row("agents/a2", Who::Itself, 3, 3),
                row("agents/a3", Who::Kernel, 0, 0),
            ],
            losses: LossSignal::default(),
        }
    }

    #[test]
    fn an_edge_says_who_was_woken_by_whom_how_often_and_from_where() {
        expect![[r#"
            1,215 wake-ups in 2.00 s, 25 % from another node

            WHO WAS WOKEN  BY WHOM       WAKES  WAKES/s  LATELY  OTHER NODE
            agents/a1      agents/a2     1,200      600     1.2        25 %
            agents/a1      [interrupts]     12      6.0     1.2         0 %
            … and 1 more pairs
        "#]]
        .assert_eq(&wakes_text(&report(true), 100, 2, false));
    }

    #[test]
    fn where_there_is_one_node_nobody_wakes_from_another() {
        expect![[r#"
            1,215 wake-ups in 2.00 s

            WHO WAS WOKEN  BY WHOM       WAKES  WAKES/s  OTHER NODE
            agents/a1      agents/a2     1,200      600           –
            agents/a1      [interrupts]     12      6.0           –
            agents/a2      itself            3      1.5           –
        "#]]
        .assert_eq(&wakes_text(&report(false), 60, 20, false));
    }

    #[test]
    fn machines_get_edges_that_were_silent_too() {
        expect![[r#"
            {"report":"wakes","from_ns":0,"to_ns":2000000000,"wakes":[{"woken":"agents/a1","waker_class":"another_agent","waker":"agents/a2","wakes":1200,"node_wakes":300,"lately_per_s":1.25},{"woken":"agents/a1","waker_class":"interrupts","waker":"[interrupts]","wakes":12,"node_wakes":0,"lately_per_s":1.25},{"woken":"agents/a2","waker_class":"same_agent","waker":"agents/a2","wakes":3,"node_wakes":3,"lately_per_s":1.25},{"woken":"agents/a3","waker_class":"kernel_thread","waker":"[kernel]","wakes":0,"node_wakes":0,"lately_per_s":1.25}],"losses":{"threads_without_record":0,"records_not_made":0,"negative_durations":0,"agents_without_slot":0,"events_not_sent":0,"provisional_ns":0,"pairs_not_counted":0,"waits_held_back":0,"waits_not_sent":0,"pairs_folded":0,"peers_not_counted":0,"sockets_without_record":0,"wakes_not_counted":0}}
        "#]].assert_eq(&wakes_json(&report(true)));
        expect![[r#"
            from_ns,to_ns,woken,waker_class,waker,wakes,node_wakes,lately_per_s
            0,2000000000,agents/a1,another_agent,agents/a2,1200,300,1.25
            0,2000000000,agents/a1,interrupts,[interrupts],12,0,1.25
            0,2000000000,agents/a2,same_agent,agents/a2,3,3,1.25
            0,2000000000,agents/a3,kernel_thread,[kernel],0,0,1.25
        "#]]
        .assert_eq(&wakes_csv(&report(true), true));
    }

    #[test]
    fn a_silent_host_has_a_sentence_instead_of_a_table() {
        let silent = WakesReport {
            rows: Vec::new(),
            ..report(true)
        };
        expect![[r#"
            Nobody was woken in 2.00 s.
        "#]]
        .assert_eq(&wakes_text(&silent, 100, 20, false));
    }
}
