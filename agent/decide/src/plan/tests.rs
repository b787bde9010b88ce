//! What becomes of a host whose plans are carried out a few steps at a time.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::{ledger::state, slot::SlotLease, wake::WakeKey};

use super::{
    conduct::{Conduct, Pace},
    *,
};
use crate::{
    identity::Kind,
    node_memory::NodeMemory,
    placement::Placement,
    signal::{Agent, AgentSource},
    topology::{CpuPlace, Node},
    wakes::WakeSignal,
    window::{RunQueueWindow, Window},
};

const SECOND_NS: u64 = 1_000_000_000;

/// What each agent needs of a CPU on average, in ns a second; half as much at least, and half as much again.
const DEMAND_NS: u64 = 160_000_000;

/// Nodes of two CPUs.
fn topology(nodes: u32) -> Topology {
    let place = |cpu: u32| CpuPlace {
        package: cpu / 2,
        l3: Some(cpu / 2),
        core: cpu,
        node: cpu / 2,
    };
    let node = |from: u32| Node {
        memory_bytes: 1 << 30,
        distances: (0..nodes)
            .map(|to| (to, if to == from { 10 } else { 20 }))
            .collect(),
    };
    Topology {
        cpus: (0..2 * nodes).map(|cpu| (cpu, place(cpu))).collect(),
        nodes: (0..nodes).map(|number| (number, node(number))).collect(),
        l3_bytes: vec![32 << 20; nodes as usize],
    }
}

/// A fleet that begins as badly as can be: each agent's two threads on two nodes, its memory
/// anywhere.
struct Site {
    nodes: u32,
    /// By slot, where an agent runs and where its memory lies.
    agents: BTreeMap<u32, (Vec<u32>, u32)>,
    second: u64,
}

impl Site {
    fn new(nodes: u32, agents: u32) -> Self {
        let agent = |slot: u32| {
            let run = vec![slot % nodes, (slot + 1) % nodes];
            // More of it on the first node than on others.
            let memory = if slot.is_multiple_of(2) {
                0
            } else {
                slot % nodes
            };
            (200 + slot, (run, memory))
        };
        Self {
            nodes,
            agents: (0..agents).map(agent).collect(),
            second: 0,
        }
    }

    /// Whoever may run anywhere is taken elsewhere by the kernel from time to time.
    fn drift(&mut self) {
        for (slot, (run, _)) in &mut self.agents {
            if run.len() > 1 && (self.second + u64::from(*slot)).is_multiple_of(7) {
                run.rotate_left(1);
                run[1] = (run[1] + 1 + slot % 3) % self.nodes;
                if run[0] == run[1] {
                    run[1] = (run[0] + 1) % self.nodes;
                }
            }
        }
    }

    fn pass_a_second(&mut self) -> Window {
        self.drift();
        let from_ns = self.second * SECOND_NS;
        self.second += 1;
        let mut window = Window {
            from_ns,
            to_ns: from_ns + SECOND_NS,
            ..Window::default()
        };
        for (&slot, (run, memory)) in &self.agents {
            let id = SlotLease {
                slot,
                generation: 1,
            };
            let agent = Agent {
                id,
                name: format!("agent-{slot}").into(),
                group: "fleet".into(),
                kind: Kind::Agent,
                source: AgentSource::Cgroup,
                place: format!("/agent-{slot}").into(),
            };
            let mut row = RunQueueWindow {
                voluntary_switches: 20,
                ..RunQueueWindow::default()
            };
            row.ledger.threads = 3;
            let chance = (u64::from(slot) * 7919 + self.second * 104_729) % 101;
            let ns = DEMAND_NS * (50 + chance) / 100;
            row.ledger.ns[state::ON_CPU as usize] = ns.cast_signed();
            let mut placement = Placement::default();
            for &node in run {
                placement.on_cpu_ns[node as usize] = ns / run.len() as u64;
            }
            row.placement = Some(Box::new(placement));
            let mut lies = NodeMemory {
                at_ns: from_ns,
                ..NodeMemory::default()
            };
            lies.bytes.anon[*memory as usize] = 2 << 20;
            row.node_memory = Some(Arc::new(lies));
            window.agents.insert(id, (Arc::new(agent), row));
            let edge = WakeKey {
                woken: id,
                waker: slot,
                reserved: 0,
            };
            let wakes = WakeSignal {
                wakes: 20,
                node_wakes: if run.len() > 1 { 10 } else { 0 },
            };
            window.wakes.insert(edge, wakes);
        }
        window
    }

    fn place(&mut self, step: &Step) {
        let agent = self.agents.get_mut(&step.agent.id.slot);
        *agent.expect("it is there") = (step.nodes().to_vec(), step.nodes()[0]);
    }

    /// Demand by node.
    fn loads_ns(&self) -> Vec<u64> {
        let mut loads = vec![0; self.nodes as usize];
        for (run, _) in self.agents.values() {
            for &node in run {
                loads[node as usize] += DEMAND_NS / run.len() as u64;
            }
        }
        loads
    }
}

/// Until all agents run on one node each, which they do within ten minutes.
fn carried_out(nodes: u32, agents: u32) -> Site {
    let topology = topology(nodes);
    let mut site = Site::new(nodes, agents);
    let (mut lately, mut conduct) = (Lately::default(), Conduct::new(Pace::default()));
    for second in 1..=600 {
        let window = site.pass_a_second();
        lately.follow(&window);
        for outcome in conduct.follow(&window) {
            assert!(!outcome.is_to_be_taken_back(), "{outcome:?}");
        }
        if second % 10 == 0 {
            let policy = Policy {
                resting: conduct.resting(lately.at_ns()),
                ..Policy::default()
            };
            for step in conduct.choose(&plan(&lately, &topology, &policy)) {
                lately.place(step.agent.id, step.nodes());
                site.place(&step);
            }
        }
        if site.agents.values().all(|(run, _)| run.len() == 1) {
            break;
        }
    }
    site
}

#[test]
fn a_fleet_that_begins_spread_and_remote_ends_together_and_even() {
    for (nodes, agents) in [(2, 8), (4, 8), (4, 24), (8, 64)] {
        let site = carried_out(nodes, agents);
        for (run, memory) in site.agents.values() {
            assert_eq!(run[..], [*memory], "{nodes} nodes, {agents} agents");
        }
        let loads = site.loads_ns();
        let (least, most) = (loads.iter().min(), loads.iter().max());
        let (least, most) = (*least.expect("nodes"), *most.expect("nodes"));
        assert!(most as f64 <= 1.17 * least as f64, "{loads:?}");
    }
}
