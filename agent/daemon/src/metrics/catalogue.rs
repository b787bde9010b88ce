//! Every metric that there is: its name, type, labels and meaning, and where its samples come from.

mod distributions;
mod entities;
mod host;
mod own;

use std::fmt::Arguments;

use hostler_decide::{durations::Durations, scene::HostFacts};

pub(super) use self::{
    distributions::DISTRIBUTIONS,
    entities::COUNTS,
    host::{HOST, LOSSES},
    own::{OWN, PROCESS, SERIES, SERIES_LEFT_OUT, TICK_SECONDS},
};
use super::{
    counts::{Counts, Distributions},
    text::Metric,
};

/// Takes a sample: labels beside those of its scope, and the value.
pub(super) type Take<'a> = &'a mut dyn FnMut(Arguments<'_>, f64);

/// Takes a distribution: labels, durations, and their sum in s where it is known exactly.
pub(super) type TakeDurations<'a> = &'a mut dyn FnMut(Arguments<'_>, &Durations, Option<f64>);

/// Of whom a metric tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Host,
    Group,
    Agent,
}

impl Scope {
    /// What its metrics' names begin with.
    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Host => "hostler_host_",
            Self::Group => "hostler_group_",
            Self::Agent => "hostler_agent_",
        }
    }

    /// The labels that all of its metrics have.
    pub(super) const fn labels(self) -> &'static [&'static str] {
        match self {
            Self::Host => &[],
            Self::Group => &["group"],
            Self::Agent => &["agent", "group"],
        }
    }
}

/// A metric of agents, groups or the host.
pub(super) struct OfCounts {
    pub(super) metric: Metric,
    pub(super) scopes: &'static [Scope],
    pub(super) samples: fn(&Counts, &HostFacts, Take<'_>),
}

/// A distribution of groups and the host.
pub(super) struct OfDistributions {
    pub(super) metric: Metric,
    pub(super) samples: fn(&Distributions, &HostFacts, TakeDurations<'_>),
}

/// A metric of something else.
pub(super) struct Of<T> {
    pub(super) metric: Metric,
    pub(super) samples: fn(&T, Take<'_>),
}

/// What names begin with that have no scope.
pub(super) const OWN_PREFIX: &str = "hostler_";

/// Scopes of distributions.
pub(super) const DISTRIBUTED: [Scope; 2] = [Scope::Host, Scope::Group];

pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

pub(super) fn seconds_of_us(us: u64) -> f64 {
    us as f64 / 1e6
}
