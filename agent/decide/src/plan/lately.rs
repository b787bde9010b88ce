//! What agents did lately: what a plan rests on.
//!
//! Means over all that was seen, in which time of [`HALF_LIFE_NS`] ago counts half: an agent has turns,
//! and a plan must not follow each of them. How much its demand varies is kept beside its mean, so that
//! the demand of many agents together can be told as an upper quantile: those of single agents don't add
//! up to that, since agents rarely have their turns at once.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::{placement::MAX_NODES, slot::SlotLease};

use crate::{
    bottleneck::{Around, Bottleneck, TimeParts},
    node_memory::NodeMemory,
    signal::Agent,
    wakes::{HALF_LIFE_NS, WakeGraph},
    window::{RunQueueWindow, Window},
};

/// What agents did lately.
#[derive(Clone, Debug, Default)]
pub struct Lately {
    at_ns: u64,
    seen_ns: u64,
    agents: BTreeMap<SlotLease, Recent>,
    wakes: WakeGraph,
}

/// What one agent did lately.
#[derive(Clone, Debug)]
pub struct Recent {
    /// Who it is.
    pub agent: Arc<Agent>,
    /// Threads at the end.
    pub threads: u64,
    /// Where its anonymous memory lay when it was last looked at, if it was.
    pub memory: Option<Arc<NodeMemory>>,
    /// The weight of all time that it was seen, from 0 to 1; sums below are weighted likewise.
    weight: f64,
    demand: f64,
    demand_squared: f64,
    on_node_ns: [f64; MAX_NODES],
    parts: TimeParts,
}

impl Lately {
    /// Takes in a window that follows those before it. Agents that are not in it any more are forgotten.
    pub fn follow(&mut self, window: &Window) {
        let length_ns = window.length_ns();
        if length_ns == 0 {
            return;
        }
        self.at_ns = window.to_ns;
        self.seen_ns = self.seen_ns.saturating_add(length_ns);
        self.wakes.append(&window.wakes, length_ns);
        let kept = (-(length_ns as f64) / HALF_LIFE_NS as f64).exp2();
        let around = Around::all(window);
        let mut before = std::mem::take(&mut self.agents);
        let followed = window.agents.iter().map(|(&id, (agent, now))| {
            let mut recent = before.remove(&id).unwrap_or_else(|| Recent::of(agent));
            recent.agent = Arc::clone(agent);
            recent.follow(now, length_ns, kept);
            let around = around.get(&id).copied().unwrap_or_default();
            let parts = TimeParts::of(now, around, length_ns);
            recent.parts.follow(&parts, kept);
            (id, recent)
        });
        self.agents = followed.collect();
    }

    /// An agent was told to run on some nodes alone: so it does from now on, wherever it ran before. A plan
    /// that waited for what is seen of that would take loads for what they were.
    pub fn place(&mut self, agent: SlotLease, nodes: &[u32]) {
        if let Some(recent) = self.agents.get_mut(&agent) {
            recent.place(nodes);
        }
    }

    /// The end of the last window, in ns of the monotonic clock.
    pub fn at_ns(&self) -> u64 {
        self.at_ns
    }

    /// How much time was seen, in ns.
    pub fn seen_ns(&self) -> u64 {
        self.seen_ns
    }

    /// The agents, by their slots.
    pub fn agents(&self) -> impl ExactSizeIterator<Item = &Recent> {
        self.agents.values()
    }

    /// Who woke whom.
    pub fn wakes(&self) -> &WakeGraph {
        &self.wakes
    }
}

impl Recent {
    fn of(agent: &Arc<Agent>) -> Self {
        Self {
            agent: Arc::clone(agent),
            threads: 0,
            memory: None,
            weight: 0.0,
            demand: 0.0,
            demand_squared: 0.0,
            on_node_ns: [0.0; MAX_NODES],
            parts: TimeParts::default(),
        }
    }

    fn follow(&mut self, window: &RunQueueWindow, length_ns: u64, kept: f64) {
        self.threads = window.ledger.threads;
        if let Some(memory) = &window.node_memory {
            self.memory = Some(Arc::clone(memory));
        }
        // Who lost the CPU would have gone on; who was woken may have wanted it for a moment only.
        let wanted_ns = window.on_cpu_ns().saturating_add(window.preempt_wait_ns());
        let demand = wanted_ns as f64 / length_ns as f64;
        let taken_in = |sum: f64, now: f64| sum * kept + now * (1.0 - kept);
        self.weight = taken_in(self.weight, 1.0);
        self.demand = taken_in(self.demand, demand);
        self.demand_squared = taken_in(self.demand_squared, demand * demand);
        let on_node_ns = window.placement().on_cpu_ns;
        for (sum, now_ns) in self.on_node_ns.iter_mut().zip(on_node_ns) {
            *sum = *sum * kept + now_ns as f64;
        }
    }

    fn place(&mut self, nodes: &[u32]) {
        let all: f64 = self.on_node_ns.iter().sum();
        self.on_node_ns = [0.0; MAX_NODES];
        for &node in nodes {
            if let Some(ns) = self.on_node_ns.get_mut(node as usize) {
                *ns = all / nodes.len() as f64;
            }
        }
    }

    /// CPUs that it keeps busy, or would if they were not taken from it, on average.
    pub fn demand(&self) -> f64 {
        self.whole(self.demand)
    }

    /// The variance of that from window to window, in squared CPUs.
    pub fn demand_variance(&self) -> f64 {
        let mean = self.demand();
        (self.whole(self.demand_squared) - mean * mean).max(0.0)
    }

    fn whole(&self, sum: f64) -> f64 {
        if self.weight > 0.0 {
            sum / self.weight
        } else {
            0.0
        }
    }

    /// The part of its time that it ran on each node; `None` if it did not run.
    pub fn run(&self) -> Option<[f64; MAX_NODES]> {
        let all: f64 = self.on_node_ns.iter().sum();
        (all > 0.0).then(|| self.on_node_ns.map(|ns| ns / all))
    }

    /// What held it up most; `None` if it had nothing to do.
    pub fn bottleneck(&self) -> Option<Bottleneck> {
        self.parts.bottleneck(0.0)
    }

    /// Anonymous memory by node, in bytes; `None` if it was not looked at.
    pub fn anonymous_bytes(&self) -> Option<&[u64; MAX_NODES]> {
        self.memory.as_deref().map(|memory| &memory.bytes.anon)
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::ledger::state;
    use proptest::prelude::*;

    use super::*;
    use crate::{identity::Kind, placement::Placement, signal::AgentSource};

    const SECOND_NS: u64 = 1_000_000_000;

    fn window(number: u64, busy_ns: &[(u32, u64)]) -> Window {
        let agents = busy_ns.iter().map(|&(slot, ns)| {
            let id = SlotLease {
                slot,
                generation: 1,
            };
            let agent = Agent {
                id,
                name: format!("agent-{slot}").into(),
                group: "/".into(),
                kind: Kind::Agent,
                source: AgentSource::Cgroup,
                place: "/".into(),
            };
            let mut window = RunQueueWindow::default();
            window.ledger.ns[state::ON_CPU as usize] = ns.cast_signed();
            window.ledger.threads = 1;
            let mut placement = Placement::default();
            placement.on_cpu_ns[usize::from(number % 2 == 1)] = ns;
            window.placement = Some(Box::new(placement));
            (id, (Arc::new(agent), window))
        });
        Window {
            from_ns: number * SECOND_NS,
            to_ns: (number + 1) * SECOND_NS,
            agents: agents.collect(),
            ..Window::default()
        }
    }

    fn of_slot(lately: &Lately, slot: u32) -> &Recent {
        let mut agents = lately.agents();
        let found = agents.find(|recent| recent.agent.id.slot == slot);
        found.expect("it is there")
    }

    #[test]
    fn turns_that_come_and_go_are_a_mean_with_a_variance() {
        let mut lately = Lately::default();
        for number in 0..600 {
            let busy_ns = if number % 4 == 0 { SECOND_NS } else { 0 };
            lately.follow(&window(number, &[(70, busy_ns)]));
        }
        let recent = of_slot(&lately, 70);
        assert!((recent.demand() - 0.25).abs() < 0.02, "{}", recent.demand());
        // Of one CPU for a quarter of the time: ¼ · ¾.
        let variance = recent.demand_variance();
        assert!((variance - 0.1875).abs() < 0.01, "{variance}");
    }

    #[test]
    fn an_agent_that_is_new_is_judged_by_the_time_since_it_came() {
        let mut lately = Lately::default();
        for number in 0..10 {
            lately.follow(&window(number, &[(70, 0)]));
        }
        lately.follow(&window(10, &[(70, 0), (71, SECOND_NS / 2)]));
        assert!((of_slot(&lately, 71).demand() - 0.5).abs() < 1e-9);
        let run = of_slot(&lately, 71).run().expect("it ran");
        assert!((run[0] - 1.0).abs() < 1e-9);
        assert_eq!(of_slot(&lately, 70).run(), None);
    }

    #[test]
    fn an_agent_that_was_placed_runs_there_whatever_was_seen_before() {
        let mut lately = Lately::default();
        for number in 0..20 {
            lately.follow(&window(number, &[(70, SECOND_NS / 2)]));
        }
        let id = of_slot(&lately, 70).agent.id;
        let demand = of_slot(&lately, 70).demand();
        lately.place(id, &[3]);
        let run = of_slot(&lately, 70).run().expect("it ran");
        assert!((run[3] - 1.0).abs() < 1e-9, "{run:?}");
        assert!((of_slot(&lately, 70).demand() - demand).abs() < 1e-9);
        lately.place(id, &[0, 1]);
        let run = of_slot(&lately, 70).run().expect("it ran");
        assert!((run[0] - 0.5).abs() < 1e-9, "{run:?}");
    }

    #[test]
    fn an_agent_that_is_gone_is_forgotten() {
        let mut lately = Lately::default();
        lately.follow(&window(0, &[(70, 1), (71, 1)]));
        lately.follow(&window(1, &[(71, 1)]));
        assert_eq!(lately.agents().len(), 1);
        assert_eq!(lately.seen_ns(), 2 * SECOND_NS);
    }

    proptest! {
        #[test]
        fn a_steady_demand_is_its_mean_without_variance(
            percent in 1_u64..400,
            windows in 1_u64..50,
        ) {
            let mut lately = Lately::default();
            for number in 0..windows {
                lately.follow(&window(number, &[(70, percent * SECOND_NS / 100)]));
            }
            let recent = of_slot(&lately, 70);
            let expected = percent as f64 / 100.0;
            prop_assert!((recent.demand() - expected).abs() < 1e-9 * expected);
            prop_assert!(recent.demand_variance() < 1e-9 * expected * expected);
            let run: f64 = recent.run().expect("it ran").iter().sum();
            prop_assert!((run - 1.0).abs() < 1e-9);
        }
    }
}
