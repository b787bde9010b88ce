//! JSON Lines and CSV, safe to look at in a terminal.

use std::fmt::Write as _;

use serde::Serialize;

use hostler_decide::signal::LossSignal;

use super::{
    foreign::{is_printable, printable},
    losses::LossesJson,
};

/// `value` on one line, its end included. JSON requires C0 controls to be escaped; what else a
/// terminal would act on is escaped as well, which changes no value.
pub(super) fn json_line(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("reports hold nothing that JSON can't express");
    let mut line = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        if is_printable(character) {
            line.push(character);
        } else {
            // Such characters occur only within strings.
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(line, "\\u{unit:04x}").expect("a String takes whatever is written to it");
            }
        }
    }
    line.push('\n');
    line
}

/// A report of a window that is a list of rows.
#[derive(Serialize)]
struct RowsJson<R> {
    /// What is reported: the word after `hostler trace`.
    report: &'static str,
    /// The window, in ns of the monotonic clock.
    from_ns: u64,
    to_ns: u64,
    rows: Vec<R>,
    losses: LossesJson,
}

/// A report called `report` of the window between two times, in ns of the monotonic clock, as one
/// JSON object on one line, its end included.
pub(super) fn rows_json<R: Serialize>(
    report: &'static str,
    [from_ns, to_ns]: [u64; 2],
    rows: impl Iterator<Item = R>,
    losses: LossSignal,
) -> String {
    json_line(&RowsJson {
        report,
        from_ns,
        to_ns,
        rows: rows.collect(),
        losses: losses.into(),
    })
}

/// `rows` as CSV, after a line with `titles` if `with_titles`. What a terminal would act on is
/// escaped as in text, so that a row is always one line.
pub(super) fn csv<const N: usize>(
    titles: [&str; N],
    with_titles: bool,
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    if with_titles {
        writer.write_record(titles).expect("a Vec takes any record");
    }
    for row in rows {
        let row = row.iter().map(|cell| printable(cell).into_owned());
        let row: Vec<String> = row.collect();
        writer.write_record(row).expect("a Vec takes any record");
    }
    let bytes = writer.into_inner().expect("a Vec can be flushed");
    String::from_utf8(bytes).expect("strings joined are a string")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_each_value_and_holds_nothing_that_a_terminal_acts_on() {
        let name = "a\u{1b}[2J\n\u{9b}1m\u{202e}\u{e0001}ä";
        let line = json_line(&name);
        assert_eq!(line.trim_end().chars().find(|&c| !is_printable(c)), None);
        let read: String = serde_json::from_str(&line).expect("JSON");
        assert_eq!(read, name);
    }

    #[test]
    fn a_csv_row_is_one_line_whatever_it_holds() {
        let rows = [["a\n,\"b\"".to_owned(), "1".to_owned()]];
        assert_eq!(
            csv(["name", "n"], true, rows.clone()),
            "name,n\n\"a\\n,\"\"b\"\"\",1\n"
        );
        assert_eq!(csv(["name", "n"], false, rows).lines().count(), 1);
    }
}
