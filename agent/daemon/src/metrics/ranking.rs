//! Which agents have series of their own: a policy, since thousands of agents with dozens of series each
//! would be more than a Prometheus should be given.

use std::time::Duration;

use hostler_decide::agent_pattern::AgentPattern;

use super::counts::Counts;

/// Which agents have series of their own, and how many series there may be.
#[derive(Clone, Debug)]
pub struct Policy {
    /// How many agents by each criterion.
    pub top: usize,
    /// Those that always have.
    pub pinned: Vec<AgentPattern>,
    /// For how long an agent keeps its series after it was last chosen, or seen.
    pub linger: Duration,
    /// Groups that have series of their own.
    pub groups: usize,
    /// Series of a scrape at the most.
    pub series: usize,
}

/// What agents are ranked by.
pub(super) const CRITERIA: usize = 6;

/// After so long what an agent did counts half, in s: long against the seconds between an agent's turns,
/// short against an operator's patience.
const HALF_LIFE_S: f64 = 120.0;

/// What an agent did lately, by each criterion.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Activity([f64; CRITERIA]);

impl Activity {
    /// Lets time pass.
    pub(super) fn fade(&mut self, length_ns: u64) {
        let kept = (-(length_ns as f64) / 1e9 / HALF_LIFE_S).exp2();
        for score in &mut self.0 {
            *score *= kept;
        }
    }

    /// Adds what came to an agent's counters, and takes its memory as it is.
    pub(super) fn add(&mut self, before: &Marks, now: &Marks) {
        for ((score, before), now) in self.0.iter_mut().zip(before.0).zip(now.0) {
            *score += now - before;
        }
        self.0[MEMORY] = now.0[MEMORY];
    }

    pub(super) fn score(&self, criterion: usize) -> f64 {
        self.0[criterion]
    }
}

const MEMORY: usize = 4;

/// An agent's counters that count for its rank, at an instant.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Marks([f64; CRITERIA]);

impl Marks {
    pub(super) fn of(counts: &Counts) -> Self {
        use hostler_common::ledger::state::{ON_CPU, WAITING_PREEMPTED, WAITING_WOKEN};
        let spent = |state: u32| counts.state_ns[state as usize] as f64;
        let round_trips: f64 = (counts.peers.values())
            .map(|peer| peer.counts.rtt_us as f64)
            .sum();
        let lost = counts.pressure.map_or(0.0, |pressure| {
            let stalls = [pressure.cpu, pressure.memory, pressure.io];
            stalls.iter().map(|stall| stall.some_us as f64).sum()
        });
        Self([
            spent(ON_CPU),
            spent(WAITING_WOKEN) + spent(WAITING_PREEMPTED),
            counts.major_faults as f64,
            round_trips,
            counts
                .memory
                .map_or(0.0, |memory| memory.current_bytes as f64),
            lost,
        ])
    }
}

/// The best ranks among `activities`: for each that is among the first `top` by any criterion, its number
/// and its best rank, from 0 on. Who did nothing by a criterion has no rank by it.
pub(super) fn best(activities: &[(usize, Activity)], top: usize) -> Vec<(usize, usize)> {
    let mut ranks = std::collections::BTreeMap::new();
    for criterion in 0..CRITERIA {
        let score = |(number, activity): &(usize, Activity)| (activity.score(criterion), *number);
        let mut scores: Vec<(f64, usize)> = activities.iter().map(score).collect();
        scores.retain(|(score, _)| *score > 0.0);
        let by_score = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if top < scores.len() {
            scores.select_nth_unstable_by(top, by_score);
            scores.truncate(top);
        }
        scores.sort_unstable_by(by_score);
        for (rank, (_, number)) in scores.into_iter().enumerate() {
            let best = ranks.entry(number).or_insert(rank);
            *best = rank.min(*best);
        }
    }
    ranks.into_iter().collect()
}
