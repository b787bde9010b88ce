//! Windows: what happened between two readings, and sums of windows.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::slot::SlotLease;

use crate::{
    durations::Durations,
    signal::{Agent, LossSignal, Reading, RunQueueSignal},
};

/// Waits for a CPU, stretches on it and switches during a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQueueWindow {
    /// Time spent waiting for a CPU after a wake-up, in ns.
    pub wake_wait_ns: u64,
    /// Time spent waiting for a CPU after a preemption or a yield, in ns.
    pub preempt_wait_ns: u64,
    /// Stretches on a CPU that ended in the window, in ns.
    pub on_cpu_ns: u64,
    /// Switches by which a thread gave the CPU up.
    pub voluntary_switches: u64,
    /// Switches by which a thread lost the CPU.
    pub involuntary_switches: u64,
    /// Waits after a wake-up.
    pub wake_wait: Durations,
    /// Waits after a preemption or a yield.
    pub preempt_wait: Durations,
    /// Stretches on a CPU.
    pub on_cpu: Durations,
}

impl RunQueueWindow {
    fn between(earlier: &RunQueueSignal, later: &RunQueueSignal) -> Self {
        Self {
            wake_wait_ns: later.wake_wait_ns.wrapping_sub(earlier.wake_wait_ns),
            preempt_wait_ns: later.preempt_wait_ns.wrapping_sub(earlier.preempt_wait_ns),
            on_cpu_ns: later.on_cpu_ns.wrapping_sub(earlier.on_cpu_ns),
            voluntary_switches: later
                .voluntary_switches
                .wrapping_sub(earlier.voluntary_switches),
            involuntary_switches: later
                .involuntary_switches
                .wrapping_sub(earlier.involuntary_switches),
            wake_wait: later.wake_wait.since(&earlier.wake_wait),
            preempt_wait: later.preempt_wait.since(&earlier.preempt_wait),
            on_cpu: later.on_cpu.since(&earlier.on_cpu),
        }
    }

    /// Adds what happened in another window.
    pub fn add(&mut self, other: &Self) {
        self.wake_wait_ns += other.wake_wait_ns;
        self.preempt_wait_ns += other.preempt_wait_ns;
        self.on_cpu_ns += other.on_cpu_ns;
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
        self.wake_wait.add(&other.wake_wait);
        self.preempt_wait.add(&other.preempt_wait);
        self.on_cpu.add(&other.on_cpu);
    }

    /// Waits of both kinds.
    pub fn waits(&self) -> Durations {
        let mut waits = self.wake_wait.clone();
        waits.add(&self.preempt_wait);
        waits
    }

    /// Time spent waiting for a CPU, in ns.
    pub fn wait_ns(&self) -> u64 {
        self.wake_wait_ns + self.preempt_wait_ns
    }

    /// Whether nothing happened.
    pub fn is_idle(&self) -> bool {
        self.voluntary_switches == 0
            && self.involuntary_switches == 0
            && self.wake_wait.is_empty()
            && self.preempt_wait.is_empty()
    }
}

/// What happened between two readings. Agents and CPUs to which nothing happened are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// When it began, in ns of the monotonic clock.
    pub from_ns: u64,
    /// When it ended, in ns of the monotonic clock.
    pub to_ns: u64,
    /// What happened to each agent.
    pub agents: BTreeMap<SlotLease, (Agent, RunQueueWindow)>,
    /// What happened on each CPU, by its number.
    pub cpus: BTreeMap<u32, RunQueueWindow>,
    /// What was lost.
    pub losses: LossSignal,
}

impl Window {
    /// What happened between two readings of one source. Who is new in the later one began at
    /// zero; who is missing from it was quiet before it went.
    pub fn between(earlier: &Reading, later: &Reading) -> Self {
        let nothing = Arc::new(RunQueueSignal::default());
        let before: BTreeMap<SlotLease, &Arc<RunQueueSignal>> = earlier
            .agents
            .iter()
            .map(|(agent, signal)| (agent.id, signal))
            .collect();
        let cpus_before: BTreeMap<u32, &Arc<RunQueueSignal>> = earlier
            .cpus
            .iter()
            .map(|(cpu, signal)| (*cpu, signal))
            .collect();
        let change = |before: Option<&&Arc<RunQueueSignal>>, now: &Arc<RunQueueSignal>| {
            let before = before.copied().unwrap_or(&nothing);
            if Arc::ptr_eq(before, now) {
                return None;
            }
            Some(RunQueueWindow::between(before, now)).filter(|window| !window.is_idle())
        };
        Self {
            from_ns: earlier.at_ns,
            to_ns: later.at_ns,
            agents: later
                .agents
                .iter()
                .filter_map(|(agent, signal)| {
                    let window = change(before.get(&agent.id), signal)?;
                    Some((agent.id, (agent.clone(), window)))
                })
                .collect(),
            cpus: later
                .cpus
                .iter()
                .filter_map(|(cpu, signal)| Some((*cpu, change(cpus_before.get(cpu), signal)?)))
                .collect(),
            losses: later.losses.since(&earlier.losses),
        }
    }

    /// Appends the window that follows this one. An agent's newest name is kept.
    pub fn append(&mut self, next: Self) {
        if self.to_ns == 0 {
            self.from_ns = next.from_ns;
        }
        self.to_ns = next.to_ns;
        for (id, (agent, window)) in next.agents {
            let sum = self
                .agents
                .entry(id)
                .or_insert_with(|| (agent.clone(), RunQueueWindow::default()));
            sum.0 = agent;
            sum.1.add(&window);
        }
        for (cpu, window) in next.cpus {
            self.cpus.entry(cpu).or_default().add(&window);
        }
        self.losses.add(&next.losses);
    }

    /// How long it was, in ns.
    pub fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::AgentKind;

    fn agent(slot: u32, generation: u32) -> Agent {
        let id = SlotLease { slot, generation };
        Agent {
            id,
            name: format!("agent-{slot}-{generation}").into(),
            kind: AgentKind::Cgroup,
        }
    }

    fn signal(wake_wait_ns: u64, waits: u32) -> Arc<RunQueueSignal> {
        let mut signal = RunQueueSignal {
            wake_wait_ns,
            voluntary_switches: waits.into(),
            ..Default::default()
        };
        signal.wake_wait.0[40] = waits;
        Arc::new(signal)
    }

    fn reading(at_ns: u64, agents: Vec<(Agent, Arc<RunQueueSignal>)>) -> Reading {
        Reading {
            at_ns,
            agents,
            ..Default::default()
        }
    }

    #[test]
    fn a_window_holds_the_difference_of_its_readings() {
        let earlier = reading(10, vec![(agent(200, 1), signal(1_000, 2))]);
        let later = reading(30, vec![(agent(200, 1), signal(1_500, 5))]);
        let window = Window::between(&earlier, &later);
        assert_eq!(window.length_ns(), 20);
        let (_, change) = &window.agents[&agent(200, 1).id];
        assert_eq!(change.wake_wait_ns, 500);
        assert_eq!(change.wake_wait.total(), 3);
    }

    #[test]
    fn an_agent_that_is_new_began_at_zero_even_in_a_slot_used_before() {
        let earlier = reading(10, vec![(agent(200, 1), signal(9_000, 9))]);
        let later = reading(20, vec![(agent(200, 2), signal(70, 1))]);
        let window = Window::between(&earlier, &later);
        assert_eq!(window.agents.len(), 1);
        assert_eq!(window.agents[&agent(200, 2).id].1.wake_wait_ns, 70);
    }

    #[test]
    fn agents_to_which_nothing_happened_are_left_out() {
        let same = signal(5, 1);
        let earlier = reading(1, vec![(agent(200, 1), Arc::clone(&same))]);
        let later = reading(
            2,
            vec![(agent(200, 1), same), (agent(201, 1), signal(0, 0))],
        );
        assert!(Window::between(&earlier, &later).agents.is_empty());
    }

    #[test]
    fn windows_that_follow_each_other_add_up_to_the_window_over_both() {
        let first = reading(1, vec![(agent(200, 1), signal(5, 1))]);
        let second = reading(
            2,
            vec![(agent(200, 1), signal(9, 2)), (agent(201, 1), signal(3, 1))],
        );
        let third = reading(
            3,
            vec![
                (agent(200, 1), signal(20, 6)),
                (agent(201, 1), signal(4, 2)),
            ],
        );
        let mut sum = Window::between(&first, &second);
        sum.append(Window::between(&second, &third));
        assert_eq!(sum, Window::between(&first, &third));
    }
}
