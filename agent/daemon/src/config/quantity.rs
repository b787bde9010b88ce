//! A value of a measure as it is written: `50ms`, `20%`, `1.5GiB`, `0.5`.

use std::fmt;

use hostler_decide::measures::Unit;
use serde::{Deserialize, Deserializer, Serialize, de};

/// A number, with a unit or without; what it means depends on what it is a value of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Quantity(pub String);

impl Quantity {
    /// Its value in a unit: ns, bytes, or a share from 0 to 1.
    pub(super) fn value(&self, unit: Unit) -> Result<f64, String> {
        let text = self.0.trim();
        let value = match unit {
            Unit::Nanoseconds => nanoseconds(text),
            Unit::Bytes => bytes(text),
            Unit::BytesPerSecond => bytes(text.trim_end_matches("/s").trim_end()),
            Unit::Share => share(text),
            Unit::PerSecond => number(text.trim_end_matches("/s").trim_end()),
            Unit::Whole | Unit::Times => number(text),
        };
        let example = match unit {
            Unit::Nanoseconds => "50ms",
            Unit::Bytes => "1.5GiB",
            Unit::BytesPerSecond => "20MiB/s",
            Unit::Share => "20%",
            Unit::PerSecond => "100/s",
            Unit::Whole | Unit::Times => "1.5",
        };
        value
            .filter(|value| value.is_finite() && *value >= 0.0)
            .ok_or_else(|| format!("`{text}` is no such value; write for example {example}"))
    }

    /// Its value as a part of a whole, which may be more than 1.
    pub(super) fn part(&self) -> Result<f64, String> {
        self.value(Unit::Share)
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn nanoseconds(text: &str) -> Option<f64> {
    let time = humantime::parse_duration(text).ok()?;
    Some(time.as_nanos() as f64)
}

fn share(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => Some(number(percent.trim_end())? / 100.0),
        None => number(text),
    }
}

fn bytes(text: &str) -> Option<f64> {
    const UNITS: [(&str, i32); 5] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("B", 0)];
    for (unit, power) in UNITS {
        if let Some(count) = text.strip_suffix(unit) {
            return Some(number(count.trim_end())? * 2_f64.powi(power));
        }
    }
    number(text)
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Quantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or one with a unit such as \"50ms\" or \"20%\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
                Ok(Quantity(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
                Ok(Quantity(number.to_string()))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, unit: Unit) -> Result<f64, String> {
        Quantity(text.to_owned()).value(unit)
    }

    #[test]
    fn each_unit_is_read_as_one_writes_it() {
        for (text, unit, expected) in [
            ("50ms", Unit::Nanoseconds, 5e7),
            ("1.5GiB", Unit::Bytes, 1.5 * 2_f64.powi(30)),
            ("512", Unit::Bytes, 512.0),
            ("20 MiB/s", Unit::BytesPerSecond, 20.0 * 2_f64.powi(20)),
            ("20%", Unit::Share, 0.2),
            ("0.2", Unit::Share, 0.2),
            ("100/s", Unit::PerSecond, 100.0),
            ("2", Unit::Whole, 2.0),
        ] {
            let value = value(text, unit).expect("it makes sense");
            assert!((value - expected).abs() < 1e-9, "{text}: {value}");
        }
    }

    #[test]
    fn what_is_no_value_of_its_measure_is_refused_with_an_example() {
        for (text, unit, example) in [
            ("5", Unit::Nanoseconds, "50ms"),
            ("5ms", Unit::Bytes, "1.5GiB"),
            ("-1", Unit::Whole, "1.5"),
            ("NaN", Unit::Share, "20%"),
            ("", Unit::PerSecond, "100/s"),
        ] {
            let refusal = value(text, unit).expect_err("it makes no sense");
            assert!(refusal.contains(example), "{refusal}");
        }
    }
}
