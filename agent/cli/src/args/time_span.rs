//! Times as they are typed: `500ms`, `10s`, `1h30m`.

use std::time::Duration;

const LONGEST: Duration = Duration::from_hours(24);

/// Below this, reading the counters would cost more than the threads measured.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(10);

/// How long to run: longer than 0, at most 24 hours.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.is_zero() {
        return Err("must be longer than zero, for example 10s".to_owned());
    }
    if duration > LONGEST {
        return Err("must be at most 24h, for example 90m".to_owned());
    }
    Ok(duration)
}

/// Time between two reports: 10 ms to 24 hours.
pub(super) fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < SHORTEST_INTERVAL {
        return Err("must be at least 10ms, for example 500ms".to_owned());
    }
    Ok(interval)
}

fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    // humantime takes a bare zero and no other bare number; a rule without an exception is easier.
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!(
            "the number needs a unit, for example {text}s or {text}ms"
        ));
    }
    humantime::parse_duration(text)
        .map_err(|_| "not a time; write numbers with units, for example 500ms or 1m30s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_units() {
        assert_eq!(parse_interval("10ms"), Ok(Duration::from_millis(10)));
        assert_eq!(parse_duration(" 1m30s "), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("24h"), Ok(LONGEST));
    }

    #[test]
    fn a_time_that_makes_no_sense_is_refused_with_an_example() {
        for (text, reason) in [
            ("5", "the number needs a unit, for example 5s or 5ms"),
            ("0s", "must be longer than zero, for example 10s"),
            ("25h", "must be at most 24h, for example 90m"),
            (
                "soon",
                "not a time; write numbers with units, for example 500ms or 1m30s",
            ),
            (
                "",
                "not a time; write numbers with units, for example 500ms or 1m30s",
            ),
            (
                "-1s",
                "not a time; write numbers with units, for example 500ms or 1m30s",
            ),
        ] {
            assert_eq!(parse_duration(text), Err(reason.to_owned()), "{text:?}");
        }
    }

    #[test]
    fn an_interval_can_be_too_short_where_a_duration_is_not() {
        assert_eq!(parse_duration("5ms"), Ok(Duration::from_millis(5)));
        assert_eq!(
            parse_interval("5ms"),
            Err("must be at least 10ms, for example 500ms".to_owned())
        );
    }
}
