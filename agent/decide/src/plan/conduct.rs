//! How a plan is carried out: few steps at a time, each on trial until it is known whether it helped.
//!
//! - **A canary first.** To each node, one group goes at a time, and of that one agent alone, until that is
//!   known not to do worse; the others follow.
//! - **A quota**: so many steps start in an interval, whatever is planned.
//! - **A rest**: an agent that was moved is not moved again for a while, and for twice as long each time
//!   that a step of its was taken back. Plans are told who rests ([`Conduct::resting`]).
//! - **What others set is theirs**: an agent of which somebody else set a knob is left alone from then on.
//!
//! Nothing is done in here: [`Conduct::choose`] says what to begin and [`Conduct::follow`] what came of what
//! was begun.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hostler_common::slot::SlotLease;

use super::{
    Plan, Step,
    verdict::{Change, Performance, Verdict, verdict},
};
use crate::window::Window;

/// How fast to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long the windows are over which a step is judged, in ns.
    pub window_ns: u64,
    /// Within this time [`Pace::steps`] may begin, and one group go to each node, in ns.
    pub interval_ns: u64,
    /// How many steps may begin in an interval.
    pub steps: usize,
    /// How long an agent is left alone after it was moved, in ns; twice as long after each step that was
    /// taken back.
    pub rest_ns: u64,
}

impl Default for Pace {
    fn default() -> Self {
        const SECOND_NS: u64 = 1_000_000_000;
        Self {
            // An agent's turns come seconds apart.
            window_ns: 10 * SECOND_NS,
            // Two windows and the time to settle: what a canary takes.
            interval_ns: 30 * SECOND_NS,
            steps: 64,
            // Katalyst waits for as long before it evicts once more.
            rest_ns: 300 * SECOND_NS,
        }
    }
}

/// An agent rests this many times as long as [`Pace::rest_ns`] at the most: some days.
const LONGEST_REST: u64 = 1 << 10;

/// A step that is judged late rather than by too few turns: after so many times its windows it is kept as
/// it is.
const MOST_WINDOWS: u32 = 6;

/// What became of a step that was on trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The step.
    pub step: Arc<Step>,
    /// What came of it.
    pub verdict: Verdict,
}

impl Outcome {
    /// Whether it has to be taken back.
    pub fn is_to_be_taken_back(&self) -> bool {
        matches!(self.verdict, Verdict::Worse { .. })
    }
}

/// What is on trial, what rests, and who is left alone.
#[derive(Clone, Debug, Default)]
pub struct Conduct {
    pace: Pace,
    /// What each agent did in the two windows that were closed last, and in the one that is open.
    seen: BTreeMap<SlotLease, [Performance; 3]>,
    window_began_ns: Option<u64>,
    interval_began_ns: Option<u64>,
    begun_in_interval: usize,
    trials: BTreeMap<SlotLease, Trial>,
    rests: BTreeMap<Arc<str>, Rest>,
    left_alone: BTreeSet<Arc<str>>,
    /// The groups that went to each node in this interval.
    turns: BTreeMap<u32, Arc<str>>,
    /// Groups of which one agent has gone to a node and did not do worse.
    proven: BTreeSet<(u32, Arc<str>)>,
}

/// A step that was begun and is not judged yet.
#[derive(Clone, Debug)]
struct Trial {
    step: Arc<Step>,
    /// Windows that were closed since, the one in which it began left out.
    windows: u32,
    is_first_window_over: bool,
    agent: Change,
    peer: Option<(SlotLease, Change)>,
}

/// An agent that is not to be moved for a while.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    until_ns: u64,
    taken_back: u32,
}

impl Conduct {
    /// At a pace.
    pub fn new(pace: Pace) -> Self {
        Self {
            pace,
            ..Self::default()
        }
    }

    /// Forgets what is on trial and what was proven, but not who is to be left alone.
    pub fn begin_anew(&mut self) {
        *self = Self {
            pace: self.pace,
            rests: std::mem::take(&mut self.rests),
            left_alone: std::mem::take(&mut self.left_alone),
            ..Self::default()
        };
    }

    /// Takes in a window that follows those before it: which steps are judged by now.
    pub fn follow(&mut self, window: &Window) -> Vec<Outcome> {
        self.seen.retain(|id, _| window.agents.contains_key(id));
        for (&id, (_, now)) in &window.agents {
            let [.., open] = self.seen.entry(id).or_default();
            open.add(&Performance::of(now));
        }
        let began_ns = *self.window_began_ns.get_or_insert(window.from_ns);
        if window.to_ns.saturating_sub(began_ns) < self.pace.window_ns {
            return Vec::new();
        }
        self.window_began_ns = Some(window.to_ns);
        let outcomes = self.judge(window.to_ns);
        self.forget_departed(window);
        for [older, last, open] in self.seen.values_mut() {
            *older = std::mem::replace(last, std::mem::take(open));
        }
        outcomes
    }

    /// Who comes back under a name that was there before is another agent.
    fn forget_departed(&mut self, window: &Window) {
        let agents = window.agents.values().map(|(agent, _)| agent);
        let names: BTreeSet<&Arc<str>> = agents.clone().map(|agent| &agent.name).collect();
        let groups: BTreeSet<&Arc<str>> = agents.map(|agent| &agent.group).collect();
        self.rests.retain(|name, _| names.contains(name));
        self.left_alone.retain(|name| names.contains(name));
        self.proven.retain(|(_, group)| groups.contains(group));
    }

    /// Takes the window that closes now into what is on trial.
    fn judge(&mut self, now_ns: u64) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        for (id, mut trial) in std::mem::take(&mut self.trials) {
            // Who is gone needs no verdict.
            let Some([.., open]) = self.seen.get(&id) else {
                continue;
            };
            if !std::mem::replace(&mut trial.is_first_window_over, true) {
                self.trials.insert(id, trial);
                continue;
            }
            trial.windows += 1;
            trial.agent.after.push(*open);
            trial.peer = trial.peer.and_then(|(peer, mut change)| {
                let [.., open] = self.seen.get(&peer)?;
                change.after.push(*open);
                Some((peer, change))
            });
            match trial.verdict() {
                Some(verdict) => outcomes.push(self.settle(trial, verdict, now_ns)),
                None => drop(self.trials.insert(id, trial)),
            }
        }
        outcomes
    }

    fn settle(&mut self, trial: Trial, verdict: Verdict, now_ns: u64) -> Outcome {
        let agent = &trial.step.agent;
        if let Verdict::Worse { .. } = verdict {
            self.rest(&Arc::clone(&agent.name), now_ns, true);
            self.proven.retain(|(_, group)| *group != agent.group);
        } else {
            let nodes = trial.step.nodes().iter();
            let proven = nodes.map(|&node| (node, Arc::clone(&agent.group)));
            self.proven.extend(proven);
        }
        Outcome {
            step: trial.step,
            verdict,
        }
    }

    fn rest(&mut self, agent: &Arc<str>, now_ns: u64, is_taken_back: bool) {
        let rest = self.rests.entry(Arc::clone(agent)).or_default();
        rest.taken_back += u32::from(is_taken_back);
        let times = 1_u64.checked_shl(rest.taken_back).unwrap_or(LONGEST_REST);
        let long_ns = self.pace.rest_ns.saturating_mul(times.min(LONGEST_REST));
        rest.until_ns = now_ns.saturating_add(long_ns);
    }

    /// Which steps of a plan to begin now. They are on trial from here on, unless [`Conduct::withdraw`] says
    /// that they could not be begun.
    pub fn choose(&mut self, plan: &Plan) -> Vec<Arc<Step>> {
        let now_ns = plan.at_ns;
        let began_ns = *self.interval_began_ns.get_or_insert(now_ns);
        if now_ns.saturating_sub(began_ns) >= self.pace.interval_ns {
            self.interval_began_ns = Some(now_ns);
            self.begun_in_interval = 0;
            self.turns.clear();
        }
        let mut chosen = Vec::new();
        for step in &plan.steps {
            if self.begun_in_interval >= self.pace.steps {
                break;
            }
            if self.may_begin(step, now_ns) {
                let step = Arc::new(step.clone());
                self.begin(&step, now_ns);
                chosen.push(step);
            }
        }
        chosen
    }

    /// Agents that are not to be moved at an instant, or never again, by name. Plans have to reckon with them
    /// where they are: one that moved them would not be carried out.
    pub fn resting(&self, now_ns: u64) -> BTreeSet<Arc<str>> {
        let resting = self.rests.iter().filter(|(_, rest)| rest.until_ns > now_ns);
        let resting = resting.map(|(name, _)| name);
        resting.chain(&self.left_alone).cloned().collect()
    }

    fn may_begin(&self, step: &Step, now_ns: u64) -> bool {
        let agent = &step.agent;
        let rests = self.rests.get(&agent.name);
        let is_resting = rests.is_some_and(|rest| rest.until_ns > now_ns);
        let is_peer = |trial: &Trial| {
            trial
                .peer
                .as_ref()
                .is_some_and(|(peer, _)| *peer == agent.id)
        };
        if is_resting
            || self.left_alone.contains(&agent.name)
            || self.trials.contains_key(&agent.id)
            || self.trials.values().any(is_peer)
        {
            return false;
        }
        step.nodes().iter().all(|&node| {
            let is_its_turn = self
                .turns
                .get(&node)
                .is_none_or(|group| *group == agent.group);
            let is_proven = self.proven.contains(&(node, Arc::clone(&agent.group)));
            is_its_turn && (is_proven || !self.has_canary(node))
        })
    }

    /// Whether somebody is on trial on a node whose group is not proven there yet.
    fn has_canary(&self, node: u32) -> bool {
        self.trials.values().any(|trial| {
            let group = Arc::clone(&trial.step.agent.group);
            trial.step.nodes().contains(&node) && !self.proven.contains(&(node, group))
        })
    }

    fn begin(&mut self, step: &Arc<Step>, now_ns: u64) {
        let agent = &step.agent;
        let before = |id: SlotLease| Change {
            before: self.seen.get(&id).copied().unwrap_or_default().to_vec(),
            after: Vec::new(),
        };
        let peer = step.check.peer.as_ref().map(|peer| peer.id);
        // Who is on trial itself is no one to hold another against.
        let peer = peer.filter(|peer| !self.trials.contains_key(peer));
        let trial = Trial {
            step: Arc::clone(step),
            windows: 0,
            is_first_window_over: false,
            agent: before(agent.id),
            peer: peer.map(|peer| (peer, before(peer))),
        };
        self.trials.insert(agent.id, trial);
        for &node in step.nodes() {
            self.turns.insert(node, Arc::clone(&agent.group));
        }
        self.begun_in_interval += 1;
        self.rest(&Arc::clone(&agent.name), now_ns, false);
    }

    /// A step could not be begun, or was taken back for another reason than a verdict: it is not judged.
    pub fn withdraw(&mut self, id: SlotLease) {
        self.trials.remove(&id);
    }

    /// Somebody else has set a knob of an agent: it is left alone from now on.
    pub fn leave_alone(&mut self, id: SlotLease, agent: &Arc<str>) {
        self.withdraw(id);
        self.left_alone.insert(Arc::clone(agent));
    }

    /// Steps that are not judged yet.
    pub fn on_trial(&self) -> impl Iterator<Item = &Arc<Step>> {
        self.trials.values().map(|trial| &trial.step)
    }
}

impl Trial {
    /// `None` while it is too early.
    fn verdict(&self) -> Option<Verdict> {
        let check = &self.step.check;
        if self.windows < check.windows {
            return None;
        }
        let peer = self.peer.as_ref().map(|(_, change)| change);
        let is_last = self.windows >= check.windows * MOST_WINDOWS;
        let verdict = verdict(&self.agent, peer, check.tolerance_percent, is_last);
        (is_last || verdict != Verdict::Unclear).then_some(verdict)
    }
}
