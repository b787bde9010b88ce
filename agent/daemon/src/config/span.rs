//! A time as it is written in the configuration: `500ms`, `1m30s`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// A time, written as numbers with units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Self).map_err(|_| {
            format!("`{text}` is not a time; write numbers with units, for example 500ms or 1m30s")
        })
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Months have no one length: days are the longest unit.
        let (days, rest) = (self.0.as_secs() / DAY_S, self.0.as_secs() % DAY_S);
        if days > 0 {
            write!(formatter, "{days}day{}", if days == 1 { "" } else { "s" })?;
        }
        let rest = Duration::new(rest, self.0.subsec_nanos());
        if days > 0 && rest.is_zero() {
            return Ok(());
        }
        let text = humantime::format_duration(rest).to_string();
        formatter.write_str(&text.replace(' ', ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for text in [
            "100ms", "1s", "1m30s", "15m", "1day", "90days", "2days3h", "0s",
        ] {
            let span: Span = text.parse().expect("a time");
            assert_eq!(span.to_string(), text);
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused_with_an_example() {
        let refusal = "5".parse::<Span>().expect_err("no unit");
        assert!(refusal.contains("for example 500ms"), "{refusal}");
    }
}
