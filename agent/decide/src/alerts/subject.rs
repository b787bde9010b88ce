//! Whom an alert is about.

use std::{fmt, sync::Arc};

use crate::{samples::Scope, signal::Agent};

/// The host, a group, or an agent, by name: an agent that comes back is the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// What it is.
    pub scope: Scope,
    /// The group, or the agent's; empty of the host, and of an agent that is not there.
    pub group: Arc<str>,
    /// The agent; else empty.
    pub name: Arc<str>,
}

impl Subject {
    /// The host.
    pub(super) fn host() -> Self {
        Self::named(Scope::Host, "")
    }

    /// A group.
    pub(super) fn group(name: &Arc<str>) -> Self {
        Self {
            scope: Scope::Group,
            group: Arc::clone(name),
            name: "".into(),
        }
    }

    /// An agent.
    pub(super) fn agent(agent: &Agent) -> Self {
        Self {
            scope: Scope::Agent,
            group: Arc::clone(&agent.group),
            name: Arc::clone(&agent.name),
        }
    }

    /// Whoever has a name and may not be there.
    pub(super) fn named(scope: Scope, name: &str) -> Self {
        let (group, name) = match scope {
            Scope::Host => ("", ""),
            Scope::Group => (name, ""),
            Scope::Agent => ("", name),
        };
        Self {
            scope,
            group: group.into(),
            name: name.into(),
        }
    }

    /// Its name.
    pub fn title(&self) -> &str {
        match self.scope {
            Scope::Host => "host",
            Scope::Group => &self.group,
            Scope::Agent => &self.name,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Host => f.write_str("the host"),
            Scope::Group => write!(f, "group {}", self.group),
            Scope::Agent => write!(f, "agent {}", self.name),
        }
    }
}
