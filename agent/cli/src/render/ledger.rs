//! Where the time of each agent's threads went, as a table with a bar, and what they read and wrote.

use hostler_common::ledger::state;
use hostler_decide::window::LedgerWindow;
use serde::Serialize;

use crate::report::{LedgerReport, LedgerRow};

use super::{
    foreign::printable,
    losses::footer,
    machine::{csv, rows_json},
    paint::Paint,
    table::{Column, Table},
    units::{NONE, bytes, count, duration, share},
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
    // Where there is little room, bytes go first and then the states that are rarest.
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
        Column::number("READ").expendable(5),
        Column::number("WRITTEN").expendable(5),
    ]);
    for row in report.rows.iter().take(top) {
        let ledger = &row.ledger;
        let [read, written] = bytes_of(row).map(|number| number.map_or(NONE.to_owned(), bytes));
        let [first, second, third, fourth, fifth, sixth, seventh] =
            STATES.map(|(state, ..)| share(ledger.spent_ns(state), ledger.total_ns()));
        table.add([
            row.name.clone(),
            count(ledger.threads),
            first,
            second,
            third,
            fourth,
            fifth,
            sixth,
            seventh,
            bar(ledger),
            read,
            written,
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
    let left_out = report.rows.len().saturating_sub(top);
    text.push_str(&table.text(width, paint, left_out, "agents"));
    text.push_str(&oom_lines(report, paint));
    text.push_str(&footer(&report.losses));
    text
}

/// A line for each agent of which processes were ended, also if the table does not show it; empty
/// if there was none.
fn oom_lines(report: &LedgerReport, paint: Paint) -> String {
    let mut text = String::new();
    for row in &report.rows {
        let processes = match row.oom_kills {
            None | Some(0) => continue,
            Some(1) => "1 process".to_owned(),
            Some(kills) => format!("{} processes", count(kills)),
        };
        let name = printable(&row.name);
        let line = format!("Memory ran out: the kernel ended {processes} of {name}");
        text.push_str(&paint.warning(line));
        text.push('\n');
    }
    if text.is_empty() {
        return text;
    }
    format!("\n{text}")
}

/// Bytes read and written; `None` where this kernel does not count them.
fn bytes_of(row: &LedgerRow) -> [Option<u64>; 2] {
    [
        row.block_io.map(|io| io.read_bytes),
        row.block_io.map(|io| io.written_bytes),
    ]
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

/// Where the time of an agent's threads went.
#[derive(Serialize)]
pub(super) struct LedgerJson {
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

impl From<&LedgerWindow> for LedgerJson {
    fn from(ledger: &LedgerWindow) -> Self {
        Self {
            threads: ledger.threads,
            total_ns: ledger.total_ns(),
            on_cpu_ns: ledger.spent_ns(state::ON_CPU),
            waiting_woken_ns: ledger.spent_ns(state::WAITING_WOKEN),
            waiting_preempted_ns: ledger.spent_ns(state::WAITING_PREEMPTED),
            throttled_ns: ledger.spent_ns(state::THROTTLED),
            blocked_io_ns: ledger.spent_ns(state::BLOCKED_IO),
            blocked_ns: ledger.spent_ns(state::BLOCKED),
            asleep_ns: ledger.spent_ns(state::ASLEEP),
        }
    }
}

#[derive(Serialize)]
struct RowJson<'a> {
    name: &'a str,
    #[serde(flatten)]
    ledger: LedgerJson,
    /// Bytes whose reading from storage its threads submitted; null if this kernel does not count.
    read_bytes: Option<u64>,
    /// Bytes that its threads dirtied, or wrote directly; null likewise.
    written_bytes: Option<u64>,
    /// Processes that the kernel ended because memory ran out; null if it does not tell.
    oom_kills: Option<u64>,
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn ledger_json(report: &LedgerReport) -> String {
    let rows = report.rows.iter().map(row_json);
    let window = [report.from_ns, report.to_ns];
    rows_json("ledger", window, rows, report.losses)
}

fn row_json(row: &LedgerRow) -> RowJson<'_> {
    let [read_bytes, written_bytes] = bytes_of(row);
    RowJson {
        name: &row.name,
        ledger: (&row.ledger).into(),
        read_bytes,
        written_bytes,
        oom_kills: row.oom_kills,
    }
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
        "read_bytes",
        "written_bytes",
        "oom_kills",
    ];
    let rows = report.rows.iter().map(|row| {
        let ledger = &row.ledger;
        // What is not counted stays empty.
        let [read, written] =
            bytes_of(row).map(|number| number.map_or(String::new(), |number| number.to_string()));
        let [first, second, third, fourth, fifth, sixth, seventh] =
            STATES.map(|(state, ..)| ledger.spent_ns(state).to_string());
        [
            report.from_ns.to_string(),
            report.to_ns.to_string(),
            row.name.clone(),
            ledger.threads.to_string(),
            ledger.total_ns().to_string(),
            first,
            second,
            third,
            fourth,
            fifth,
            sixth,
            seventh,
            read,
            written,
            row.oom_kills
                .map_or(String::new(), |kills| kills.to_string()),
        ]
    });
    csv(titles, is_first, rows)
}

#[cfg(test)]
mod tests {
    use hostler_decide::{block_io::BlockIoWindow, signal::LossSignal};

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
            rows: vec![LedgerRow {
                name: "agents/a1".to_owned(),
                ledger,
                block_io: Some(BlockIoWindow {
                    read_bytes: 3 << 20,
                    written_bytes: 4_096,
                }),
                oom_kills: Some(0),
            }],
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
        let states: u64 = cells[5..12]
            .iter()
            .filter_map(|cell| cell.parse::<u64>().ok())
            .sum();
        assert_eq!(cells[4].parse(), Ok(states));
    }

    #[test]
    fn bytes_stand_beside_the_states_and_a_kernel_that_does_not_count_them_shows_none() {
        let mut report = report();
        let text = ledger_text(&report, 140, 20, false);
        assert!(
            text.contains("3.0 MiB") && text.contains("4.0 KiB"),
            "{text}"
        );
        assert!(ledger_json(&report).contains("\"read_bytes\":3145728,\"written_bytes\":4096"));
        assert!(ledger_csv(&report, false).ends_with(",3145728,4096,0\n"));
        report.rows[0].block_io = None;
        report.rows[0].oom_kills = None;
        let text = ledger_text(&report, 140, 20, false);
        assert!(text.trim_end().ends_with('–'), "{text}");
        assert!(ledger_json(&report).contains("\"read_bytes\":null,\"written_bytes\":null"));
        assert!(ledger_csv(&report, false).ends_with(",,,\n"));
    }

    #[test]
    fn who_lost_processes_for_want_of_memory_is_named_below_the_table() {
        let mut report = report();
        assert!(!ledger_text(&report, 120, 20, false).contains("Memory ran out"));
        report.rows[0].oom_kills = Some(2);
        let text = ledger_text(&report, 120, 20, false);
        assert!(
            text.ends_with("\nMemory ran out: the kernel ended 2 processes of agents/a1\n"),
            "{text}"
        );
        assert!(ledger_json(&report).contains("\"oom_kills\":2"));
    }

    #[test]
    fn bytes_are_the_first_to_go_where_there_is_little_room() {
        let text = ledger_text(&report(), 100, 20, false);
        assert!(
            text.contains("BLK I/O") && !text.contains("WRITTEN"),
            "{text}"
        );
    }
}
