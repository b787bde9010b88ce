//! Readings added up to windows, at the cost of what has changed.
//!
//! Of thousands of agents few do anything between two readings, and the time of those that sleep is
//! known without looking: threads × time. So an agent is added to the window when it has changed, and
//! when the window is wanted.

use std::sync::Arc;

use super::{LedgerWindow, RunQueueWindow, Window, agent_between};
use crate::signal::{AgentReading, Reading};

/// Agents that a sum keeps apart before it adds up those that are gone: more than there can be at a
/// time, and some 100 MiB at the most.
const MAX_AGENTS_APART: usize = 2 * hostler_common::slot::MAX_AGENTS as usize;

/// The longest time for which an agent is left alone, in ns: far below what a ledger's 48 bits hold of
/// its most threads in either direction (4 minutes).
const LONGEST_NS: u64 = 60_000_000_000;

/// Readings of one source, added up.
#[derive(Clone, Debug, Default)]
pub struct WindowSum {
    last: Arc<Reading>,
    /// What was added up, of each agent until its [`Since`].
    window: Window,
    /// Of each agent in the last reading, up to when it was added up, ordered by id.
    agents: Vec<Since>,
}

/// Up to when an agent was added up.
#[derive(Clone, Debug)]
struct Since {
    reading: Arc<AgentReading>,
    /// By the ledger's clock.
    ledger_ns: u64,
}

impl WindowSum {
    /// Begins with a reading: what came before it does not count.
    pub fn new(beginning: impl Into<Arc<Reading>>) -> Self {
        let beginning = beginning.into();
        let since = |reading: &Arc<AgentReading>| Since {
            reading: Arc::clone(reading),
            ledger_ns: beginning.ledger_ns,
        };
        Self {
            window: Window {
                from_ns: beginning.at_ns,
                to_ns: beginning.at_ns,
                ..Window::default()
            },
            agents: beginning.agents.iter().map(since).collect(),
            last: beginning,
        }
    }

    /// The last reading that was added.
    pub fn last(&self) -> &Reading {
        &self.last
    }

    /// Adds what happened between the last reading and this one. Who is new began at zero; who is
    /// missing was quiet before it went.
    pub fn add(&mut self, now: impl Into<Arc<Reading>>) {
        let now = now.into();
        self.window
            .append(Window::of_all_but_agents(&self.last, &now));
        let mut before = std::mem::take(&mut self.agents).into_iter().peekable();
        let mut agents = Vec::with_capacity(now.agents.len());
        for reading in &now.agents {
            let id = reading.agent.id;
            while let Some(gone) = before.next_if(|since| since.reading.agent.id < id) {
                self.settle_gone(&gone);
            }
            let since = before
                .next_if(|since| since.reading.agent.id == id)
                .unwrap_or_else(|| Since {
                    reading: Arc::new(AgentReading::nothing_of(Arc::clone(&reading.agent))),
                    ledger_ns: self.last.ledger_ns,
                });
            let slept_ns = now.ledger_ns.saturating_sub(since.ledger_ns);
            if Arc::ptr_eq(&since.reading, reading) && slept_ns < LONGEST_NS {
                agents.push(since);
                continue;
            }
            settle(&mut self.window, &since, reading, now.ledger_ns);
            agents.push(Since {
                reading: Arc::clone(reading),
                ledger_ns: now.ledger_ns,
            });
        }
        for gone in before {
            self.settle_gone(&gone);
        }
        self.agents = agents;
        self.last = now;
        if self.window.agents.len() > MAX_AGENTS_APART {
            let agents = &self.agents;
            self.window.fold_departed(|id| {
                agents
                    .binary_search_by_key(id, |since| since.reading.agent.id)
                    .is_ok()
            });
        }
    }

    /// The window from the beginning, or from the last window that was taken, up to the last reading.
    #[must_use]
    pub fn take(&mut self) -> Window {
        self.settle_all();
        let next = Window {
            from_ns: self.last.at_ns,
            to_ns: self.last.at_ns,
            ..Window::default()
        };
        std::mem::replace(&mut self.window, next)
    }

    /// Adds the time that has passed for each agent since it was added up.
    fn settle_all(&mut self) {
        let now_ns = self.last.ledger_ns;
        // Both are ordered: one walk along them is a tenth of as many look-ups.
        let mut rows = std::mem::take(&mut self.window.agents)
            .into_iter()
            .peekable();
        let mut settled = Vec::with_capacity(self.agents.len());
        for since in &mut self.agents {
            let id = since.reading.agent.id;
            while let Some(gone) = rows.next_if(|(other, _)| *other < id) {
                settled.push(gone);
            }
            let passed = unchanged(since, now_ns);
            since.ledger_ns = now_ns;
            match (rows.next_if(|(other, _)| *other == id), passed) {
                (Some((_, (agent, mut sum))), passed) => {
                    if let Some(passed) = passed {
                        sum.add(&passed);
                    }
                    settled.push((id, (agent, sum)));
                }
                (None, Some(passed)) => {
                    settled.push((id, (Arc::clone(&since.reading.agent), passed)));
                }
                (None, None) => {}
            }
        }
        settled.extend(rows);
        self.window.agents = settled.into_iter().collect();
    }

    /// Adds what an agent did that is not in the reading that follows the last one.
    fn settle_gone(&mut self, gone: &Since) {
        if let Some(passed) = unchanged(gone, self.last.ledger_ns) {
            let agent = Arc::clone(&gone.reading.agent);
            self.window.add_to_agent(agent, passed);
        }
    }
}

/// What became of an agent that has not changed: time has passed. `None` without threads.
fn unchanged(since: &Since, now_ns: u64) -> Option<RunQueueWindow> {
    let words = &since.reading.ledger_words;
    let ledger = LedgerWindow::of_unchanged(words, since.ledger_ns, now_ns);
    let has_threads = ledger.threads > 0 && since.ledger_ns != now_ns;
    has_threads.then(|| RunQueueWindow {
        ledger,
        node_memory: since.reading.node_memory.clone(),
        ..RunQueueWindow::default()
    })
}

fn settle(window: &mut Window, since: &Since, now: &AgentReading, now_ns: u64) {
    if let Some(more) = agent_between(&since.reading, since.ledger_ns, now, now_ns) {
        window.add_to_agent(Arc::clone(&now.agent), more);
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::{
        ledger::{UNIT_NS, entry, state},
        slot::SlotLease,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::{
        identity::Kind,
        signal::{Agent, AgentSource, DEPARTED, RunQueueSignal},
    };

    const SECOND_NS: u64 = 1_000_000_000;

    fn sleeper(slot: u32, waits: u32) -> Arc<AgentReading> {
        let mut run_queue = RunQueueSignal::default();
        run_queue.wake_wait.0[40] = waits;
        let agent = Arc::new(Agent {
            id: SlotLease {
                slot,
                generation: 1,
            },
            name: format!("agent-{slot}").into(),
            group: "/".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/".into(),
        });
        let mut reading = AgentReading {
            run_queue: Arc::new(run_queue),
            ..AgentReading::nothing_of(agent)
        };
        reading.ledger_words[state::ASLEEP as usize] = entry(5 * UNIT_NS);
        Arc::new(reading)
    }

    fn reading(at_ns: u64, agents: Vec<Arc<AgentReading>>) -> Reading {
        Reading {
            at_ns,
            ledger_ns: at_ns,
            agents,
            ..Reading::default()
        }
    }

    #[test]
    fn who_sleeps_through_many_readings_has_slept_in_each_window_and_in_all() {
        let agent = sleeper(200, 1);
        let mut sum = WindowSum::new(reading(SECOND_NS, vec![Arc::clone(&agent)]));
        let mut slept_ns = 0;
        for second in 2..200 {
            sum.add(reading(second * SECOND_NS, vec![Arc::clone(&agent)]));
            if second % 70 == 0 || second == 199 {
                let window = sum.take();
                let (_, row) = &window.agents[&agent.agent.id];
                assert_eq!(row.ledger.spent_ns(state::ASLEEP), window.length_ns());
                slept_ns += row.ledger.total_ns();
            }
        }
        assert_eq!(slept_ns, 198 * SECOND_NS);
    }

    #[test]
    fn who_leaves_is_counted_up_to_its_last_reading() {
        let (stays, leaves) = (sleeper(200, 1), sleeper(201, 1));
        let both = || vec![Arc::clone(&stays), Arc::clone(&leaves)];
        let mut sum = WindowSum::new(reading(SECOND_NS, both()));
        sum.add(reading(3 * SECOND_NS, both()));
        sum.add(reading(4 * SECOND_NS, vec![Arc::clone(&stays)]));
        let window = sum.take();
        assert_eq!(
            window.agents[&leaves.agent.id].1.ledger.total_ns(),
            2 * SECOND_NS
        );
        assert_eq!(
            window.agents[&stays.agent.id].1.ledger.total_ns(),
            3 * SECOND_NS
        );
        sum.add(reading(5 * SECOND_NS, vec![stays]));
        assert_eq!(sum.take().agents.len(), 1);
    }

    #[test]
    fn agents_that_are_long_gone_are_added_up_in_a_long_sum() {
        let many = u32::try_from(MAX_AGENTS_APART).expect("it fits") + 10;
        let of = |slots: std::ops::Range<u32>| slots.map(|slot| sleeper(slot, 1)).collect();
        let mut sum = WindowSum::new(reading(SECOND_NS, Vec::new()));
        sum.add(reading(2 * SECOND_NS, of(0..many)));
        sum.add(reading(3 * SECOND_NS, of(0..5)));
        let window = sum.take();
        assert_eq!(window.agents.len(), 6);
        let departed = window.agents.values().find(|(it, _)| &*it.name == DEPARTED);
        let (_, departed) = departed.expect("there are some");
        assert_eq!(departed.wake_wait.total(), u64::from(many) - 5);
    }

    /// What happens between two readings: time passes, and some agents, by number, wait.
    fn steps() -> impl Strategy<Value = Vec<(u64, Vec<u32>)>> {
        let step = (1..90_u64, prop::collection::vec(0..5_u32, 0..4));
        prop::collection::vec(step, 1..12)
    }

    proptest! {
        #[test]
        fn a_sum_of_readings_is_the_window_from_the_first_to_the_last(steps in steps()) {
            let mut agents: Vec<_> = (0..5).map(|slot| sleeper(200 + slot, 0)).collect();
            let mut at_ns = SECOND_NS;
            let first = reading(at_ns, agents.clone());
            let mut sum = WindowSum::new(first.clone());
            let mut waits = 0;
            for (seconds, busy) in steps {
                at_ns += seconds * SECOND_NS;
                for number in busy {
                    waits += 1;
                    agents[number as usize] = sleeper(200 + number, waits);
                }
                sum.add(reading(at_ns, agents.clone()));
            }
            let last = sum.last().clone();
            prop_assert_eq!(sum.take(), Window::between(&first, &last));
        }
    }
}
