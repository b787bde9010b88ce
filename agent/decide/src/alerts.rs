//! Alerts: when what is measured is as somebody wrote that it must not be, for as long as they wrote.
//!
//! A [`Rule`] is judged over stretches of time of its own (`over`), one after the other, since a second of
//! one agent is a handful of waits. Whoever it holds for is pending, then firing once that has lasted
//! (`for`), and over with the first stretch for which it does not hold. Who is gone is over, too; that
//! somebody is gone is a rule of its own ([`Condition::Absent`]).

mod rule;
mod subject;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hostler_common::slot::SlotLease;

pub use self::{
    rule::{Bounds, Condition, Rule, Severity},
    subject::Subject,
};
use crate::{
    samples::{Sample, Samples, Scope},
    signal::Agent,
};

/// Alerts that are told of one rule at a time: of further ones only how many there are. A rule that
/// holds for thousands of agents is about the host.
pub const MOST_FIRING: usize = 50;

/// Alerts by rules.
#[derive(Debug, Default)]
pub struct Alerts {
    rules: Vec<Judged>,
}

/// An alert that fires, or has fired.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The rule.
    pub rule: Arc<Rule>,
    /// Whom it is about.
    pub subject: Subject,
    /// What the measure was when it was judged last; `None` if nothing is measured.
    pub value: Option<f64>,
    /// Since when the rule holds, in ms since 1970.
    pub since_ms: u64,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alert fires from now on.
    Fires(Alert),
    /// It is over.
    IsOver(Alert),
}

/// A rule and what has been seen of those whom it is about.
#[derive(Debug)]
struct Judged {
    rule: Arc<Rule>,
    /// What is being added up for the next judgement.
    sums: BTreeMap<Subject, Sample>,
    /// How long that is so far, in µs.
    length_us: u64,
    states: BTreeMap<Subject, State>,
    /// Agents that it is about, so that names are not looked at each time.
    agents: BTreeMap<SlotLease, (Arc<Agent>, Option<Subject>)>,
    /// Alerts that are not told, since there are too many.
    untold: usize,
}

/// What is known of whom a rule is about.
#[derive(Clone, Debug, Default)]
struct State {
    /// Since when the rule holds, in ms since 1970.
    holds_since_ms: Option<u64>,
    fires: bool,
    value: Option<f64>,
    usual: Usual,
}

/// What a measure usually is: a mean in which what is long ago counts little.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    mean: f64,
    /// How long it was looked at, in µs.
    length_us: u64,
}

impl Usual {
    /// What it is, once it was looked at for as long as half of what it counts is old.
    fn known(self, half_life_us: u64) -> Option<f64> {
        (self.length_us >= half_life_us).then_some(self.mean)
    }

    fn add(&mut self, value: f64, length_us: u64, half_life_us: u64) {
        self.length_us = self.length_us.saturating_add(length_us);
        // At its beginning a plain mean, or the first value would count for too long.
        let fades = 1.0 - (-(length_us as f64) / half_life_us.max(1) as f64).exp2();
        let weight = fades.max(length_us as f64 / self.length_us as f64);
        self.mean += (value - self.mean) * weight;
    }
}

impl Alerts {
    /// Judges by these rules from now on. What is known of rules that stay as they are stays, too; alerts of
    /// those that go are over.
    pub fn set_rules(&mut self, rules: Vec<Rule>) -> Vec<Change> {
        let mut before = std::mem::take(&mut self.rules);
        for rule in rules {
            let known = before.iter().position(|judged| *judged.rule == rule);
            self.rules.push(match known {
                Some(at) => before.swap_remove(at),
                None => Judged::new(rule),
            });
        }
        let gone = before.iter().flat_map(Judged::firing);
        gone.map(Change::IsOver).collect()
    }

    /// Agents have other leases from now on.
    pub fn begin(&mut self) {
        for judged in &mut self.rules {
            judged.agents.clear();
        }
    }

    /// Adds what happened up to `now_ms`, in ms since 1970. What has changed.
    pub fn add(&mut self, samples: &Samples, now_ms: u64) -> Vec<Change> {
        let changes = self.rules.iter_mut();
        changes
            .flat_map(|judged| judged.add(samples, now_ms))
            .collect()
    }

    /// All that fire.
    pub fn firing(&self) -> Vec<Alert> {
        self.rules.iter().flat_map(Judged::firing).collect()
    }

    /// How many alerts of each rule fire, also such as are not told.
    pub fn counts(&self) -> impl Iterator<Item = (&Rule, usize)> {
        let counts = self.rules.iter();
        counts.map(|judged| (&*judged.rule, judged.firing().count() + judged.untold))
    }
}

impl Judged {
    fn new(rule: Rule) -> Self {
        Self {
            rule: Arc::new(rule),
            sums: BTreeMap::new(),
            length_us: 0,
            states: BTreeMap::new(),
            agents: BTreeMap::new(),
            untold: 0,
        }
    }

    fn firing(&self) -> impl Iterator<Item = Alert> {
        let firing = self.states.iter().filter(|(_, state)| state.fires);
        firing.map(|(subject, state)| self.alert(subject, state))
    }

    fn alert(&self, subject: &Subject, state: &State) -> Alert {
        Alert {
            rule: Arc::clone(&self.rule),
            subject: subject.clone(),
            value: state.value,
            since_ms: state.holds_since_ms.unwrap_or(0),
        }
    }

    fn add(&mut self, samples: &Samples, now_ms: u64) -> Vec<Change> {
        self.add_up(samples);
        self.length_us = self.length_us.saturating_add(samples.length_us);
        if self.length_us < self.rule.over_us {
            return Vec::new();
        }
        let length_us = std::mem::take(&mut self.length_us);
        let mut sums = std::mem::take(&mut self.sums);
        for sum in sums.values_mut() {
            // Who came in between was there for less, and the others' measures are by all of the time.
            sum.numbers.length_us = length_us;
        }
        let rule = Arc::clone(&self.rule);
        match &rule.condition {
            Condition::Absent => self.judge_absence(&sums, length_us, now_ms),
            Condition::Bounds(bounds) => self.judge(bounds, &sums, length_us, now_ms),
        }
    }

    fn add_up(&mut self, samples: &Samples) {
        let rule = &self.rule;
        match rule.scope {
            Scope::Host => {
                let sum = self.sums.entry(Subject::host()).or_default();
                sum.append(&samples.host);
            }
            Scope::Group => {
                for (group, sample) in &samples.groups {
                    if rule.is_about(group) {
                        let sum = self.sums.entry(Subject::group(group)).or_default();
                        sum.append(sample);
                    }
                }
            }
            Scope::Agent => self.add_agents(samples),
        }
    }

    fn add_agents(&mut self, samples: &Samples) {
        for (lease, (agent, sample)) in &samples.agents {
            let known = self.agents.get(lease);
            let is_known = known.is_some_and(|(known, _)| Arc::ptr_eq(known, agent));
            if !is_known {
                let is_about = self.rule.is_about(&agent.name);
                let subject = is_about.then(|| Subject::agent(agent));
                self.agents.insert(*lease, (Arc::clone(agent), subject));
            }
            if let Some((_, Some(subject))) = self.agents.get(lease) {
                match self.sums.get_mut(subject) {
                    Some(sum) => sum.append(sample),
                    None => {
                        self.sums.insert(subject.clone(), sample.clone());
                    }
                }
            }
        }
        if self.agents.len() > samples.agents.len() {
            let there = |lease: &SlotLease| samples.agents.contains_key(lease);
            self.agents.retain(|lease, _| there(lease));
        }
    }

    fn judge(
        &mut self,
        bounds: &Bounds,
        sums: &BTreeMap<Subject, Sample>,
        length_us: u64,
        now_ms: u64,
    ) -> Vec<Change> {
        let mut told = self.firing().count();
        self.untold = 0;
        let mut changes = Vec::new();
        let gone: Vec<Subject> = (self.states.keys())
            .filter(|subject| !sums.contains_key(subject))
            .cloned()
            .collect();
        for subject in gone {
            changes.extend(self.end(&subject));
            self.states.remove(&subject);
        }
        for (subject, sum) in sums {
            let value = bounds.measure.of(sum);
            let mut state = self.states.get(subject).cloned().unwrap_or_default();
            let half_life_us = bounds.against_us;
            let usual = state.usual.known(half_life_us);
            let holds = value.is_some_and(|value| bounds.hold(value, usual));
            if let (Some(value), true) = (value, bounds.need_usual()) {
                state.usual.add(value, length_us, half_life_us);
            }
            state.value = value;
            let began_ms = now_ms.saturating_sub(length_us / 1_000);
            let change = self.step(subject, &mut state, holds, (began_ms, now_ms), &mut told);
            changes.extend(change);
            if state.holds_since_ms.is_some() || bounds.need_usual() {
                self.states.insert(subject.clone(), state);
            } else {
                self.states.remove(subject);
            }
        }
        changes
    }

    /// Whoever is named one by one is missed one by one; of a pattern, that nobody is there whom it means.
    fn judge_absence(
        &mut self,
        sums: &BTreeMap<Subject, Sample>,
        length_us: u64,
        now_ms: u64,
    ) -> Vec<Change> {
        let rule = Arc::clone(&self.rule);
        let mut changes = Vec::new();
        let names: BTreeSet<&str> = sums.keys().map(Subject::title).collect();
        for pattern in &rule.patterns {
            let subject = Subject::named(rule.scope, pattern.as_str());
            let is_there = names.iter().any(|name| pattern.matches(name));
            let mut state = self.states.get(&subject).cloned().unwrap_or_default();
            let began_ms = now_ms.saturating_sub(length_us / 1_000);
            let times = (began_ms, now_ms);
            let change = self.step(&subject, &mut state, !is_there, times, &mut 0);
            changes.extend(change);
            self.states.insert(subject, state);
        }
        changes
    }

    /// One judgement of one of them. `told` is how many are told already.
    fn step(
        &mut self,
        subject: &Subject,
        state: &mut State,
        holds: bool,
        (began_ms, now_ms): (u64, u64),
        told: &mut usize,
    ) -> Option<Change> {
        if !holds {
            let was = std::mem::take(&mut state.fires).then(|| self.alert(subject, state));
            state.holds_since_ms = None;
            return was.map(Change::IsOver);
        }
        let since_ms = *state.holds_since_ms.get_or_insert(began_ms);
        let lasted_us = now_ms.saturating_sub(since_ms).saturating_mul(1_000);
        if state.fires || lasted_us < self.rule.for_us {
            return None;
        }
        if *told >= MOST_FIRING {
            self.untold += 1;
            return None;
        }
        *told += 1;
        state.fires = true;
        Some(Change::Fires(self.alert(subject, state)))
    }

    fn end(&self, subject: &Subject) -> Option<Change> {
        let state = self.states.get(subject)?;
        state
            .fires
            .then(|| Change::IsOver(self.alert(subject, state)))
    }
}
