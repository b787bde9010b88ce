//! Whether a step helped: what the agent did before and after, held against an agent that was not moved.
//!
//! What counts is how long a turn takes: from a thread's wake-up until it sleeps again, the time on a CPU
//! and waiting for one. Memory that is nearer makes the first shorter, a node with room the second; a step
//! that trades too much of one for the other shows in the sum. Locality itself does not count: it is a
//! means.
//!
//! Turns take now longer and now shorter without anybody's doing. So it is looked window by window, and a
//! change counts if it is beyond what windows differ by anyway: by Student's t-test of the logarithms, of
//! what the agent's turns take by its peer's, before against after.

use serde::Serialize;

use crate::window::RunQueueWindow;

/// Fewer turns in a window tell nothing: their mean is a matter of chance.
const LEAST_TURNS: u64 = 10;

/// How many standard errors a change has to be beyond, by degrees of freedom from 1 on: Student's t at
/// 99.9 %, one-sided, since it is looked up to eleven times; that of the normal distribution behind the last
/// one.
const T_999: [f64; 14] = [
    318.3, 22.33, 10.21, 7.173, 5.893, 5.208, 4.785, 4.501, 4.297, 4.144, 4.025, 3.93, 3.852, 3.787,
];
const NORMAL_999: f64 = 3.09;

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
    /// There were too few turns to tell, or what they take differs too much from window to window.
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

/// Performance before a step and after it, window by window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Before.
    pub before: Vec<Performance>,
    /// After.
    pub after: Vec<Performance>,
}

/// What came of a step for an agent, beside a peer to which nothing was done and that was seen in the same
/// windows. Where too little is known of the peer, the agent is held against itself. Before the last look,
/// what may still turn out otherwise is unclear.
pub fn verdict(
    agent: &Change,
    peer: Option<&Change>,
    tolerance_percent: u32,
    is_last: bool,
) -> Verdict {
    let beside = peer.and_then(|peer| Difference::of(agent, Some(peer)));
    let Some(difference) = beside.or_else(|| Difference::of(agent, None)) else {
        return Verdict::Unclear;
    };
    let in_percent = |logarithm: f64| (logarithm.exp() - 1.0) * 100.0;
    let percent = in_percent(difference.mean);
    let tolerance = f64::from(tolerance_percent);
    let may_be = in_percent(difference.mean.abs() + difference.error);
    let is_within = percent.abs() <= tolerance;
    let is_chance = difference.mean.abs() <= difference.margin;
    match percent {
        _ if may_be <= tolerance || (is_last && is_within) => Verdict::Same,
        _ if is_within || is_chance => Verdict::Unclear,
        percent if percent > 0.0 => Verdict::Worse {
            percent: rounded(percent),
        },
        percent => Verdict::Better {
            percent: rounded(-percent),
        },
    }
}

/// By how much the logarithms of what turns take differ after a step.
struct Difference {
    mean: f64,
    /// The standard error of that.
    error: f64,
    /// What the mean may be by chance.
    margin: f64,
}

impl Difference {
    /// `None` if there are too few windows to tell.
    fn of(agent: &Change, peer: Option<&Change>) -> Option<Self> {
        let before = logarithms(&agent.before, peer.map(|peer| &peer.before[..]));
        let after = logarithms(&agent.after, peer.map(|peer| &peer.after[..]));
        let many = before.len() + after.len();
        if before.is_empty() || after.is_empty() || many < 3 {
            return None;
        }
        let freedom = many - 2;
        let squares = squares_around_mean(&before) + squares_around_mean(&after);
        let variance = squares / freedom as f64;
        let error = (variance * (1.0 / before.len() as f64 + 1.0 / after.len() as f64)).sqrt();
        Some(Self {
            mean: mean(&after) - mean(&before),
            error,
            margin: T_999.get(freedom - 1).unwrap_or(&NORMAL_999) * error,
        })
    }
}

/// Of each window with enough turns, the logarithm of how long one takes, by the peer's where there is one.
fn logarithms(agent: &[Performance], peer: Option<&[Performance]>) -> Vec<f64> {
    let of_window = |(number, performance): (usize, &Performance)| {
        let turn_ns = performance.turn_ns()?;
        let usual_ns = match peer {
            Some(peer) => peer.get(number)?.turn_ns()?,
            None => 1.0,
        };
        Some((turn_ns / usual_ns).ln())
    };
    agent.iter().enumerate().filter_map(of_window).collect()
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

fn squares_around_mean(of: &[f64]) -> f64 {
    let mean = mean(of);
    of.iter().map(|value| (value - mean).powi(2)).sum()
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

    /// Three windows before and two after.
    fn change(before_us: u64, after_us: u64) -> Change {
        Change {
            before: vec![performance(before_us); 3],
            after: vec![performance(after_us); 2],
        }
    }

    #[test]
    fn turns_that_take_less_time_are_better_and_longer_ones_worse() {
        let of = |before, after| verdict(&change(before, after), None, 5, false);
        assert_eq!(of(100, 80), Verdict::Better { percent: 20 });
        assert_eq!(of(100, 103), Verdict::Same);
        assert_eq!(of(100, 97), Verdict::Same);
        assert_eq!(of(100, 130), Verdict::Worse { percent: 30 });
    }

    #[test]
    fn what_windows_differ_by_anyway_is_not_laid_to_a_step() {
        let turns = |us: &[u64]| us.iter().map(|&us| performance(us)).collect();
        let of = |before: &[u64], after: &[u64]| {
            let change = Change {
                before: turns(before),
                after: turns(after),
            };
            verdict(&change, None, 5, false)
        };
        assert_eq!(of(&[80, 100, 120], &[120, 110]), Verdict::Unclear);
        assert_eq!(of(&[80, 100, 120], &[100, 97]), Verdict::Unclear);
        assert_eq!(
            of(&[99, 100, 101], &[120, 119]),
            Verdict::Worse { percent: 20 }
        );
        // Many windows tell what two can't.
        assert_eq!(of(&[90, 100, 110], &[130, 120]), Verdict::Unclear);
        let many = [130, 120, 125, 135, 115, 125, 130, 120];
        assert_eq!(of(&[90, 100, 110], &many), Verdict::Worse { percent: 25 });
    }

    #[test]
    fn what_happens_to_a_peer_as_well_is_not_laid_to_the_step() {
        let peer = change(100, 150);
        assert_eq!(
            verdict(&change(200, 300), Some(&peer), 5, false),
            Verdict::Same
        );
        let verdict = verdict(&change(200, 200), Some(&peer), 5, false);
        assert_eq!(verdict, Verdict::Better { percent: 33 });
    }

    #[test]
    fn few_turns_of_an_agent_tell_nothing_and_few_of_a_peer_leave_it_out() {
        let after = Performance {
            turns: 3,
            ..performance(900)
        };
        let few = Change {
            after: vec![after; 2],
            ..change(100, 100)
        };
        assert_eq!(verdict(&few, None, 5, false), Verdict::Unclear);
        assert_eq!(
            verdict(&change(100, 100), Some(&few), 5, false),
            Verdict::Same
        );
    }

    #[test]
    fn who_did_not_run_before_can_t_be_judged() {
        let new = Change {
            before: vec![Performance::default(); 3],
            ..change(1, 100)
        };
        assert_eq!(verdict(&new, None, 5, false), Verdict::Unclear);
    }
}
