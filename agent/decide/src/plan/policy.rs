//! What somebody who looks after the host allows.

use crate::{agent_pattern::AgentPattern, identity::Kind, signal::Agent};

/// What may be changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Agents that are left alone.
    pub opted_out: Vec<AgentPattern>,
}

/// Whether an agent may be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It may.
    Granted,
    /// It is a part of the host.
    System,
    /// Somebody wants it left alone.
    OptedOut,
}

impl Policy {
    pub(super) fn leave_for(&self, agent: &Agent) -> Leave {
        if agent.kind == Kind::System {
            return Leave::System;
        }
        let is_out = self
            .opted_out
            .iter()
            .any(|pattern| pattern.matches(&agent.name));
        if is_out {
            Leave::OptedOut
        } else {
            Leave::Granted
        }
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::slot::SlotLease;

    use super::*;
    use crate::signal::AgentSource;

    fn agent(name: &str, kind: Kind) -> Agent {
        Agent {
            id: SlotLease::default(),
            name: name.into(),
            group: "/".into(),
            kind,
            source: AgentSource::Cgroup,
            place: "/".into(),
        }
    }

    #[test]
    fn the_host_and_whoever_is_opted_out_are_left_alone() {
        let policy = Policy {
            opted_out: vec!["*db*".parse().expect("a pattern")],
        };
        let leave = |name, kind| policy.leave_for(&agent(name, kind));
        assert_eq!(leave("agents/coder", Kind::Agent), Leave::Granted);
        assert_eq!(leave("agents/db-1", Kind::Agent), Leave::OptedOut);
        assert_eq!(leave("sshd", Kind::System), Leave::System);
    }
}
