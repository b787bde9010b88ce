//! What somebody who looks after the host allows.

use std::{collections::BTreeSet, sync::Arc};

use super::Owners;
use crate::{agent_pattern::AgentPattern, identity::Kind, signal::Agent};

/// What may be changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policy {
    /// Agents that are left alone.
    pub opted_out: Vec<AgentPattern>,
    /// Who else decides where threads run.
    pub owners: Owners,
    /// Agents that were moved a short while ago and are not moved again yet, and those that somebody else has
    /// set, by name.
    pub resting: BTreeSet<Arc<str>>,
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
    /// kubelet gives it its CPUs.
    Kubelet,
    /// It was moved a short while ago, or somebody else has set it.
    Resting,
}

impl Policy {
    /// Whether an agent may be moved.
    pub fn lets_move(&self, agent: &Agent) -> bool {
        self.owners.scheduler.is_none() && self.leave_for(agent) == Leave::Granted
    }

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
        } else if self.owners.has_kubelet_for(agent) {
            Leave::Kubelet
        } else if self.resting.contains(&agent.name) {
            Leave::Resting
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
            ..Policy::default()
        };
        let leave = |name, kind| policy.leave_for(&agent(name, kind));
        assert_eq!(leave("agents/coder", Kind::Agent), Leave::Granted);
        assert_eq!(leave("agents/db-1", Kind::Agent), Leave::OptedOut);
        assert_eq!(leave("sshd", Kind::System), Leave::System);
    }
    #[test]
    fn nobody_is_moved_against_a_scheduler_that_was_loaded() {
        let agent = agent("coder", Kind::Agent);
        let mut policy = Policy::default();
        assert!(policy.lets_move(&agent));
        policy.owners.scheduler = Some("scx_rusty".to_owned());
        assert!(!policy.lets_move(&agent));
    }

    #[test]
    fn who_was_moved_a_short_while_ago_rests() {
        let policy = Policy {
            resting: ["agents/coder".into()].into(),
            ..Policy::default()
        };
        let leave = |name| policy.leave_for(&agent(name, Kind::Agent));
        assert_eq!(leave("agents/coder"), Leave::Resting);
        assert_eq!(leave("agents/other"), Leave::Granted);
    }

    #[test]
    fn pods_are_left_to_a_kubelet_that_gives_containers_cpus() {
        let at = |place: &str| Agent {
            place: place.into(),
            ..agent("coder", Kind::Agent)
        };
        let leave = |kubelet, place| {
            let owners = Owners {
                kubelet,
                ..Owners::default()
            };
            let policy = Policy {
                owners,
                ..Policy::default()
            };
            policy.leave_for(&at(place))
        };
        for pod in [
            "/kubepods.slice/kubepods-pod1.slice/cri-1.scope",
            "/kubepods/pod1/1",
        ] {
            assert_eq!(leave(true, pod), Leave::Kubelet);
            assert_eq!(leave(false, pod), Leave::Granted);
        }
        assert_eq!(leave(true, "/agents.slice/coder"), Leave::Granted);
    }
}
