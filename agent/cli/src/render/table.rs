//! Tables that fit the terminal: less important columns go first, then names are shortened.

use comfy_table::{CellAlignment, ContentArrangement, presets::NOTHING};
use unicode_width::UnicodeWidthStr;

use super::{
    foreign::{printable, shortened},
    paint::Paint,
    units::count,
};

/// Room that names should have before less important columns are left out for them.
const COMFORTABLE: usize = 24;

/// Room that a name is given however narrow the terminal is.
const BARE_MINIMUM: usize = 8;

const GAP: u16 = 2;

/// What is known of a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    title: &'static str,
    alignment: CellAlignment,
    shortens: bool,
    /// 0 for what must stay; of the others, those with the highest number are left out first.
    expendable: u8,
}

impl Column {
    /// Names and the like: aligned left, shortened if they must be.
    pub(super) const fn name(title: &'static str) -> Self {
        Self {
            title,
            alignment: CellAlignment::Left,
            shortens: true,
            expendable: 0,
        }
    }

    /// Words: aligned left, never shortened.
    pub(super) const fn word(title: &'static str) -> Self {
        Self {
            shortens: false,
            ..Self::name(title)
        }
    }

    /// Numbers: aligned right, never shortened.
    pub(super) const fn number(title: &'static str) -> Self {
        Self {
            alignment: CellAlignment::Right,
            ..Self::word(title)
        }
    }

    /// The same column, left out where there is no room; of several, the highest `order` first.
    pub(super) const fn expendable(mut self, order: u8) -> Self {
        self.expendable = order;
        self
    }
}

/// A table, its cells still unbounded.
#[derive(Clone, Debug)]
pub(super) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, one cell for each column. Cells are escaped, so that names may be foreign.
    pub(super) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter();
        let cells: Vec<String> = cells.map(|cell| printable(&cell).into_owned()).collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// The lines of the table, each with its end, and one for `left_out` others of a kind, if there
    /// are any.
    pub(super) fn text(self, width: usize, paint: Paint, left_out: usize, kind: &str) -> String {
        let mut text = self.lines(width, paint).join("\n") + "\n";
        if left_out > 0 {
            let more = count(left_out as u64);
            text.push_str(&paint.faint(format!("… and {more} more {kind}\n")));
        }
        text
    }

    /// The titles and the rows as lines that are at most `width` columns wide, if that can be had.
    pub(super) fn lines(mut self, width: usize, paint: Paint) -> Vec<String> {
        self.leave_out_columns(width);
        self.shorten_names(width);
        let mut table = comfy_table::Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(self.columns.iter().map(|column| column.title))
            .add_rows(self.rows);
        for (column, laid_out) in self.columns.iter().zip(table.column_iter_mut()) {
            laid_out.set_padding((0, GAP));
            laid_out.set_cell_alignment(column.alignment);
        }
        let mut lines: Vec<String> = table.lines().map(|line| line.trim_end().into()).collect();
        if let Some(titles) = lines.first_mut() {
            *titles = paint.strong(&titles);
        }
        lines
    }

    fn leave_out_columns(&mut self, width: usize) {
        while self.room_for_names(width) < self.comfortable_room() {
            let order = self.columns.iter().map(|column| column.expendable).max();
            let Some(order @ 1..) = order else { return };
            self.retain_columns(|column| column.expendable < order);
        }
    }

    fn retain_columns(&mut self, keep: impl Fn(&Column) -> bool) {
        for row in &mut self.rows {
            let mut columns = self.columns.iter();
            row.retain(|_| columns.next().is_some_and(&keep));
        }
        self.columns.retain(keep);
    }

    /// Cuts the widest names until all fit; what is narrow anyway keeps its width.
    fn shorten_names(&mut self, width: usize) {
        let mut room = self.room_for_names(width);
        let widths = self.widths();
        let mut names: Vec<usize> = (0..widths.len())
            .filter(|&index| self.columns[index].shortens)
            .collect();
        names.sort_by_key(|&index| widths[index]);
        let mut left = names.len();
        for index in names {
            let given = widths[index].min((room / left).max(BARE_MINIMUM));
            room = room.saturating_sub(given);
            left -= 1;
            for row in &mut self.rows {
                row[index] = shortened(&row[index], given).into_owned();
            }
        }
    }

    /// What the other columns and the gaps leave to the names.
    fn room_for_names(&self, width: usize) -> usize {
        let gaps = usize::from(GAP) * self.columns.len().saturating_sub(1);
        let others: usize = self
            .widths()
            .iter()
            .zip(&self.columns)
            .filter(|(_, column)| !column.shortens)
            .map(|(width, _)| width)
            .sum();
        width.saturating_sub(gaps + others)
    }

    fn comfortable_room(&self) -> usize {
        self.widths()
            .iter()
            .zip(&self.columns)
            .filter(|(_, column)| column.shortens)
            .map(|(&width, _)| width.min(COMFORTABLE))
            .sum()
    }

    fn widths(&self) -> Vec<usize> {
        (0..self.columns.len())
            .map(|index| {
                let cells = self.rows.iter().map(|row| row[index].width());
                cells.chain([self.columns[index].title.width()]).max()
            })
            .map(Option::unwrap_or_default)
            .collect()
    }
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(width: usize, lines: &Expect) {
        let columns = [
            Column::name("NAME"),
            Column::number("A").expendable(1),
            Column::number("LONG").expendable(2),
            Column::number("N"),
        ];
        let mut table = Table::new(&columns);
        for (name, a) in [("/kubepods.slice/pod-1/agent-17", "1"), ("python", "1,000")] {
            table.add([name, a, "12", "7"].map(str::to_owned));
        }
        let rendered = table.lines(width, Paint::new(false));
        lines.assert_eq(&format!("{}\n", rendered.join("\n")));
    }

    #[test]
    fn with_room_enough_everything_is_shown() {
        check(
            50,
            &expect![[r#"
            NAME                                A  LONG  N
            /kubepods.slice/pod-1/agent-17      1    12  7
            python                          1,000    12  7
        "#]],
        );
    }

    #[test]
    fn with_less_room_a_long_name_is_shortened() {
        check(
            42,
            &expect![[r#"
            NAME                            A  LONG  N
            /kubepod…ce/pod-1/agent-17      1    12  7
            python                      1,000    12  7
        "#]],
        );
    }

    #[test]
    fn with_still_less_room_columns_are_left_out() {
        check(
            36,
            &expect![[r#"
            NAME                            A  N
            /kubepod…ce/pod-1/agent-17      1  7
            python                      1,000  7
        "#]],
        );
        check(
            20,
            &expect![[r#"
            NAME               N
            /kube…-1/agent-17  7
            python             7
        "#]],
        );
    }
}
