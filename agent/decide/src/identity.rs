//! Which process belongs to which agent: rules that people write, applied to what is known of the
//! host's processes.
//!
//! A rule's matchers must all match; the first rule that matches a process wins. A process that no
//! rule matches belongs to its nearest ancestor's agent, and if there is none, the rules say
//! nothing about it and its cgroup decides. [`RawRules`] is what was written, [`Rules`] what is
//! applied, and [`Rules::needs`] says which facts are worth reading.

mod argument;
mod error;
mod facts;
mod forest;
mod identified;
mod matcher;
mod names;
mod pattern;
mod printable;
mod raw;
mod rules;
mod template;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::{
    argument::ArgumentError,
    error::RuleError,
    facts::{Needs, ProcessFacts},
    identified::Identified,
    names::{MAX_NAME_CHARACTERS, shortened},
    printable::printable,
    raw::{RawMatch, RawRule, RawRules},
    rules::Rules,
};

/// What an agent is to Hostler.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An AI agent: measured, and steered where that is allowed.
    #[default]
    Agent,
    /// Part of the host, such as sshd: measured, never steered.
    System,
}

impl Kind {
    /// The kind in one lower-case word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What makes two processes one agent, whichever rule matched each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey {
    /// The agents that share a policy with it.
    pub group: Arc<str>,
    /// Its name within the group.
    pub name: Arc<str>,
}

/// The agent that a process belongs to, and which rule says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AgentIdentity {
    /// The rule that matched the process, or the ancestor from which it inherits.
    pub rule: Arc<str>,
    /// The agents that share a policy with it.
    pub group: Arc<str>,
    /// What it is; the same for all agents of a group.
    pub kind: Kind,
    /// Its name within the group: printable, at most [`MAX_NAME_CHARACTERS`] characters.
    pub name: Arc<str>,
}

impl AgentKey {
    /// The name to show, which no other agent of a rule has: its own after its group's.
    pub fn display(&self) -> String {
        shortened(format!("{}/{}", self.group, self.name))
    }
}

impl AgentIdentity {
    /// The agent as such: equal for processes of one agent that different rules matched.
    pub fn key(&self) -> AgentKey {
        AgentKey {
            group: Arc::clone(&self.group),
            name: Arc::clone(&self.name),
        }
    }
}
