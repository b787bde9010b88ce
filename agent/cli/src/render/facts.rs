//! Names and values side by side, wrapped where they are longer than the screen.

use comfy_table::{ContentArrangement, presets::NOTHING};

use super::foreign::printable;

/// Labels with texts beside them, which are wrapped so that all fits `width` columns behind an
/// indent of two.
pub(super) fn wrapped(rows: impl Iterator<Item = [String; 2]>, width: usize) -> Vec<String> {
    let rows: Vec<_> = rows
        .map(|row| row.map(|cell| printable(&cell).into_owned()))
        .collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let room = u16::try_from(width.saturating_sub(2)).unwrap_or(u16::MAX);
    let mut table = comfy_table::Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(room)
        .add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
