//! The live view: one table that fits the terminal, of the agents that waited longest.

use std::fmt::Write as _;

use hostler_decide::{durations::Durations, window::RunQueueWindow};

use crate::report::{Row, RunqReport};

use super::{
    foreign::{cut, printable},
    losses::clauses,
    paint::Paint,
    runq_table::{noun, others_name},
    table::{Column, Table},
    units::{count, duration, duration_or_none, percent_of_time, rate},
};

/// What is known of the host, and the window to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LiveView<'a> {
    /// The host's name.
    pub(crate) host: &'a str,
    /// The kernel's release, such as `6.1.0-25-amd64`.
    pub(crate) kernel: &'a str,
    /// Agents on the host, also those to which nothing happened in the window.
    pub(crate) agents: usize,
    /// What happened in the window.
    pub(crate) report: &'a RunqReport,
}

/// What there is to draw on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// Columns of the terminal, or 100 if there is none.
    pub(crate) columns: usize,
    /// Lines to fill at most; the view has at least five.
    pub(crate) rows: usize,
    /// Whether to use colours.
    pub(crate) color: bool,
}

/// Steps of a distribution's drawing.
const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What the places of [`distribution`] stand for: two octaves each, the first from 1 µs on.
const SCALE: &str = "1µs  1ms  1s";
const PLACES: usize = 12;

/// Lines that hold no agent: the headline, the titles, the others, and what is not exact.
const OTHER_LINES: usize = 4;

/// The view as text, at most as large as the screen, its last line's end included. Without
/// colours it holds no escape sequence; clearing the screen is the caller's.
pub(crate) fn live(view: LiveView<'_>, screen: Screen) -> String {
    let paint = Paint::new(screen.color);
    let mut lines = vec![paint.strong(cut(&headline(view), screen.columns))];
    lines.extend(table(view.report, screen).lines(screen.columns, paint));
    let inexact = clauses(&view.report.losses);
    if !inexact.is_empty() {
        let inexact = format!("Not exact: {}", inexact.join("; "));
        lines.push(paint.faint(cut(&inexact, screen.columns)));
    }
    lines.join("\n") + "\n"
}

fn headline(view: LiveView<'_>) -> String {
    format!(
        "{} · {} {}, {} busy · waited {} in the last {} · Linux {}",
        printable(view.host),
        count(view.agents as u64),
        noun(view.report.group_by, view.agents),
        count(view.report.rows.len() as u64),
        duration(view.report.total().wait_ns()),
        duration(view.report.length_ns()),
        printable(view.kernel),
    )
}

fn table(report: &RunqReport, screen: Screen) -> Table {
    let mut table = Table::new(&[
        Column::name("AGENT"),
        Column::word("KIND").expendable(4),
        Column::number("WAITS/s"),
        Column::number("P50").expendable(2),
        Column::number("P99"),
        Column::number("MAX").expendable(3),
        Column::number("WAIT %"),
        Column::number("CPU %"),
        Column::number("SWITCH/s").expendable(5),
        Column::word(SCALE).expendable(1),
    ]);
    let ranking = report.ranking(screen.rows.saturating_sub(OTHER_LINES).max(1));
    let length_ns = report.length_ns();
    for Row {
        name,
        agent,
        window,
    } in ranking.shown
    {
        let kind = agent.as_ref().map_or("", |agent| agent.kind.as_str());
        table.add(cells(name.clone(), kind, window, length_ns));
    }
    if let Some(others) = &ranking.others {
        let name = others_name(others, report.group_by);
        table.add(cells(name, "", &others.window, length_ns));
    }
    table
}

fn cells(name: String, kind: &str, window: &RunQueueWindow, length_ns: u64) -> [String; 10] {
    let waits = window.waits();
    [
        name,
        kind.to_owned(),
        rate(waits.total(), length_ns),
        duration_or_none(waits.quantile_ns(0.5)),
        duration_or_none(waits.quantile_ns(0.99)),
        duration_or_none(waits.max_ns()),
        percent_of_time(window.wait_ns(), length_ns),
        percent_of_time(window.on_cpu_ns(), length_ns),
        rate(
            window.voluntary_switches + window.involuntary_switches,
            length_ns,
        ),
        distribution(&waits),
    ]
}

/// How the waits are spread: a block for every two octaves, as high as its share of the fullest.
/// What is shorter or longer than the scale is drawn at its ends.
fn distribution(waits: &Durations) -> String {
    let mut places = [0_u64; PLACES];
    for octave in waits.octaves() {
        // 1 µs is 2¹⁰ ns, near enough.
        let octaves_from_start = octave.start_ns.max(1).ilog2().saturating_sub(10);
        places[(octaves_from_start as usize / 2).min(PLACES - 1)] += octave.count;
    }
    let most = places.into_iter().max().unwrap_or_default().max(1);
    let mut drawn = String::new();
    for place in places {
        let height = (u128::from(place) * STEPS.len() as u128).div_ceil(u128::from(most));
        let step = usize::try_from(height).expect("at most the number of steps");
        let block = step.checked_sub(1).map_or(' ', |step| STEPS[step]);
        write!(drawn, "{block}").expect("a String takes whatever is written to it");
    }
    drawn
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::{Expect, expect};
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::render::samples;

    fn check(columns: usize, rows: usize, text: &Expect) {
        let report = samples::report();
        let view = LiveView {
            host: "stable-7",
            kernel: "6.1.0-25-cloud-amd64",
            agents: 4_462,
            report: &report,
        };
        let screen = Screen {
            columns,
            rows,
            color: false,
        };
        let rendered = live(view, screen);
        text.assert_eq(&rendered);
        assert!(rendered.lines().count() <= rows);
        assert!(rendered.lines().all(|line| line.width() <= columns));
    }

    #[test]
    fn at_80_columns_the_longest_waits_are_in_view() {
        check(
            80,
            24,
            &expect![[r#"
                stable-7 · 4,462 agents, 6 busy · waited 55.5 s in the last 10.0 s · Linux 6.1.…
                AGENT                     WAITS/s      P50      P99  WAIT %  CPU %  1µs  1ms  1s
                /kubepo…-3f2a/agent-0017   11,850  49.2 µs  6.82 ms     457    129  ▁▂█▃▁▁▁▁▁
                /kubepo…1/mcp-filesystem    153 k  4.61 µs  32.8 µs    89.9  1,853  ██▁▁▁▁
                kernel threads              6,750  2.30 µs   164 µs     4.5   79.0  █▂▁▁▁▁
                python3 (session 812)         541  10.2 µs  1.05 ms     3.0    5.8  ▂█▂▁▁▁
                /evil\u{1b}[2J\nagent         1.5   852 µs  1.57 ms     0.1    0.0      █▃
                other                         1.5  3.07 µs  5.63 µs     0.0    0.0  █▂
                Not exact: 3 events found no room in the ring buffer; 1.20 s of CPU time of new…
            "#]],
        );
    }

    #[test]
    fn at_120_columns_nothing_is_left_out() {
        check(
            120,
            24,
            &expect![[r#"
                stable-7 · 4,462 agents, 6 busy · waited 55.5 s in the last 10.0 s · Linux 6.1.0-25-cloud-amd64
                AGENT                                   KIND   WAITS/s      P50      P99      MAX  WAIT %  CPU %  SWITCH/s  1µs  1ms  1s
                /kubepods.sl…slice/pod-3f2a/agent-0017  agent   11,850  49.2 µs  6.82 ms  83.9 ms     457    129    11,850  ▁▂█▃▁▁▁▁▁
                /kubepods.sl…e/pod-77b1/mcp-filesystem  agent    153 k  4.61 µs  32.8 µs  2.10 ms    89.9  1,853     153 k  ██▁▁▁▁
                kernel threads                          agent    6,750  2.30 µs   164 µs  2.10 ms     4.5   79.0     6,750  █▂▁▁▁▁
                python3 (session 812)                   agent      541  10.2 µs  1.05 ms  4.19 ms     3.0    5.8       541  ▂█▂▁▁▁
                /evil\u{1b}[2J\nagent                   agent      1.5   852 µs  1.57 ms  1.57 ms     0.1    0.0       1.5      █▃
                other                                   agent      1.5  3.07 µs  5.63 µs  5.63 µs     0.0    0.0       1.5  █▂
                Not exact: 3 events found no room in the ring buffer; 1.20 s of CPU time of new processes was charged to parents or cgr…
            "#]],
        );
    }

    #[test]
    fn on_a_small_screen_the_others_are_one_line() {
        check(
            100,
            7,
            &expect![[r#"
                stable-7 · 4,462 agents, 6 busy · waited 55.5 s in the last 10.0 s · Linux 6.1.0-25-cloud-amd64
                AGENT                         KIND   WAITS/s      P50      P99      MAX  WAIT %  CPU %  1µs  1ms  1s
                /kubepods…od-3f2a/agent-0017  agent   11,850  49.2 µs  6.82 ms  83.9 ms     457    129  ▁▂█▃▁▁▁▁▁
                /kubepods…7b1/mcp-filesystem  agent    153 k  4.61 µs  32.8 µs  2.10 ms    89.9  1,853  ██▁▁▁▁
                kernel threads                agent    6,750  2.30 µs   164 µs  2.10 ms     4.5   79.0  █▂▁▁▁▁
                … and 3 more agents                      544  10.2 µs  1.05 ms  4.19 ms     3.1    5.8  ▂█▂▁▁▁
                Not exact: 3 events found no room in the ring buffer; 1.20 s of CPU time of new processes was charg…
            "#]],
        );
    }

    #[test]
    fn the_scale_has_a_title_for_each_end() {
        assert_eq!(SCALE.width(), PLACES);
        let at = |ns| distribution(&samples::durations(16, ns));
        assert_eq!(at(1_100).find('█'), Some(0));
        assert_eq!(at(1 << 20).chars().position(|c| c == '█'), Some(5));
        assert_eq!(at(1 << 30).chars().position(|c| c == '█'), Some(10));
    }
}
