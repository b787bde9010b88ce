//! Metrics as values, for whoever writes them in another format than Prometheus'.

use std::fmt::Arguments;

use hostler_decide::durations::Durations;

use super::{
    sink::{HISTOGRAM_SERIES, Octaves, Sink},
    text::{Kind, Metric},
};

/// A metric with all that is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// Its name, without what formats add to it.
    pub name: String,
    /// What it means.
    pub help: &'static str,
    /// Its unit: `seconds`, `bytes`, or none.
    pub unit: Option<&'static str>,
    /// What kind of metric it is.
    pub kind: FamilyKind,
    /// Its samples.
    pub samples: Vec<Labelled>,
}

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FamilyKind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

/// A sample with its labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Labels and their values, in order.
    pub labels: Vec<(String, String)>,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of a counter or a gauge.
    Number(f64),
    /// Of a distribution.
    Distribution {
        /// Upper bounds in s, and how many are not above each of them.
        below: Vec<(f64, u64)>,
        /// How many there are.
        count: u64,
        /// Their sum, in s.
        sum_s: f64,
    },
}

impl FamilyKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Families that are being collected.
#[derive(Default)]
pub(super) struct Families {
    families: Vec<Family>,
    series: usize,
}

impl Families {
    /// Those that have samples.
    pub(super) fn end(mut self) -> Vec<Family> {
        self.families.retain(|family| !family.samples.is_empty());
        self.families
    }

    fn take(&mut self, labels: Arguments<'_>, value: Value) {
        let family = self.families.last_mut();
        let family = family.expect("a metric was begun");
        family.samples.push(Labelled {
            labels: parsed(&labels.to_string()),
            value,
        });
    }
}

impl Sink for Families {
    fn begin(&mut self, scope: &str, metric: &Metric) {
        self.families.push(Family {
            name: format!("{scope}{}", metric.name),
            help: metric.help,
            unit: metric.unit(),
            kind: match metric.kind {
                Kind::Counter => FamilyKind::Counter,
                Kind::Gauge => FamilyKind::Gauge,
                Kind::Histogram => FamilyKind::Histogram,
            },
            samples: Vec::new(),
        });
    }

    fn sample(&mut self, labels: Arguments<'_>, value: f64) {
        self.take(labels, Value::Number(value));
        self.series += 1;
    }

    fn histogram(&mut self, labels: Arguments<'_>, durations: &Durations, sum_s: Option<f64>) {
        let octaves = Octaves::of(durations, sum_s);
        let below = octaves.below.into_iter();
        let value = Value::Distribution {
            below: below
                .map(|(bound_ns, count)| (bound_ns as f64 / 1e9, count))
                .collect(),
            count: octaves.count,
            sum_s: octaves.sum_s,
        };
        self.take(labels, value);
        self.series += HISTOGRAM_SERIES;
    }

    fn series(&self) -> usize {
        self.series
    }
}

/// Labels as the catalogue writes them, `a="b",c="d"`, one by one.
fn parsed(text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once("=\"") {
        let mut unescaped = String::new();
        let mut characters = value.char_indices();
        let mut end = value.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => unescaped.push('\n'),
                    Some((_, other)) => unescaped.push(other),
                    None => {}
                },
                other => unescaped.push(other),
            }
        }
        labels.push((name.trim_start_matches(',').to_owned(), unescaped));
        rest = &value[end..];
    }
    labels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metrics::text::escaped;

    proptest! {
        #[test]
        fn labels_are_read_as_they_were_written(
            values in prop::collection::vec(any::<String>(), 0..4)
        ) {
            let labels: Vec<(String, String)> = (values.into_iter().enumerate())
                .map(|(index, value)| (format!("l{index}"), value))
                .collect();
            let pairs = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
            let text = pairs.collect::<Vec<_>>().join(",");
            prop_assert_eq!(parsed(&text), labels);
        }
    }
}
