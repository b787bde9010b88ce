//! Agents and their counters: found by lease at each tick, known by group and name.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    sync::Arc,
};

use hostler_decide::{agent_pattern::AgentPattern, signal::Agent, window::RunQueueWindow};

use super::{
    super::{
        counts::Counts,
        ranking::{Activity, Marks, Policy, best},
        text::shortened,
    },
    Lease,
};

/// Agents that are known at a time, those included that have gone lately. What comes beyond that is in its
/// group's sums only.
const MAX_AGENTS: usize = 2 * hostler_common::slot::MAX_AGENTS as usize;

/// All that are known.
#[derive(Default)]
pub(in crate::metrics) struct Agents {
    known: Vec<Option<Known>>,
    /// Places in `known` that are free.
    free: Vec<usize>,
    by_name: HashMap<(Arc<str>, Arc<str>), usize>,
    by_lease: HashMap<Lease, (Arc<Agent>, usize)>,
    now_ns: u64,
}

/// One of them.
pub(in crate::metrics) struct Known {
    pub(in crate::metrics) name: Arc<str>,
    pub(in crate::metrics) group_name: Arc<str>,
    pub(in crate::metrics) group: usize,
    pub(in crate::metrics) counts: Counts,
    /// Whether it always has series of its own.
    pub(in crate::metrics) is_pinned: bool,
    /// When it was last among the first, and its best rank then.
    pub(in crate::metrics) chosen: Option<(u64, usize)>,
    seen_ns: u64,
    activity: Activity,
    marks: Marks,
}

impl Agents {
    /// A window that ends now is about to be added.
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        for known in self.known.iter_mut().flatten() {
            // Two of one name are added up.
            known.counts.threads = 0;
        }
    }

    /// The number of an agent, which is known from now on; `None` if there are too many.
    pub(super) fn number_of(
        &mut self,
        agent: &Arc<Agent>,
        policy: &Policy,
        group: impl FnOnce(&str) -> usize,
    ) -> Option<usize> {
        if let Some((known, number)) = self.by_lease.get(&agent.id)
            && Arc::ptr_eq(known, agent)
        {
            return Some(*number);
        }
        let names = (shortened(&agent.group), shortened(&agent.name));
        let number = match self.by_name.entry(names.clone()) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                if self.known.len() - self.free.len() >= MAX_AGENTS {
                    return None;
                }
                let known = Known {
                    group: group(&names.0),
                    group_name: names.0,
                    name: names.1,
                    counts: Counts::default(),
                    is_pinned: is_pinned(&policy.pinned, &agent.name),
                    chosen: None,
                    seen_ns: self.now_ns,
                    activity: Activity::default(),
                    marks: Marks::default(),
                };
                let number = self.free.pop().unwrap_or(self.known.len());
                if number == self.known.len() {
                    self.known.push(None);
                }
                self.known[number] = Some(known);
                *entry.insert(number)
            }
        };
        self.by_lease.insert(agent.id, (Arc::clone(agent), number));
        Some(number)
    }

    /// Adds what an agent did. Its group.
    pub(super) fn add(&mut self, number: usize, row: &RunQueueWindow) -> usize {
        let known = self.known[number]
            .as_mut()
            .expect("numbers are of known agents");
        known.counts.add(row);
        known.seen_ns = self.now_ns;
        known.group
    }

    /// Who has a lease, or had it lately.
    pub(super) fn by_lease(&mut self, lease: Lease) -> Option<&mut Known> {
        let (_, number) = self.by_lease.get(&lease)?;
        self.known[*number].as_mut()
    }

    /// Those that were in the window that was added last.
    pub(super) fn there(&self) -> impl Iterator<Item = &Known> {
        let now_ns = self.now_ns;
        let known = self.known.iter().flatten();
        known.filter(move |known| known.seen_ns == now_ns)
    }

    /// Those that have series of their own, the most important first.
    pub(super) fn chosen(&self, policy: &Policy) -> Vec<&Known> {
        let linger_ns = nanoseconds(policy);
        let mut chosen: Vec<(&Known, (bool, bool, usize))> = Vec::new();
        for known in self.known.iter().flatten() {
            let (at_ns, rank) = known.chosen.unwrap_or((0, usize::MAX));
            let ago_ns = self.now_ns.saturating_sub(at_ns);
            if known.is_pinned || (known.chosen.is_some() && ago_ns <= linger_ns) {
                chosen.push((known, (!known.is_pinned, ago_ns > 0, rank)));
            }
        }
        chosen.sort_by(|(a, by_a), (b, by_b)| {
            let by_name = || (&a.group_name, &a.name).cmp(&(&b.group_name, &b.name));
            by_a.cmp(by_b).then_with(by_name)
        });
        chosen.into_iter().map(|(known, _)| known).collect()
    }

    /// Chooses those that are among the first by what they did lately.
    pub(super) fn rank(&mut self, length_ns: u64, policy: &Policy) {
        let mut activities = Vec::with_capacity(self.known.len());
        for (number, known) in self.known.iter_mut().enumerate() {
            let Some(known) = known else { continue };
            let marks = Marks::of(&known.counts);
            known.activity.fade(length_ns);
            known.activity.add(&known.marks, &marks);
            known.marks = marks;
            activities.push((number, known.activity));
        }
        for (number, rank) in best(&activities, policy.top) {
            if let Some(known) = &mut self.known[number] {
                known.chosen = Some((self.now_ns, rank));
            }
        }
    }

    /// Forgets who has not been seen for long; whether there was anybody.
    pub(super) fn expire(&mut self, policy: &Policy) -> bool {
        let linger_ns = nanoseconds(policy);
        let mut any_gone = false;
        for (number, known) in self.known.iter_mut().enumerate() {
            let is_over = |known: &mut Known| self.now_ns.saturating_sub(known.seen_ns) > linger_ns;
            if let Some(gone) = known.take_if(is_over) {
                self.by_name.remove(&(gone.group_name, gone.name));
                self.free.push(number);
                any_gone = true;
            }
        }
        // A lease that has passed on is of no use; one whose agent is forgotten must not lead to another.
        let known = &self.known;
        let is_much = self.by_lease.len() > 2 * (known.len() - self.free.len()) + 64;
        if is_much || any_gone {
            let now_ns = self.now_ns;
            self.by_lease.retain(|_, (agent, number)| {
                known[*number].as_ref().is_some_and(|known| {
                    known.name == shortened(&agent.name)
                        && known.group_name == shortened(&agent.group)
                        && (!is_much || known.seen_ns == now_ns)
                })
            });
        }
        any_gone
    }

    /// The numbers of groups that have agents, also such that have gone lately.
    pub(super) fn groups(&self) -> BTreeSet<usize> {
        self.known
            .iter()
            .flatten()
            .map(|known| known.group)
            .collect()
    }

    /// Others are pinned from now on.
    pub(super) fn pin(&mut self, pinned: &[AgentPattern]) {
        for known in self.known.iter_mut().flatten() {
            known.is_pinned = is_pinned(pinned, &known.name);
        }
    }
}

fn is_pinned(pinned: &[AgentPattern], name: &str) -> bool {
    pinned.iter().any(|pattern| pattern.matches(name))
}

fn nanoseconds(policy: &Policy) -> u64 {
    u64::try_from(policy.linger.as_nanos()).unwrap_or(u64::MAX)
}
