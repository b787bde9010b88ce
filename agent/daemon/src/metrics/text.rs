//! The two formats in which Prometheus reads metrics: the classic one, and `OpenMetrics`.
//!
//! Written by hand: of the crates that write metrics none writes both, and each wants all values to live
//! in its own registry.

use std::{
    fmt::{Arguments, Write as _},
    sync::Arc,
};

use hostler_decide::durations::Durations;

use super::sink::{Octaves, Sink};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Classic,
    /// `OpenMetrics` 1.0.
    OpenMetrics,
}

impl Format {
    /// As HTTP names it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// In one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::OpenMetrics => "openmetrics",
        }
    }
}

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows, but for restarts.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A distribution.
    Histogram,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    /// Without its scope, and without `_total` or `_bucket`; a unit is its last word.
    pub(super) name: &'static str,
    /// Its kind.
    pub(super) kind: Kind,
    /// Labels beside those of its scope.
    pub(super) labels: &'static [&'static str],
    /// What it means.
    pub(super) help: &'static str,
}

impl Metric {
    const fn new(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            labels,
            help,
        }
    }

    pub(super) const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Counter, name, labels, help)
    }

    pub(super) const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Gauge, name, labels, help)
    }

    pub(super) const fn histogram(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self::new(Kind::Histogram, name, labels, help)
    }

    /// The unit that its name ends with, in the terms of `OpenMetrics`.
    pub(super) fn unit(&self) -> Option<&'static str> {
        let last = self.name.rsplit('_').next()?;
        ["seconds", "bytes"].into_iter().find(|unit| *unit == last)
    }
}

/// A text that is being written.
pub(super) struct Text {
    format: Format,
    written: String,
    series: usize,
    /// The metric whose samples are being written; its head is written with the first of them.
    family: String,
    suffix: &'static str,
    head: String,
}

impl Text {
    pub(super) fn new(format: Format, capacity: usize) -> Self {
        Self {
            format,
            written: String::with_capacity(capacity),
            series: 0,
            family: String::new(),
            suffix: "",
            head: String::new(),
        }
    }

    fn line(&mut self, suffix: &str, labels: Arguments<'_>, more: &str, value: f64) {
        self.written.push_str(&self.head);
        self.head.clear();
        self.written.push_str(&self.family);
        self.written.push_str(suffix);
        self.written.push('{');
        let begun = self.written.len();
        let _infallible = self.written.write_fmt(labels);
        if !more.is_empty() {
            if self.written.len() > begun {
                self.written.push(',');
            }
            self.written.push_str(more);
        }
        if self.written.len() == begun {
            self.written.pop();
        } else {
            self.written.push('}');
        }
        let _infallible = writeln!(self.written, " {value}");
        self.series += 1;
    }

    /// Ends the text.
    pub(super) fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.written.push_str("# EOF\n");
        }
        self.written
    }
}

impl Sink for Text {
    fn begin(&mut self, scope: &str, metric: &Metric) {
        self.family = format!("{scope}{}", metric.name);
        self.suffix = match metric.kind {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
        };
        let (family, kind, help) = (&self.family, metric.kind.as_str(), metric.help);
        let named = match self.format {
            Format::OpenMetrics => family.clone(),
            Format::Classic => format!("{family}{}", self.suffix),
        };
        self.head = format!("# HELP {named} {help}\n# TYPE {named} {kind}\n");
        if let (Format::OpenMetrics, Some(unit)) = (self.format, metric.unit()) {
            let _infallible = writeln!(self.head, "# UNIT {named} {unit}");
        }
    }

    fn sample(&mut self, labels: Arguments<'_>, value: f64) {
        let suffix = self.suffix;
        self.line(suffix, labels, "", value);
    }

    fn histogram(&mut self, labels: Arguments<'_>, durations: &Durations, sum_s: Option<f64>) {
        let octaves = Octaves::of(durations, sum_s);
        for (bound_ns, below) in octaves.below {
            let le = format!("le=\"{}\"", bound_ns as f64 / 1e9);
            self.line("_bucket", labels, &le, below as f64);
        }
        self.line("_bucket", labels, "le=\"+Inf\"", octaves.count as f64);
        self.line("_sum", labels, "", octaves.sum_s);
        self.line("_count", labels, "", octaves.count as f64);
    }

    fn series(&self) -> usize {
        self.series
    }
}

/// Longest value of a label, in bytes: names are the host's, and anybody can make one.
const MAX_LABEL_BYTES: usize = 256;

/// A name that is no longer than a label's value may be. Who has the same name then is the same.
pub(crate) fn shortened(name: &Arc<str>) -> Arc<str> {
    if name.len() <= MAX_LABEL_BYTES {
        return Arc::clone(name);
    }
    let mut end = MAX_LABEL_BYTES;
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].into()
}

/// A value of a label as it is written between quotes.
pub(super) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
    text
}
