//! What somebody wants to be told of.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{agent_pattern::AgentPattern, measures::Measure, samples::Scope};

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it says, for whoever is told.
    pub summary: String,
    /// What it is about.
    pub scope: Scope,
    /// The names of the groups or agents that it is about; all if there are none.
    pub patterns: Vec<AgentPattern>,
    /// What must not be.
    pub condition: Condition,
    /// How long each judgement looks at, in µs.
    pub over_us: u64,
    /// How long it must last, in µs.
    pub for_us: u64,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look.
    #[default]
    Warning,
    /// Worth a look at once.
    Critical,
}

/// What must not be.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// A measure within bounds.
    Bounds(Bounds),
    /// That nobody is there.
    Absent,
}

/// Bounds of a measure: all that are written hold at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// The measure.
    pub measure: Measure,
    /// It is more than this.
    pub above: Option<f64>,
    /// It is less than this.
    pub below: Option<f64>,
    /// It is more than usual by this part: 0.5 is half as much again.
    pub rises_by: Option<f64>,
    /// It is less than usual by this part.
    pub falls_by: Option<f64>,
    /// What is so long ago counts half in what is usual, in µs.
    pub against_us: u64,
}

impl Rule {
    /// Whether it is about whoever has that name.
    pub(super) fn is_about(&self, name: &str) -> bool {
        crate::agent_pattern::selects(&self.patterns, name)
    }
}

impl Bounds {
    /// Whether it matters what is usual.
    pub(super) fn need_usual(&self) -> bool {
        self.rises_by.is_some() || self.falls_by.is_some()
    }

    /// Whether a value is within all of them. What is usual may not be known yet: then it is not.
    pub(super) fn hold(&self, value: f64, usual: Option<f64>) -> bool {
        let rises = |by: f64| usual.is_some_and(|usual| value > usual * (1.0 + by));
        let falls = |by: f64| usual.is_some_and(|usual| value < usual * (1.0 - by));
        self.above.is_none_or(|above| value > above)
            && self.below.is_none_or(|below| value < below)
            && self.rises_by.is_none_or(rises)
            && self.falls_by.is_none_or(falls)
    }
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
