//! A host that is made up: agents that share a server of tools, on nodes of 32 CPUs.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use hostler_common::{ledger::state, placement::MAX_NODES, slot::SlotLease, wake::WakeKey};
use hostler_decide::{
    identity::Kind,
    node_memory::{NodeBytes, NodeMemory},
    placement::Placement,
    plan::{Action, Plan},
    signal::{Agent, AgentSource},
    topology::{CpuPlace, Node, Topology},
    wakes::WakeSignal,
    window::{RunQueueWindow, Window},
};

/// CPUs of a node, and of a cache.
const NODE_CPUS: u32 = 32;
const CACHE_CPUS: u32 = 8;

/// So many agents share a server.
const A_SERVER: u32 = 36;

const SECOND_NS: u64 = 1_000_000_000;

pub(super) struct Host {
    pub(super) topology: Topology,
    chance: fastrand::Rng,
    agents: Vec<MadeUp>,
}

/// An agent that is made up.
struct MadeUp {
    agent: Arc<Agent>,
    threads: u64,
    /// CPUs that it needs on average while it has a turn, and how often it has one.
    needs: f64,
    turns: f64,
    /// Where it runs and where its memory lies, in parts by node.
    run: [f64; MAX_NODES],
    memory: NodeBytes,
    /// How often a second it wakes its server, and its own threads.
    wakes: u64,
}

impl Host {
    pub(super) fn new(agents: u32, threads: u64, nodes: u32, seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let agents = (0..agents)
            .map(|number| MadeUp::new(number, threads, nodes as usize, &mut chance))
            .collect();
        Self {
            topology: topology(nodes),
            chance,
            agents,
        }
    }

    /// What happens in a second.
    pub(super) fn window(&mut self, number: u64) -> Window {
        let mut window = Window {
            from_ns: number * SECOND_NS,
            to_ns: (number + 1) * SECOND_NS,
            ..Window::default()
        };
        for index in 0..self.agents.len() {
            let server = self.agents[index - index % A_SERVER as usize].agent.id;
            let it = &self.agents[index];
            let id = it.agent.id;
            let has_turn = self.chance.f64() < it.turns;
            if has_turn {
                window.wakes.extend(it.woken(server));
            }
            let row = it.window(if has_turn { it.needs } else { 0.0 });
            window.agents.insert(id, (Arc::clone(&it.agent), row));
        }
        window
    }

    /// Does what a plan says.
    pub(super) fn carry_out(&mut self, plan: &Plan) {
        let slots: BTreeMap<SlotLease, usize> = (self.agents.iter().enumerate())
            .map(|(index, it)| (it.agent.id, index))
            .collect();
        for step in &plan.steps {
            let Action::Place { nodes, .. } = &step.action;
            let it = &mut self.agents[slots[&step.agent.id]];
            it.run = [0.0; MAX_NODES];
            for &node in nodes {
                it.run[node as usize] = 1.0 / nodes.len() as f64;
            }
            if let [node] = nodes[..] {
                let all = it.memory.anon_total();
                it.memory.anon = [0; MAX_NODES];
                it.memory.anon[node as usize] = all;
            }
        }
    }
}

impl MadeUp {
    fn new(number: u32, threads: u64, nodes: usize, chance: &mut fastrand::Rng) -> Self {
        let slot = 64 + number;
        let is_server = number.is_multiple_of(A_SERVER);
        let (needs, turns) = match chance.u32(..100) {
            _ if is_server => (0.1 + 0.5 * chance.f64(), 1.0),
            0..80 => (0.3 * chance.f64(), 0.05),
            80..98 => (0.2 * chance.f64(), 0.5),
            _ => (chance.f64(), 0.8),
        };
        let agent = Agent {
            id: SlotLease {
                slot,
                generation: 1,
            },
            name: format!("fleet/agent-{number:04}").into(),
            group: format!("group-{}", number / A_SERVER).into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/fleet".into(),
        };
        let mut memory = NodeBytes::default();
        for bytes in memory.anon.iter_mut().take(nodes) {
            *bytes = chance.u64(..8 << 20);
        }
        Self {
            agent: Arc::new(agent),
            threads,
            needs,
            turns,
            run: scattered(nodes, chance),
            memory,
            wakes: chance.u64(1..400),
        }
    }

    fn window(&self, needs: f64) -> RunQueueWindow {
        let busy = Duration::from_secs_f64(needs);
        let mut window = RunQueueWindow::default();
        window.ledger.ns[state::ON_CPU as usize] = whole_ns(busy).cast_signed();
        window.ledger.threads = self.threads;
        let placement = Placement {
            on_cpu_ns: self.run.map(|part| whole_ns(busy.mul_f64(part))),
            ..Placement::default()
        };
        window.placement = Some(Box::new(placement));
        window.node_memory = Some(Arc::new(NodeMemory {
            at_ns: 0,
            bytes: self.memory,
        }));
        window
    }

    /// Who wakes whom while it has its turn: it and its server each other, and its threads each other.
    fn woken(&self, server: SlotLease) -> [(WakeKey, WakeSignal); 3] {
        let own = self.agent.id;
        let edge = |woken: SlotLease, waker: SlotLease| {
            let key = WakeKey {
                woken,
                waker: waker.slot,
                reserved: 0,
            };
            let wakes = WakeSignal {
                wakes: self.wakes,
                node_wakes: self.wakes / 2,
            };
            (key, wakes)
        };
        [edge(own, server), edge(server, own), edge(own, own)]
    }
}

fn whole_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("it is some seconds")
}

/// Anywhere, most of it on some nodes.
fn scattered(nodes: usize, chance: &mut fastrand::Rng) -> [f64; MAX_NODES] {
    let mut run = [0.0; MAX_NODES];
    for part in run.iter_mut().take(nodes) {
        *part = chance.f64() * chance.f64();
    }
    let all: f64 = run.iter().sum();
    run.map(|part| part / all)
}

/// Nodes in a ring, the further from each other the more of them are between.
fn topology(nodes: u32) -> Topology {
    let place = |cpu: u32| CpuPlace {
        package: cpu / NODE_CPUS,
        l3: Some(cpu / CACHE_CPUS),
        core: cpu,
        node: cpu / NODE_CPUS,
    };
    let distance = |from: u32, to: u32| {
        let apart = from.abs_diff(to);
        10 + 6 * u64::from(apart.min(nodes - apart))
    };
    let node = |from: u32| Node {
        memory_bytes: 256 << 30,
        distances: (0..nodes).map(|to| (to, distance(from, to))).collect(),
    };
    Topology {
        cpus: (0..nodes * NODE_CPUS)
            .map(|cpu| (cpu, place(cpu)))
            .collect(),
        nodes: (0..nodes).map(|number| (number, node(number))).collect(),
        l3_bytes: vec![32 << 20; (nodes * NODE_CPUS / CACHE_CPUS) as usize],
    }
}
