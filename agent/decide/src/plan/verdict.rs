//! Whether a step helped: what the agent did before and after, held against an agent that was not moved.
//!
//! What counts is how long a turn takes: from a thread's wake-up until it sleeps again, the time on a CPU
//! and waiting for one. Memory that is nearer makes the first shorter, a node with room the second; a step
//! that trades too much of one for the other shows in the sum. Locality itself does not count: it is a
//! means.

use serde::Serialize;

use crate::window::RunQueueWindow;

/// Fewer turns than this tell nothing: their mean is a matter of chance.
const LEAST_TURNS: u64 = 30;

/// What an agent did in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Performance {
    /// How often a thread gave the CPU up.
    pub turns: u64,
    /// Time on CPUs, in ns.
    pub on_cpu_ns: u64,
    /// Time waiting for one, in ns.
    pub wait_ns: u64,
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// Turns take less time than they would have taken, in percent of that.
    Better {
        /// By how much less.
        percent: u32,
    },
    /// They take as long, within the tolerance.
    Same,
    /// They take more time.
    Worse {
        /// By how much more.
        percent: u32,
    },
    /// There were too few turns to tell.
    Unclear,
}

impl Performance {
    /// In a window.
    pub fn of(window: &RunQueueWindow) -> Self {
        Self {
            turns: window.voluntary_switches,
            on_cpu_ns: window.on_cpu_ns(),
            wait_ns: window.wait_ns(),
        }
    }

    /// Adds what was done in another time.
    pub fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.turns, other.turns),
            (&mut self.on_cpu_ns, other.on_cpu_ns),
            (&mut self.wait_ns, other.wait_ns),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }

    /// How long a turn takes, in ns; `None` if there were too few to tell.
    pub fn turn_ns(&self) -> Option<f64> {
        let busy_ns = self.on_cpu_ns.saturating_add(self.wait_ns);
        let is_enough = self.turns >= LEAST_TURNS && busy_ns > 0;
        is_enough.then(|| busy_ns as f64 / self.turns as f64)
    }
}

/// Performance before a step and after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub before: Performance,
    /// After.
    pub after: Performance,
}

impl Change {
    /// How many times as long a turn takes; `None` if there were too few to tell.
    fn factor(&self) -> Option<f64> {
        Some(self.after.turn_ns()? / self.before.turn_ns()?)
    }
}

/// What came of a step for an agent, beside a peer to which nothing was done. Where too little is known of
/// the peer, the agent is held against itself.
pub fn verdict(agent: &Change, peer: Option<&Change>, tolerance_percent: u32) -> Verdict {
    let Some(factor) = agent.factor() else {
        return Verdict::Unclear;
    };
    let usual = peer.and_then(Change::factor).unwrap_or(1.0);
    let percent = (factor / usual - 1.0) * 100.0;
    let tolerance = f64::from(tolerance_percent);
    if percent > tolerance {
        Verdict::Worse {
            percent: rounded(percent),
        }
    } else if percent < -tolerance {
        Verdict::Better {
            percent: rounded(-percent),
        }
    } else {
        Verdict::Same
    }
}

/// At least 1: it was more than a tolerance.
fn rounded(percent: f64) -> u32 {
    u32::try_from(super::placing::whole(percent))
        .unwrap_or(u32::MAX)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn performance(turn_us: u64) -> Performance {
        Performance {
            turns: 100,
            on_cpu_ns: 80_000 * turn_us,
            wait_ns: 20_000 * turn_us,
        }
    }

    fn change(before_us: u64, after_us: u64) -> Change {
        Change {
            before: performance(before_us),
            after: performance(after_us),
        }
    }

    #[test]
    fn turns_that_take_less_time_are_better_and_longer_ones_worse() {
        let of = |before, after| verdict(&change(before, after), None, 5);
        assert_eq!(of(100, 80), Verdict::Better { percent: 20 });
        assert_eq!(of(100, 103), Verdict::Same);
        assert_eq!(of(100, 97), Verdict::Same);
        assert_eq!(of(100, 130), Verdict::Worse { percent: 30 });
    }

    #[test]
    fn what_happens_to_a_peer_as_well_is_not_laid_to_the_step() {
        let peer = change(100, 150);
        assert_eq!(verdict(&change(200, 300), Some(&peer), 5), Verdict::Same);
        let verdict = verdict(&change(200, 200), Some(&peer), 5);
        assert_eq!(verdict, Verdict::Better { percent: 33 });
    }

    #[test]
    fn few_turns_of_an_agent_tell_nothing_and_few_of_a_peer_leave_it_out() {
        let few = Change {
            after: Performance {
                turns: 3,
                ..performance(900)
            },
            ..change(100, 100)
        };
        assert_eq!(verdict(&few, None, 5), Verdict::Unclear);
        assert_eq!(verdict(&change(100, 100), Some(&few), 5), Verdict::Same);
    }

    #[test]
    fn who_did_not_run_before_can_t_be_judged() {
        let new = Change {
            before: Performance::default(),
            ..change(1, 100)
        };
        assert_eq!(verdict(&new, None, 5), Verdict::Unclear);
    }
}
