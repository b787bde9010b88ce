//! Values of measures with their units, and times of day.

use hostler_daemon::instants::instant;
use hostler_decide::measures::{Measure, Unit};

use super::units::{NONE, bytes, compact_count, duration};

/// A value of a measure, at most ten columns wide.
pub(super) fn measured(measure: Measure, value: Option<f64>) -> String {
    let Some(value) = value else {
        return NONE.to_owned();
    };
    match measure.unit() {
        Unit::Whole => decimal(value),
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::Nanoseconds => duration(rounded(value)),
        Unit::Bytes => bytes(rounded(value)),
        Unit::BytesPerSecond => format!("{}/s", bytes(rounded(value))),
        Unit::PerSecond => format!("{}/s", decimal(value)),
        Unit::Times => compact_count(rounded(value)),
    }
}

/// A time of day in UTC: `2026-11-26 14:03:05`.
pub(super) fn time_of_day(ms: u64) -> String {
    let text = instant(ms);
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}

/// A span of time in UTC: `2026-11-26 14:03:05 to 15:03:05 UTC`.
pub(crate) fn span(from_ms: u64, to_ms: u64) -> String {
    let (from, to) = (time_of_day(from_ms), time_of_day(to_ms));
    let day_of = |text: &str| text.split_once(' ').map(|(day, _)| day.to_owned());
    let end = match to.split_once(' ') {
        Some((_, time)) if day_of(&from) == day_of(&to) => time,
        _ => &to,
    };
    format!("{from} to {end} UTC")
}

fn decimal(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        ..0.000_5 => "<0.001".to_owned(),
        ..0.095 => format!("{value:.3}"),
        ..9.95 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => compact_count(rounded(value)),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measures are not below zero, and `as` saturates"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_the_unit_of_its_measure() {
        for (measure, value, shown) in [
            (Measure::Cpu, 0.0, "0"),
            (Measure::Cpu, 0.0123, "0.012"),
            (Measure::Cpu, 0.0001, "<0.001"),
            (Measure::Cpu, 1.5, "1.50"),
            (Measure::Waiting, 123_456.0, "123 k"),
            (Measure::CpuPressure, 0.25, "25.0 %"),
            (Measure::WaitP99, 1_234_567.0, "1.23 ms"),
            (Measure::Memory, 3_250_586.0, "3.1 MiB"),
            (Measure::Sent, 100.0, "100 B/s"),
            (Measure::MajorFaults, 12.34, "12.3/s"),
            (Measure::OomKills, 3.0, "3"),
        ] {
            assert_eq!(measured(measure, Some(value)), shown);
        }
        assert_eq!(measured(Measure::WaitP99, None), "–");
    }

    #[test]
    fn a_day_is_named_once_where_both_ends_are_in_it() {
        let at = 1_764_165_780_000;
        assert_eq!(span(at, at + 60_000), "2025-11-26 14:03:00 to 14:04:00 UTC");
        assert!(span(at, u64::MAX).ends_with("9999-12-31 23:59:59 UTC"));
        assert_eq!(
            span(at, at + 86_400_000),
            "2025-11-26 14:03:00 to 2025-11-27 14:03:00 UTC"
        );
    }
}
