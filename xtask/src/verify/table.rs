//! The figures that are expected of each program on each kernel, and what differs from them.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// How far a figure may be off before it is a difference, by the expected one.
const TOLERANCE: f64 = 0.1;

/// And a time by so much at least, in µs: of a small program, what is around it weighs more.
const TIME_TOLERANCE_US: f64 = 20.0;

/// What the verifier made of one program on one kernel.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Row {
    /// The kernel's series; the programs don't know which one they are on.
    #[serde(default)]
    pub(super) kernel: String,
    pub(super) program: String,
    /// Instructions that the verifier went through, on all paths.
    pub(super) instructions: u32,
    pub(super) stack_bytes: u32,
    /// How long it took, in µs of a guest whose time is instruction time.
    pub(super) verification_us: f64,
    /// Kernel memory of the compiled program.
    pub(super) memory_bytes: u64,
}

impl Row {
    fn figures(&self) -> [(&'static str, f64, f64); 4] {
        let exact = f64::from(self.instructions);
        [
            ("instructions", exact, 0.0),
            ("stack_bytes", f64::from(self.stack_bytes), 0.0),
            ("verification_us", self.verification_us, TIME_TOLERANCE_US),
            ("memory_bytes", self.memory_bytes as f64, 0.0),
        ]
    }
}

/// Reads a table from CSV.
pub(super) fn read(path: &Path) -> Result<Vec<Row>> {
    let reading = || format!("reading {}", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(reading)?;
    reader
        .deserialize()
        .collect::<Result<_, _>>()
        .with_context(reading)
}

/// Writes a table as CSV.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<()> {
    let writing = || format!("writing {}", path.display());
    let mut writer = csv::Writer::from_path(path).with_context(writing)?;
    for row in rows {
        writer.serialize(row).with_context(writing)?;
    }
    writer.flush().with_context(writing)
}

/// What differs between what is expected and what was measured, a line each; of kernels that were
/// not measured, nothing is expected.
pub(super) fn differences(expected: &[Row], measured: &[Row]) -> Vec<String> {
    let is_same =
        |one: &Row, other: &Row| one.kernel == other.kernel && one.program == other.program;
    let mut lines = Vec::new();
    for row in measured {
        match expected.iter().find(|other| is_same(row, other)) {
            Some(other) => lines.extend(differences_of(other, row)),
            None => lines.push(format!(
                "{}: {} is not in the table",
                row.kernel, row.program
            )),
        }
    }
    let is_measured = |kernel: &str| measured.iter().any(|row| row.kernel == kernel);
    let gone = expected
        .iter()
        .filter(|row| is_measured(&row.kernel))
        .filter(|row| !measured.iter().any(|other| is_same(row, other)));
    lines.extend(gone.map(|row| format!("{}: {} is gone", row.kernel, row.program)));
    lines
}

/// Which times are longer than expected, a line each. They may hold an interrupt, and are worth a second
/// look. None where anything else differs as well: then it is the program that is another one.
pub(super) fn times_too_long(expected: &[Row], measured: &[Row]) -> Vec<String> {
    let mut as_expected = measured.to_vec();
    let mut longer = measured.to_vec();
    for (row, longer) in as_expected.iter_mut().zip(&mut longer) {
        let is_same = |other: &&Row| other.kernel == row.kernel && other.program == row.program;
        if let Some(other) = expected.iter().find(is_same) {
            row.verification_us = other.verification_us;
            longer.verification_us = longer.verification_us.max(other.verification_us);
        }
    }
    if differences(expected, &as_expected).is_empty() {
        differences(expected, &longer)
    } else {
        Vec::new()
    }
}

/// Takes of each program the shorter time of two.
pub(super) fn take_shorter_times(rows: &mut [Row], again: &[Row]) {
    for row in rows {
        let is_same = |other: &&Row| other.kernel == row.kernel && other.program == row.program;
        if let Some(other) = again.iter().find(is_same) {
            row.verification_us = row.verification_us.min(other.verification_us);
        }
    }
}

fn differences_of(expected: &Row, measured: &Row) -> Vec<String> {
    let figures = expected.figures().into_iter().zip(measured.figures());
    figures
        .filter(|((_, expected, least), (_, measured, _))| {
            (measured - expected).abs() > (expected * TOLERANCE).max(*least)
        })
        .map(|((name, expected, _), (_, now, _))| {
            format!(
                "{}: {}: {name} {expected:.0} → {now:.0} ({:+.0} %)",
                measured.kernel,
                measured.program,
                100.0 * (now / expected - 1.0)
            )
        })
        .collect()
}

/// The rows as a table for people.
pub(super) fn render(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<8} {:<20} {:>12} {:>8} {:>12} {:>10}\n",
        "KERNEL", "PROGRAM", "INSTRUCTIONS", "STACK", "VERIFICATION", "MEMORY"
    );
    for row in rows {
        let line = format!(
            "{:<8} {:<20} {:>12} {:>6} B {:>9.0} µs {:>6} KiB\n",
            row.kernel,
            row.program,
            row.instructions,
            row.stack_bytes,
            row.verification_us,
            row.memory_bytes / 1024
        );
        text.push_str(&line);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kernel: &str, program: &str, instructions: u32, verification_us: f64) -> Row {
        Row {
            kernel: kernel.to_owned(),
            program: program.to_owned(),
            instructions,
            stack_bytes: 120,
            verification_us,
            memory_bytes: 8192,
        }
    }

    #[test]
    fn a_tenth_more_is_no_difference_and_more_than_that_is_one() {
        let expected = [row("6.1", "a", 1000, 500.0)];
        assert!(differences(&expected, &[row("6.1", "a", 1100, 545.0)]).is_empty());
        let lines = differences(&expected, &[row("6.1", "a", 1101, 551.0)]);
        assert_eq!(
            lines,
            [
                "6.1: a: instructions 1000 → 1101 (+10 %)",
                "6.1: a: verification_us 500 → 551 (+10 %)"
            ]
        );
    }

    #[test]
    fn less_than_expected_is_a_difference_too() {
        let lines = differences(
            &[row("6.1", "a", 1000, 500.0)],
            &[row("6.1", "a", 800, 500.0)],
        );
        assert_eq!(lines, ["6.1: a: instructions 1000 → 800 (-20 %)"]);
    }

    #[test]
    fn a_program_that_came_or_went_is_a_difference_on_kernels_that_were_measured() {
        let expected = [row("6.1", "old", 1, 1.0), row("6.12", "old", 1, 1.0)];
        let lines = differences(&expected, &[row("6.1", "new", 1, 1.0)]);
        assert_eq!(lines, ["6.1: new is not in the table", "6.1: old is gone"]);
    }

    #[test]
    fn only_a_time_that_is_too_long_is_worth_a_second_look() {
        let expected = [row("6.1", "a", 1000, 500.0), row("6.1", "b", 10, 100.0)];
        let too_long = [row("6.1", "a", 1000, 600.0), row("6.1", "b", 10, 90.0)];
        let lines = times_too_long(&expected, &too_long);
        assert_eq!(lines, ["6.1: a: verification_us 500 → 600 (+20 %)"]);
        for other in [row("6.1", "a", 1000, 400.0), row("6.1", "a", 1500, 600.0)] {
            let measured = [other, row("6.1", "b", 10, 100.0)];
            assert!(times_too_long(&expected, &measured).is_empty());
        }
    }

    #[test]
    fn of_two_looks_the_shorter_time_counts_and_one_that_is_too_long_twice_stays_so() {
        let expected = [row("6.1", "a", 1000, 500.0), row("6.1", "b", 10, 500.0)];
        let mut rows = [row("6.1", "a", 1000, 600.0), row("6.1", "b", 10, 700.0)];
        let again = [row("6.1", "b", 10, 690.0), row("6.1", "a", 1000, 510.0)];
        take_shorter_times(&mut rows, &again);
        let lines = differences(&expected, &rows);
        assert_eq!(lines, ["6.1: b: verification_us 500 → 690 (+38 %)"]);
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        let rows = [row("6.1", "a", 1000, 500.5), row("6.12", "b", 2, 3.0)];
        write(file.path(), &rows).expect("it can be written");
        assert_eq!(read(file.path()).expect("it can be read"), rows);
    }
}
