//! Where the time of each agent's threads went, as a table with a bar.

use hostler_common::ledger::state;
use hostler_decide::window::LedgerWindow;
use serde::Serialize;

use crate::report::LedgerReport;

use super::{
    losses::{LossesJson, footer},
    machine::{csv, json_line},
    paint::Paint,
    table::{Column, Table},
    units::{count, duration, share},
};

/// The states in the order in which they are shown: field in CSV, title, and what draws them in
/// the bar.
pub(super) const STATES: [(u32, &str, &str, char); 7] = [
    (state::ON_CPU, "on_cpu_ns", "ON CPU", '█'),
    (state::WAITING_WOKEN, "waiting_woken_ns", "WOKEN", '▒'),
    (
        state::WAITING_PREEMPTED,
        "waiting_preempted_ns",
        "PREEMPT",
        '░',
    ),
    (state::THROTTLED, "throttled_ns", "THROTTL", 'x'),
    (state::BLOCKED_IO, "blocked_io_ns", "BLK I/O", 'o'),
    (state::BLOCKED, "blocked_ns", "BLOCKED", '-'),
    (state::ASLEEP, "asleep_ns", "ASLEEP", '·'),
];

/// Places of the bar.
const BAR: usize = 20;

/// The report as text, its last line's end included.
pub(crate) fn ledger_text(report: &LedgerReport, width: usize, top: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let length = duration(report.length_ns());
    if report.rows.is_empty() {
        return format!("No agent had threads in {length}.\n");
    }
    // Where there is little room, the states that are rarest go first.
    let mut table = Table::new(&[
        Column::name("AGENT"),
        Column::number("THREADS"),
        Column::number(STATES[0].2),
        Column::number(STATES[1].2),
        Column::number(STATES[2].2),
        Column::number(STATES[3].2).expendable(3),
        Column::number(STATES[4].2).expendable(2),
        Column::number(STATES[5].2).expendable(4),
        Column::number(STATES[6].2).expendable(1),
        Column::word("WHERE IT WENT"),
    ]);
    for (name, ledger) in report.rows.iter().take(top) {
        let [first, second, third, fourth, fifth, sixth, seventh] =
            STATES.map(|(state, ..)| share(ledger.spent_ns(state), ledger.total_ns()));
        table.add([
            name.clone(),
            count(ledger.threads),
            first,
            second,
            third,
            fourth,
            fifth,
            sixth,
            seventh,
            bar(ledger),
        ]);
    }
    let agents = if report.rows.len() == 1 {
        "agent"
    } else {
        "agents"
    };
    let title = format!(
        "{} {agents} in {length}: threads × time",
        count(report.rows.len() as u64)
    );
    let mut text = paint.strong(title) + "\n\n";
    for line in table.lines(width, paint) {
        text.push_str(&line);
        text.push('\n');
    }
    if report.rows.len() > top {
        let more = count((report.rows.len() - top) as u64);
        text.push_str(&paint.faint(format!("… and {more} more agents\n")));
    }
    text.push_str(&footer(&report.losses));
    text
}

/// The states one after the other, each as long as its share; what is there at all has a place.
fn bar(ledger: &LedgerWindow) -> String {
    let total = ledger.total_ns().max(1);
    let mut bar = String::new();
    let mut before = 0;
    for (state, _, _, sign) in STATES {
        let spent = ledger.spent_ns(state);
        let end = before + spent;
        let place = |ns: u64| usize::try_from(ns.saturating_mul(BAR as u64) / total).unwrap_or(BAR);
        let places = place(end) - place(before);
        bar.extend(std::iter::repeat_n(sign, places));
        before = end;
    }
    bar
}

#[derive(Serialize)]
struct ReportJson<'a> {
    /// Always `ledger`.
    report: &'static str,
    from_ns: u64,
    to_ns: u64,
    rows: Vec<RowJson<'a>>,
    losses: LossesJson,
}

#[derive(Serialize)]
struct RowJson<'a> {
    name: &'a str,
    /// Threads at the end of the window.
    threads: u64,
    /// Threads × time, the sum of all states.
    total_ns: u64,
    on_cpu_ns: u64,
    waiting_woken_ns: u64,
    waiting_preempted_ns: u64,
    throttled_ns: u64,
    blocked_io_ns: u64,
    blocked_ns: u64,
    asleep_ns: u64,
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn ledger_json(report: &LedgerReport) -> String {
    let rows = report.rows.iter().map(|(name, ledger)| RowJson {
        name,
        threads: ledger.threads,
        total_ns: ledger.total_ns(),
        on_cpu_ns: ledger.spent_ns(state::ON_CPU),
        waiting_woken_ns: ledger.spent_ns(state::WAITING_WOKEN),
        waiting_preempted_ns: ledger.spent_ns(state::WAITING_PREEMPTED),
        throttled_ns: ledger.spent_ns(state::THROTTLED),
        blocked_io_ns: ledger.spent_ns(state::BLOCKED_IO),
        blocked_ns: ledger.spent_ns(state::BLOCKED),
        asleep_ns: ledger.spent_ns(state::ASLEEP),
    });
    json_line(&ReportJson {
        report: "ledger",
        from_ns: report.from_ns,
        to_ns: report.to_ns,
        rows: rows.collect(),
        losses: report.losses.into(),
    })
}

/// The report as CSV, after a line of titles in the first one; the fields mean what they mean in
/// JSON.
pub(crate) fn ledger_csv(report: &LedgerReport, is_first: bool) -> String {
    let titles = [
        "from_ns",
        "to_ns",
        "name",
        "threads",
        "total_ns",
        STATES[0].1,
        STATES[1].1,
        STATES[2].1,
        STATES[3].1,
        STATES[4].1,
        STATES[5].1,
        STATES[6].1,
    ];
    let rows = report.rows.iter().map(|(name, ledger)| {
        let [first, second, third, fourth, fifth, sixth, seventh] =
            STATES.map(|(state, ..)| ledger.spent_ns(state).to_string());
        [
            report.from_ns.to_string(),
            report.to_ns.to_string(),
            name.clone(),
            ledger.threads.to_string(),
            ledger.total_ns().to_string(),
            first,
            second,
            third,
            fourth,
            fifth,
            sixth,
            seventh,
        ]
    });
    csv(titles, is_first, rows)
}

#[cfg(test)]
mod tests {
    use hostler_decide::signal::LossSignal;

    use super::*;

    fn report() -> LedgerReport {
        let mut ledger = LedgerWindow {
            threads: 2,
            ..LedgerWindow::default()
        };
        for (state, spent_ns) in [
            (state::ON_CPU, 500_000_000),
            (state::WAITING_PREEMPTED, 250_000_000),
            (state::ASLEEP, 1_250_000_000),
        ] {
            ledger.ns[state as usize] = spent_ns;
        }
        LedgerReport {
            from_ns: 0,
            to_ns: 1_000_000_000,
            rows: vec![("agents/a1".to_owned(), ledger)],
            losses: LossSignal::default(),
        }
    }

    #[test]
    fn each_state_has_its_share_and_its_part_of_the_bar() {
        let text = ledger_text(&report(), 120, 20, false);
        let row = text.lines().last().expect("a row");
        for cell in [
            "agents/a1",
            "25 %",
            "13 %",
            "63 %",
            "█████",
            "░░",
            "············",
        ] {
            assert!(row.contains(cell), "{cell} is not in {row}");
        }
        assert!(!row.contains('x'), "nothing was throttled: {row}");
    }

    #[test]
    fn a_bar_is_never_longer_than_its_room() {
        let ledger = LedgerWindow {
            ns: [0, 3, 3, 3, 3, 3, 3, 3],
            threads: 1,
        };
        assert_eq!(bar(&ledger).chars().count(), BAR);
        assert_eq!(bar(&LedgerWindow::default()), "");
    }

    #[test]
    fn the_states_in_json_and_csv_add_up_to_the_total() {
        let value: serde_json::Value = serde_json::from_str(&ledger_json(&report())).expect("JSON");
        let row = value["rows"][0].as_object().expect("a row");
        let states: u64 = row
            .iter()
            .filter(|(field, _)| field.ends_with("_ns") && *field != "total_ns")
            .filter_map(|(_, spent)| spent.as_u64())
            .sum();
        assert_eq!(Some(states), row["total_ns"].as_u64());
        let csv = ledger_csv(&report(), true);
        let cells: Vec<&str> = csv.lines().nth(1).expect("a row").split(',').collect();
        let states: u64 = cells[5..]
            .iter()
            .filter_map(|cell| cell.parse::<u64>().ok())
            .sum();
        assert_eq!(cells[4].parse(), Ok(states));
    }
}
