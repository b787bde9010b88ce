//! Histograms of waits, drawn in the terminal: one line an octave, a bar whose parts are waits
//! after a wake-up and waits after a preemption.

use hostler_decide::{
    durations::{Bucket, Durations},
    window::RunQueueWindow,
};

use super::{
    paint::Paint,
    units::{compact_count, range},
};

/// Blocks that fill one to eight eighths of a column, from the left.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// Stands for preemptions where colours can't tell the parts of a bar apart.
const SHADE: &str = "░";

/// Columns in front of the bars: indent, range, two counts and the gaps.
const BEFORE_BARS: usize = 2 + 14 + 2 + 7 + 2 + 9 + 2;

/// The waits of one octave, told apart.
struct Octave {
    start_ns: u64,
    end_ns: u64,
    woken: u64,
    preempted: u64,
}

/// The histogram of the waits in `window`, `width` columns wide, each line's end included. Empty
/// if there were no waits.
pub(super) fn histogram(window: &RunQueueWindow, width: usize, paint: Paint) -> String {
    let octaves = octaves(window);
    let most = octaves.iter().map(|octave| octave.woken + octave.preempted);
    let Some(most) = most.max() else {
        return String::new();
    };
    let room = width.saturating_sub(BEFORE_BARS).max(8);
    let mut lines = titles(paint);
    for octave in &octaves {
        let line = format!(
            "  {:>14}  {:>7}  {:>9}  {}",
            range(octave.start_ns, octave.end_ns),
            compact_count(octave.woken),
            compact_count(octave.preempted),
            bar(octave.woken, octave.preempted, most, room, paint),
        );
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

/// The histogram of durations that are all of one kind, called `what`.
pub(super) fn one_kind(durations: &Durations, what: &str, width: usize, paint: Paint) -> String {
    /// Columns in front of the bars: indent, range, a count and the gaps.
    const BEFORE_BARS: usize = 2 + 14 + 2 + 7 + 2;
    let octaves = durations.octaves();
    let most = octaves.iter().map(|octave| octave.count).max().unwrap_or(0);
    let room = width.saturating_sub(BEFORE_BARS).max(8);
    let mut lines = paint.faint(format!("  {what:>14}  {:>7}", "count")) + "\n";
    for octave in &octaves {
        let line = format!(
            "  {:>14}  {:>7}  {}",
            range(octave.start_ns, octave.end_ns),
            compact_count(octave.count),
            bar(octave.count, 0, most, room, paint),
        );
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

fn titles(paint: Paint) -> String {
    let columns = format!("  {:>14}  {:>7}  {:>9}  ", "waited", "woken", "preempted");
    let mark = if paint.is_on() { "█" } else { SHADE };
    format!(
        "{}{} {}  {} {}\n",
        paint.faint(columns),
        paint.woken("█"),
        paint.faint("woken"),
        paint.preempted(mark),
        paint.faint("preempted"),
    )
}

fn octaves(window: &RunQueueWindow) -> Vec<Octave> {
    let (woken, preempted) = (window.wake_wait.octaves(), window.preempt_wait.octaves());
    let count_at = |octaves: &[Bucket], start_ns| {
        let found = octaves.iter().find(|octave| octave.start_ns == start_ns);
        found.map_or(0, |octave| octave.count)
    };
    let all: Durations = window.waits();
    all.octaves()
        .iter()
        .map(|octave| Octave {
            start_ns: octave.start_ns,
            end_ns: octave.end_ns,
            woken: count_at(&woken, octave.start_ns),
            preempted: count_at(&preempted, octave.start_ns),
        })
        .collect()
}

/// A bar of at most `room` columns, `most` waits being the longest. What is not zero shows.
fn bar(woken: u64, preempted: u64, most: u64, room: usize, paint: Paint) -> String {
    let eighths = |count: u64| {
        let length = u128::from(count) * room as u128 * 8;
        let length = length.div_ceil(u128::from(most.max(1)));
        usize::try_from(length).expect("a bar is at most as long as its room")
    };
    let total = eighths(woken + preempted);
    if preempted == 0 {
        return paint.woken(blocks(total));
    }
    if woken == 0 {
        return preempted_part(total, paint);
    }
    let boundary = eighths(woken).min(total - 1).max(1);
    if paint.is_on() {
        coloured(boundary, total, room, paint)
    } else {
        shaded(boundary, total, room)
    }
}

/// Both parts to an eighth of a column: the column where they meet has two colours.
fn coloured(boundary: usize, total: usize, room: usize, paint: Paint) -> String {
    let (boundary, total) = if boundary.div_ceil(8) == total.div_ceil(8) {
        // A column has two colours at most, so both parts can't end in one: the second part gets
        // an eighth of a column of its own.
        let columns = boundary.div_ceil(8).min(room - 1);
        (columns * 8, columns * 8 + 1)
    } else {
        (boundary, total)
    };
    let mut bar = paint.woken("█".repeat(boundary / 8));
    if !boundary.is_multiple_of(8) {
        bar.push_str(&paint.boundary(EIGHTHS[boundary % 8 - 1]));
    }
    bar.push_str(&paint.preempted(blocks(total - boundary.next_multiple_of(8))));
    bar
}

/// Both parts in whole columns, at least one for each.
fn shaded(boundary: usize, total: usize, room: usize) -> String {
    let columns = total.div_ceil(8).max(2).min(room);
    let woken = boundary.div_ceil(8).min(columns - 1);
    "█".repeat(woken) + &SHADE.repeat(columns - woken)
}

fn preempted_part(eighths: usize, paint: Paint) -> String {
    if paint.is_on() {
        paint.preempted(blocks(eighths))
    } else {
        SHADE.repeat(eighths.div_ceil(8))
    }
}

fn blocks(eighths: usize) -> String {
    let mut blocks = "█".repeat(eighths / 8);
    if !eighths.is_multiple_of(8) {
        blocks.push(EIGHTHS[eighths % 8 - 1]);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_width::UnicodeWidthStr;

    use super::*;

    const PLAIN: Paint = Paint::new(false);

    #[test]
    fn nothing_is_drawn_without_waits() {
        assert_eq!(histogram(&RunQueueWindow::default(), 80, PLAIN), "");
    }

    #[test]
    fn a_bar_of_one_kind_is_as_long_as_its_share() {
        assert_eq!(bar(8, 0, 8, 4, PLAIN), "████");
        assert_eq!(bar(3, 0, 8, 4, PLAIN), "█▌");
        assert_eq!(bar(1, 0, 1_000_000, 4, PLAIN), "▏");
        assert_eq!(bar(0, 4, 8, 4, PLAIN), "░░");
        assert_eq!(bar(0, 0, 8, 4, PLAIN), "");
    }

    #[test]
    fn a_bar_of_both_kinds_shows_both_however_few_there_are() {
        assert_eq!(bar(6, 2, 8, 4, PLAIN), "███░");
        assert_eq!(bar(1_000_000, 1, 1_000_001, 4, PLAIN), "███░");
        assert_eq!(bar(1, 1_000_000, 1_000_001, 4, PLAIN), "█░░░");
        assert_eq!(bar(1, 1, 1_000_000, 4, PLAIN), "█░");
    }

    /// A bar in colours, with its escape sequences left out.
    fn colored(woken: u64, preempted: u64, most: u64, room: usize) -> String {
        let bar = bar(woken, preempted, most, room, Paint::new(true));
        ["\x1b[0m", "\x1b[36m", "\x1b[33m", "\x1b[43m"]
            .iter()
            .fold(bar, |bar, sequence| bar.replace(sequence, ""))
    }

    #[test]
    fn with_colours_the_parts_meet_within_a_column() {
        assert_eq!(colored(3, 5, 8, 2), "▊█");
        assert_eq!(
            bar(3, 5, 8, 2, Paint::new(true)),
            "\x1b[36m\x1b[43m▊\x1b[0m\x1b[33m█\x1b[0m"
        );
    }

    #[test]
    fn a_few_preemptions_get_an_eighth_of_a_column_of_their_own() {
        assert_eq!(colored(1_000, 1, 4_000, 10), "███▏");
        assert_eq!(colored(1_000, 1, 1_001, 10), "█████████▏");
    }

    proptest! {
        #[test]
        fn a_bar_never_leaves_its_room(
            woken in 0_u64..1 << 40,
            preempted in 0_u64..1 << 40,
            more in 0_u64..1 << 40,
            room in 8_usize..200,
        ) {
            let bar = bar(woken, preempted, woken + preempted + more, room, PLAIN);
            prop_assert!(bar.width() <= room);
            prop_assert_eq!(bar.is_empty(), woken + preempted == 0);
            let colored = colored(woken, preempted, woken + preempted + more, room);
            prop_assert!(colored.width() <= room);
        }
    }
}
