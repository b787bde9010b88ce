//! What rules said of one snapshot, as far as the next one needs it.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::{AgentIdentity, AgentKey, facts::ProcessFacts, rules::Rule};

/// Which agent each process of a snapshot belongs to, and what the next snapshot will no longer
/// show: whose child an orphan was, and which process a tree began with.
#[derive(Clone, Debug, Default)]
pub struct Identified {
    /// The rules that said so.
    rules: Arc<[Rule]>,
    members: BTreeMap<u32, Member>,
    verdicts: BTreeMap<u32, Verdict>,
}

/// Which rule matched a process, and for which facts that holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    fingerprint: u64,
    /// The place of the rule.
    pub(super) rule: Option<usize>,
}

impl Verdict {
    pub(super) fn new(facts: &ProcessFacts, rule: Option<usize>) -> Self {
        Self {
            fingerprint: fingerprint(facts),
            rule,
        }
    }
}

/// A number that stands for all facts of a process: far smaller than the facts.
fn fingerprint(facts: &ProcessFacts) -> u64 {
    let mut hasher = DefaultHasher::new();
    facts.hash(&mut hasher);
    hasher.finish()
}

/// A process that belongs to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) started_ns: u64,
    /// The parent's id when the process was taken in.
    pub(super) parent: u32,
    /// Whether it has its agent from its parent, not from a rule that matched.
    pub(super) inherited: bool,
    /// What `{pid}` stands for: the first process of the tree.
    pub(super) root: Arc<str>,
    pub(super) agent: AgentIdentity,
}

impl Identified {
    /// Nothing said yet, by some rules.
    pub(super) fn by(rules: &Arc<[Rule]>) -> Self {
        Self {
            rules: Arc::clone(rules),
            ..Self::default()
        }
    }

    /// Whether these very rules said so.
    pub(super) fn is_by(&self, rules: &Arc<[Rule]>) -> bool {
        Arc::ptr_eq(&self.rules, rules)
    }

    /// What was found out about a process whose facts are the same now.
    pub(super) fn verdict(&self, facts: &ProcessFacts) -> Option<Verdict> {
        let verdict = self.verdicts.get(&facts.pid)?;
        (verdict.fingerprint == fingerprint(facts)).then_some(*verdict)
    }

    /// Each process that belongs to an agent, in the order of process ids.
    pub fn agents(&self) -> impl Iterator<Item = (u32, &AgentIdentity)> {
        self.members
            .iter()
            .map(|(&pid, member)| (pid, &member.agent))
    }

    /// The agent of a process.
    pub fn agent_of(&self, pid: u32) -> Option<&AgentIdentity> {
        self.members.get(&pid).map(|member| &member.agent)
    }

    /// What was said of this very process, not of another that had its id.
    pub(super) fn member(&self, facts: &ProcessFacts) -> Option<&Member> {
        self.of_process(facts.pid)
            .filter(|member| member.started_ns == facts.started_ns)
    }

    /// Any process of an agent.
    pub(super) fn member_of(&self, agent: &AgentKey) -> Option<&Member> {
        self.members
            .values()
            .find(|member| member.agent.key() == *agent)
    }

    pub(super) fn of_process(&self, pid: u32) -> Option<&Member> {
        self.members.get(&pid)
    }

    pub(super) fn add(&mut self, facts: &ProcessFacts, verdict: Verdict, member: Option<Member>) {
        self.verdicts.insert(facts.pid, verdict);
        if let Some(member) = member {
            self.members.insert(facts.pid, member);
        }
    }

    /// The trees that there are.
    pub(super) fn roots(&self) -> Roots {
        let roots = self.members.values();
        Roots(roots.map(|member| Arc::clone(&member.root)).collect())
    }
}

impl Member {
    /// A child that inherits from this process.
    pub(super) fn child(&self, facts: &ProcessFacts) -> Self {
        Self {
            started_ns: facts.started_ns,
            parent: facts.parent,
            inherited: true,
            ..self.clone()
        }
    }
}

/// The names of trees, for `{pid}`.
pub(super) struct Roots(BTreeSet<Arc<str>>);

impl Roots {
    /// Names the tree that begins with a process: by its id, and with its start if the id also
    /// names an older tree, whose first process has gone.
    pub(super) fn plant(&mut self, facts: &ProcessFacts) -> Arc<str> {
        let plain: Arc<str> = facts.pid.to_string().into();
        let root = if self.0.contains(&plain) {
            format!("{}@{}", facts.pid, facts.started_ns).into()
        } else {
            plain
        };
        self.0.insert(Arc::clone(&root));
        root
    }
}
