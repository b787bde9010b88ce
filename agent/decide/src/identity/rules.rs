//! Rules, ready to be applied.

mod compile;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use super::{
    AgentIdentity, Kind,
    error::RuleError,
    facts::{Needs, ProcessFacts},
    forest::Forest,
    identified::{Identified, Member, Verdict},
    matcher::Matcher,
    raw::RawRules,
    template::Template,
};

/// Rules whose patterns are compiled. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Rules(Arc<[Rule]>);

/// One rule.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    name: Arc<str>,
    group: Arc<str>,
    kind: Kind,
    agent: Template,
    matcher: Matcher,
}

impl Rules {
    /// Compiles rules, or says what is wrong with the first that is wrong.
    pub fn new(raw: &RawRules) -> Result<Self, RuleError> {
        Ok(Self(compile::all(&raw.rules)?.into()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Which facts the rules look at.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for rule in &*self.0 {
            needs.add(rule.matcher.needs());
            needs.add(rule.agent.needs());
        }
        needs
    }

    /// Which agent each process belongs to, by process id. Processes of which the rules say
    /// nothing are left out. The order of the snapshot does not matter.
    pub fn identify<'facts>(
        &self,
        snapshot: impl IntoIterator<Item = &'facts ProcessFacts>,
    ) -> BTreeMap<u32, AgentIdentity> {
        self.identify_after(&Identified::default(), snapshot)
            .agents()
            .map(|(pid, agent)| (pid, agent.clone()))
            .collect()
    }

    /// As [`Rules::identify`], knowing what was said of the snapshot before: a process that has
    /// inherited its agent keeps it when its parent goes, a tree keeps its name when its first
    /// process goes, and a process whose facts are unchanged is not matched again. What other rules
    /// said of the snapshot before is not used.
    pub fn identify_after<'facts>(
        &self,
        before: &Identified,
        snapshot: impl IntoIterator<Item = &'facts ProcessFacts>,
    ) -> Identified {
        let mut now = Identified::by(&self.0);
        if !before.is_by(&self.0) {
            return self.identify_after(&now, snapshot);
        }
        let forest = Forest::new(snapshot);
        let mut roots = before.roots();
        for facts in forest.parents_first() {
            let unchanged = before.verdict(facts);
            let verdict = unchanged.unwrap_or_else(|| Verdict::new(facts, self.rule_for(facts)));
            let parent = forest.parent(facts.pid);
            let of_parent = parent.and_then(|pid| now.of_process(pid));
            let earlier = before.member(facts);
            let orphaned = earlier.filter(|member| {
                member.inherited && (parent.is_none() || member.parent != facts.parent)
            });
            let member = match verdict.rule.and_then(|place| self.0.get(place)) {
                Some(rule) => {
                    let root = rule
                        .root_of([of_parent, earlier])
                        .unwrap_or_else(|| roots.plant(facts));
                    earlier
                        .filter(|member| unchanged.is_some() && member.root == root)
                        .cloned()
                        .or_else(|| Some(rule.take_in(facts, root)))
                }
                None => orphaned.cloned().or_else(|| {
                    let maker = || before.member_of(facts.made_by.as_ref()?);
                    of_parent.or_else(maker).map(|member| member.child(facts))
                }),
            };
            now.add(facts, verdict, member);
        }
        now
    }

    /// The place of the first rule that matches.
    fn rule_for(&self, facts: &ProcessFacts) -> Option<usize> {
        self.0.iter().position(|rule| rule.matcher.matches(facts))
    }
}

impl Rule {
    /// The tree that a process belongs to by its parent or, before, by itself, if this rule took
    /// that in.
    fn root_of(&self, known: [Option<&Member>; 2]) -> Option<Arc<str>> {
        known
            .into_iter()
            .flatten()
            .find(|member| member.agent.rule == self.name)
            .map(|member| Arc::clone(&member.root))
    }

    /// Makes a process that matches a member of a tree.
    fn take_in(&self, facts: &ProcessFacts, root: Arc<str>) -> Member {
        let name = self
            .agent
            .expand(facts, &root, self.matcher.cmdline.as_ref());
        Member {
            started_ns: facts.started_ns,
            parent: facts.parent,
            inherited: false,
            agent: AgentIdentity {
                rule: Arc::clone(&self.name),
                group: Arc::clone(&self.group),
                kind: self.kind,
                name: name.into(),
            },
            root,
        }
    }
}
