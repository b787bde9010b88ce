//! What is added up over the daemon's life: of the host and each group all there is, of each agent its
//! counters.
//!
//! Agents are known by group and name, not by their slots: one that comes back under its name goes on
//! with its series, and two of one name can't make a scrape invalid. What groups and the host count
//! stays when agents go.

mod agents;
mod writing;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use hostler_common::{peer::class, slot::SlotLease};
use hostler_decide::{
    bottleneck::bottlenecks,
    host::HostWindow,
    pairs::Who,
    peers::CLASS_NAMES,
    samples::OTHER_GROUPS,
    scene::HostFacts,
    signal::{Agent, LossSignal},
    window::{RunQueueWindow, Window},
};

use self::agents::Agents;
pub use self::writing::Written;
use super::{
    counts::{Amounts, Counts, Distributions},
    ranking::Policy,
    text::shortened,
};

/// Totals since measuring began.
pub struct Totals {
    facts: HostFacts,
    policy: Policy,
    whole: Whole,
    host: Option<HostWindow>,
    losses: LossSignal,
    groups: Groups,
    agents: Agents,
    /// Series that found no room, added up over all that was written.
    left_out: u64,
}

/// A group, or the host.
#[derive(Debug, Default)]
pub(super) struct Whole {
    pub(super) counts: Counts,
    pub(super) distributions: Distributions,
}

#[derive(Default)]
struct Groups {
    /// Empty where a group has retired.
    totals: Vec<Option<(Arc<str>, Whole)>>,
    numbers: HashMap<Arc<str>, usize>,
}

impl Totals {
    /// Of a host on which nothing has happened yet.
    pub fn new(facts: &HostFacts, policy: Policy) -> Self {
        Self {
            facts: facts.clone(),
            policy,
            whole: Whole::default(),
            host: None,
            losses: LossSignal::default(),
            groups: Groups::default(),
            agents: Agents::default(),
            left_out: 0,
        }
    }

    /// Another policy from now on. Groups that have series keep them.
    pub fn set_policy(&mut self, policy: Policy) {
        self.agents.pin(&policy.pinned);
        self.policy = policy;
    }

    /// Adds the window that follows those before it.
    pub fn add(&mut self, window: &Window) {
        self.agents.begin(window.to_ns);
        for (agent, row) in window.agents.values() {
            self.add_agent(agent, row);
        }
        self.add_peers(window);
        self.add_causes(window);
        self.add_bottlenecks(window);
        if let Some(more) = &window.host {
            match &mut self.host {
                Some(sum) => sum.append(more.clone()),
                none => *none = Some(more.clone()),
            }
        }
        self.losses.add(&window.losses);
        self.set_amounts();
        self.agents.rank(window.length_ns(), &self.policy);
        if self.agents.expire(&self.policy) {
            self.groups.retire_all_but(&self.agents.groups());
        }
    }

    fn add_agent(&mut self, agent: &Arc<Agent>, row: &RunQueueWindow) {
        let most = self.policy.groups;
        let known = self
            .agents
            .number_of(agent, &self.policy, |name| self.groups.number(name, most));
        let group = match known {
            Some(number) => self.agents.add(number, row),
            None => self.groups.number(&shortened(&agent.group), most),
        };
        for whole in [self.groups.whole(group), &mut self.whole] {
            whole.counts.add(row);
            whole.distributions.add(row);
        }
    }

    fn add_peers(&mut self, window: &Window) {
        for (key, peer) in &window.peers {
            let class = self.class_of(key.peer);
            let group = match self.agents.by_lease(key.agent) {
                Some(agent) => {
                    agent.counts.add_peer(class, peer);
                    agent.group
                }
                None => self.groups.number(OTHER_GROUPS, 0),
            };
            for whole in [self.groups.whole(group), &mut self.whole] {
                whole.counts.add_peer(class, peer);
                whole.distributions.add_peer(class, peer);
            }
        }
    }

    /// A class of peers, of which all that have no name are one.
    fn class_of(&self, class: u32) -> u32 {
        let has_name = match class.checked_sub(class::FIRST_NAMED) {
            Some(index) => (index as usize) < self.facts.named_peers.len(),
            None => (class as usize) < CLASS_NAMES.len(),
        };
        if has_name { class } else { u32::MAX }
    }

    fn add_causes(&mut self, window: &Window) {
        for (key, pair) in &window.pairs {
            let class = Who::of(key.cause, key.waiter.slot, &|_| None).class();
            let group = match self.agents.by_lease(key.waiter) {
                Some(agent) => {
                    agent.counts.add_cause(class, pair.wait_ns);
                    agent.group
                }
                None => self.groups.number(OTHER_GROUPS, 0),
            };
            for whole in [self.groups.whole(group), &mut self.whole] {
                whole.counts.add_cause(class, pair.wait_ns);
            }
        }
    }

    fn add_bottlenecks(&mut self, window: &Window) {
        let length_ns = window.length_ns();
        for (id, bottleneck) in bottlenecks(window) {
            let group = match self.agents.by_lease(id) {
                Some(agent) => {
                    agent.counts.add_bottleneck(bottleneck.limit, length_ns);
                    agent.group
                }
                None => self.groups.number(OTHER_GROUPS, 0),
            };
            for whole in [self.groups.whole(group), &mut self.whole] {
                whole.counts.add_bottleneck(bottleneck.limit, length_ns);
            }
        }
    }

    /// Gauges of groups and the host: what those who are there have now.
    fn set_amounts(&mut self) {
        let mut host = Amounts::default();
        let mut groups = vec![Amounts::default(); self.groups.totals.len()];
        for agent in self.agents.there() {
            groups[agent.group].add(&agent.counts);
            host.add(&agent.counts);
        }
        for (group, there) in self.groups.totals.iter_mut().zip(&groups) {
            if let Some((_, whole)) = group {
                whole.counts.set_amounts(there);
            }
        }
        self.whole.counts.set_amounts(&host);
    }
}

impl Groups {
    /// The group's number. If it is new and there are `most` already, that of all others.
    fn number(&mut self, name: &str, most: usize) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let has_others = self.numbers.contains_key(OTHER_GROUPS);
        if name != OTHER_GROUPS && self.numbers.len() - usize::from(has_others) >= most {
            return self.number(OTHER_GROUPS, most);
        }
        let name: Arc<str> = name.into();
        let free = self.totals.iter().position(Option::is_none);
        let number = free.unwrap_or_else(|| {
            self.totals.push(None);
            self.totals.len() - 1
        });
        self.totals[number] = Some((Arc::clone(&name), Whole::default()));
        self.numbers.insert(name, number);
        number
    }

    fn whole(&mut self, number: usize) -> &mut Whole {
        let group = self.totals[number].as_mut();
        &mut group.expect("numbers are of groups that are there").1
    }

    /// Groups whose agents have all been forgotten make room for others; what they counted is among the
    /// others'.
    fn retire_all_but(&mut self, needed: &BTreeSet<usize>) {
        for number in 0..self.totals.len() {
            let is_needed = |group: &mut (Arc<str>, Whole)| {
                &*group.0 == OTHER_GROUPS || needed.contains(&number)
            };
            if let Some((name, gone)) = self.totals[number].take_if(|group| !is_needed(group)) {
                self.numbers.remove(&name);
                let others = self.number(OTHER_GROUPS, 0);
                let others = self.whole(others);
                others.counts.merge(&gone.counts);
                others.distributions.merge(&gone.distributions);
            }
        }
    }
}

/// An agent's slot and generation.
type Lease = SlotLease;
