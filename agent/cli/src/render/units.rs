//! Numbers with units, short enough for a column and exact enough to compare.

/// What stands where there is no value.
pub(crate) const NONE: &str = "–";

const SECOND_NS: f64 = 1e9;

/// A duration of `ns` nanoseconds in three digits: `843 ns`, `1.23 µs`, `45.6 ms`, `2.05 min`.
/// At most eight columns wide.
pub(crate) fn duration(ns: u64) -> String {
    if ns < 1_000 {
        return format!("{ns} ns");
    }
    let ns = ns as f64;
    let units = [
        (1e3, "µs", 1e3),
        (1e6, "ms", 1e3),
        (SECOND_NS, "s", 120.0),
        (60.0 * SECOND_NS, "min", 120.0),
        (3_600.0 * SECOND_NS, "h", f64::INFINITY),
    ];
    units
        .iter()
        // The limit is for the value as it is shown: 999.6 µs would be shown as 1000 µs.
        .find(|&&(unit_ns, _, limit)| rounded(ns / unit_ns) < limit)
        .map(|&(unit_ns, unit, _)| format!("{} {unit}", three_digits(ns / unit_ns)))
        .expect("the last unit has no limit")
}

/// [`duration`], or a dash.
pub(crate) fn duration_or_none(ns: Option<u64>) -> String {
    ns.map_or_else(|| NONE.to_owned(), duration)
}

/// The range of an octave, each end in two digits: `512 ns – 1 µs`, `2.1 – 4.2 ms`.
pub(crate) fn range(start_ns: u64, end_ns: u64) -> String {
    let (start, start_unit) = edge(start_ns);
    let (end, end_unit) = edge(end_ns);
    if start_unit == end_unit || start_ns == 0 {
        format!("{start} – {end} {end_unit}")
    } else {
        format!("{start} {start_unit} – {end} {end_unit}")
    }
}

fn edge(ns: u64) -> (String, &'static str) {
    let (value, unit) = match ns {
        0..1_000 => (ns as f64, "ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / SECOND_NS, "s"),
    };
    let digits = if value < 9.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    };
    (digits.trim_end_matches(".0").to_owned(), unit)
}

/// A count in full: `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count for a column: in full below 100,000, else in three digits: `1.23 M`. At most six
/// columns wide below 10¹⁵.
pub(crate) fn compact_count(number: u64) -> String {
    if number < 100_000 {
        return count(number);
    }
    let number = number as f64;
    [(1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"), (1e15, "P")]
        .iter()
        .find(|&&(scale, _)| rounded(number / scale) < 1e3 || scale >= 1e15)
        .map(|&(scale, letter)| format!("{} {letter}", three_digits(number / scale)))
        .expect("the last scale has no limit")
}

/// How often something happened a second: `0.3`, `7.5`, `1,250`.
pub(crate) fn rate(number: u64, length_ns: u64) -> String {
    if length_ns == 0 {
        return NONE.to_owned();
    }
    let a_second = number as f64 * SECOND_NS / length_ns as f64;
    if number > 0 && a_second < 9.95 {
        return format!("{a_second:.1}");
    }
    compact_count(whole(a_second))
}

/// Time per time in percent, without the sign: `0.2`, `12.3`, `140`; it may be above 100.
pub(crate) fn percent_of_time(ns: u64, length_ns: u64) -> String {
    if length_ns == 0 {
        return NONE.to_owned();
    }
    let percent = ns as f64 * 100.0 / length_ns as f64;
    if percent < 99.95 {
        format!("{percent:.1}")
    } else {
        compact_count(whole(percent))
    }
}

/// A part of a whole in percent. Only nothing is `0 %` and only everything is `100 %`.
pub(crate) fn share(part: u64, all: u64) -> String {
    if part == 0 || all == 0 {
        return "0 %".to_owned();
    }
    if part == all {
        return "100 %".to_owned();
    }
    match whole(part as f64 * 100.0 / all as f64) {
        0 => "<1 %".to_owned(),
        100.. => ">99 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

/// An amount of memory: `512 B`, `3.1 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    if number < 1_024 {
        return format!("{number} B");
    }
    let number = number as f64;
    [(10, "KiB"), (20, "MiB"), (30, "GiB"), (40, "TiB")]
        .iter()
        .map(|&(power, unit)| (number / 2_f64.powi(power), unit))
        .find(|&(value, unit)| value < 1_023.95 || unit == "TiB")
        .map(|(value, unit)| format!("{value:.1} {unit}"))
        .expect("the last unit has no limit")
}

fn three_digits(value: f64) -> String {
    match rounded(value) {
        shown if shown < 10.0 => format!("{value:.2}"),
        shown if shown < 100.0 => format!("{value:.1}"),
        shown => count(whole(shown)),
    }
}

/// `value` as [`three_digits`] shows it.
fn rounded(value: f64) -> f64 {
    if value < 9.995 {
        (value * 100.0).round() / 100.0
    } else if value < 99.95 {
        (value * 10.0).round() / 10.0
    } else {
        value.round()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers pass no negative value, and `as` saturates at the upper end"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_three_digits_and_roll_over_as_shown() {
        for (ns, shown) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (9_999, "10.0 µs"),
            (45_600_000, "45.6 ms"),
            (999_600, "1.00 ms"),
            (99_950_000_000, "100 s"),
            (119_600_000_000, "1.99 min"),
            (7_200_000_000_000, "2.00 h"),
            (5_000 * 3_600_000_000_000, "5,000 h"),
        ] {
            assert_eq!(duration(ns), shown);
        }
    }

    #[test]
    fn ranges_name_a_unit_once_if_both_ends_share_it() {
        assert_eq!(range(0, 128), "0 – 128 ns");
        assert_eq!(range(512, 1 << 10), "512 ns – 1 µs");
        assert_eq!(range(1 << 21, 1 << 22), "2.1 – 4.2 ms");
        assert_eq!(range(1 << 19, 1 << 20), "524 µs – 1 ms");
        assert_eq!(range(1 << 37, 1 << 38), "137 – 275 s");
    }

    #[test]
    fn counts_are_grouped_and_long_ones_are_rounded() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(compact_count(99_999), "99,999");
        assert_eq!(compact_count(123_456), "123 k");
        assert_eq!(compact_count(999_600), "1.00 M");
    }

    #[test]
    fn rates_and_shares_of_time_need_a_time() {
        assert_eq!(rate(0, 1), "0");
        assert_eq!(rate(3, 10_000_000_000), "0.3");
        assert_eq!(rate(2_500, 2_000_000_000), "1,250");
        assert_eq!(rate(1, 0), "–");
        assert_eq!(percent_of_time(123, 1_000), "12.3");
        assert_eq!(percent_of_time(1_400, 1_000), "140");
        assert_eq!(percent_of_time(1, 0), "–");
    }

    #[test]
    fn only_nothing_is_no_share_and_only_everything_is_all() {
        assert_eq!(share(0, 0), "0 %");
        assert_eq!(share(1, 1_000), "<1 %");
        assert_eq!(share(999, 1_000), ">99 %");
        assert_eq!(share(1_000, 1_000), "100 %");
        assert_eq!(share(82, 100), "82 %");
    }

    #[test]
    fn memory_is_in_powers_of_1024() {
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(3_250_586), "3.1 MiB");
        assert_eq!(bytes((1 << 20) - 1), "1.0 MiB");
    }

    proptest! {
        #[test]
        fn a_duration_fits_its_column(ns in 0_u64..1_000 * 3_600_000_000_000) {
            prop_assert!(duration(ns).chars().count() <= 8);
        }

        #[test]
        fn a_compact_count_that_rounds_up_to_the_next_scale_fits_its_column(
            number in 999_000_000_000_000_u64..1_000_000_000_000_000,
        ) {
            prop_assert!(compact_count(number).chars().count() <= 6);
        }

        #[test]
        fn a_compact_count_fits_its_column(number in 0_u64..1_000_000_000_000_000) {
            prop_assert!(compact_count(number).chars().count() <= 6);
        }
    }
}
