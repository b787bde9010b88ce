//! Windows: what happened between two readings, and sums of windows.

mod ledger;
#[cfg(test)]
mod properties;
mod run_queue;
mod sum;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use hostler_common::{
    pair::PairKey,
    peer::PeerKey,
    slot::{OTHER, SlotLease},
    wake::WakeKey,
};

pub use self::{ledger::LedgerWindow, run_queue::RunQueueWindow, sum::WindowSum};
use crate::{
    block_io::BlockIoWindow,
    faults::{FaultLatencyWindow, FaultWindow},
    host::HostWindow,
    identity::Kind,
    peers::{PeerWindow, append_peers, peers_between},
    placement::Placement,
    polled::PolledWindow,
    signal::{
        Agent, AgentReading, AgentSource, CpuReading, DEPARTED, LedgerSignal, LossSignal,
        PairSignal, Reading,
    },
    wakes::{WakeSignal, append_wakes, wakes_between},
};

/// What happened between two readings. Who had no threads and did nothing is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// When it began, in ns of the monotonic clock.
    pub from_ns: u64,
    /// When it ended, in ns of the monotonic clock.
    pub to_ns: u64,
    /// What happened to each agent.
    pub agents: BTreeMap<SlotLease, (Arc<Agent>, RunQueueWindow)>,
    /// What happened on each CPU, by its number.
    pub cpus: BTreeMap<u32, RunQueueWindow>,
    /// Long waits, by who waited and who made it wait.
    pub pairs: BTreeMap<PairKey, PairSignal>,
    /// Wake-ups, by who was woken and who woke.
    pub wakes: BTreeMap<WakeKey, WakeSignal>,
    /// What agents and those that they talk to had to do with each other.
    pub peers: BTreeMap<PeerKey, PeerWindow>,
    /// What happened to the host as a whole; `None` unless asked for.
    pub host: Option<HostWindow>,
    /// What was lost.
    pub losses: LossSignal,
}

impl Window {
    /// What happened between two readings of one source. Who is new in the later one began at
    /// zero; who is missing from it was quiet before it went.
    pub fn between(earlier: &Reading, later: &Reading) -> Self {
        Self {
            agents: agents_between(earlier, later),
            ..Self::of_all_but_agents(earlier, later)
        }
    }

    fn of_all_but_agents(earlier: &Reading, later: &Reading) -> Self {
        Self {
            from_ns: earlier.at_ns,
            to_ns: later.at_ns,
            agents: BTreeMap::new(),
            cpus: cpus_between(earlier, later),
            pairs: pairs_between(earlier, later),
            wakes: wakes_between(&earlier.wakes, &later.wakes),
            peers: peers_between(&earlier.peers, &later.peers),
            host: HostWindow::between(earlier.host.as_ref(), later.host.as_ref()),
            losses: later.losses.since(&earlier.losses),
        }
    }

    /// Appends the window that follows this one. An agent's newest name is kept.
    pub fn append(&mut self, next: Self) {
        if self.to_ns == 0 {
            self.from_ns = next.from_ns;
        }
        self.to_ns = next.to_ns;
        for (agent, window) in next.agents.into_values() {
            self.add_to_agent(agent, window);
        }
        for (cpu, window) in next.cpus {
            self.cpus.entry(cpu).or_default().add(&window);
        }
        for (pair, more) in next.pairs {
            let sum = self.pairs.entry(pair).or_default();
            sum.waits = sum.waits.wrapping_add(more.waits);
            sum.wait_ns = sum.wait_ns.wrapping_add(more.wait_ns);
        }
        let left_out = append_wakes(&mut self.wakes, next.wakes);
        let lost = &mut self.losses.wakes_not_counted;
        *lost = lost.wrapping_add(left_out);
        match (&mut self.host, next.host) {
            (Some(sum), Some(more)) => sum.append(more),
            (none, more) => *none = more.or(none.take()),
        }
        self.losses.add(&next.losses);
        let left_out = append_peers(&mut self.peers, next.peers);
        let lost = &mut self.losses.peers_not_counted;
        *lost = lost.wrapping_add(left_out);
    }

    fn add_to_agent(&mut self, agent: Arc<Agent>, window: RunQueueWindow) {
        match self.agents.entry(agent.id) {
            Entry::Vacant(place) => {
                place.insert((agent, window));
            }
            Entry::Occupied(mut sum) => {
                let (named, sum) = sum.get_mut();
                *named = agent;
                sum.add(&window);
            }
        }
    }

    /// Adds up the agents that are gone, so that a long sum of windows does not grow with every
    /// agent that ever was.
    fn fold_departed(&mut self, is_there: impl Fn(&SlotLease) -> bool) {
        let (kept, departed): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.agents)
            .into_iter()
            .partition(|(id, _)| is_there(id));
        self.agents = kept;
        let id = SlotLease {
            slot: OTHER,
            generation: u32::MAX,
        };
        let agent = Arc::new(Agent {
            id,
            name: DEPARTED.into(),
            group: DEPARTED.into(),
            kind: Kind::System,
            source: AgentSource::Other,
            place: DEPARTED.into(),
        });
        let sum = self
            .agents
            .entry(id)
            .or_insert((agent, RunQueueWindow::default()));
        for (_, window) in departed.into_values() {
            sum.1.add(&window);
        }
    }

    /// How long it was, in ns.
    pub fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }

    /// The name of whoever had a lease, also if the slot is another's by now: as it was in this
    /// window, or as `name_of` names the slot.
    pub fn name_of<'a>(
        &self,
        lease: SlotLease,
        name_of: &impl Fn(u32) -> Option<&'a str>,
    ) -> String {
        match self.agents.get(&lease) {
            Some((agent, _)) => agent.name.to_string(),
            None => name_of(lease.slot).unwrap_or(DEPARTED).to_owned(),
        }
    }
}

/// Both readings are ordered by id.
fn agents_between(
    earlier: &Reading,
    later: &Reading,
) -> BTreeMap<SlotLease, (Arc<Agent>, RunQueueWindow)> {
    let mut before = earlier.agents.iter().peekable();
    let windows = later.agents.iter().filter_map(|now| {
        let id = now.agent.id;
        while before.next_if(|earlier| earlier.agent.id < id).is_some() {}
        let was = before
            .next_if(|earlier| earlier.agent.id == id)
            .map_or_else(
                || Arc::new(AgentReading::nothing_of(Arc::clone(&now.agent))),
                Arc::clone,
            );
        let since = agent_between(&was, earlier.ledger_ns, now, later.ledger_ns);
        since.map(|window| (id, (Arc::clone(&now.agent), window)))
    });
    windows.collect()
}

/// What an agent did between two readings, each with its instant by the ledger's clock; `None` if it
/// had no threads and did nothing.
fn agent_between(
    before: &AgentReading,
    before_ns: u64,
    now: &AgentReading,
    now_ns: u64,
) -> Option<RunQueueWindow> {
    let ledger = LedgerWindow::between(
        &LedgerSignal::new(&before.ledger_words, before_ns),
        &LedgerSignal::new(&now.ledger_words, now_ns),
    );
    let mut window = RunQueueWindow::between(ledger, &before.run_queue, &now.run_queue);
    window.block_io = BlockIoWindow::between(&before.block_io, &now.block_io);
    window.faults = FaultWindow::between(&before.faults, &now.faults);
    window.fault_latency =
        FaultLatencyWindow::between(before.fault_latency.as_ref(), now.fault_latency.as_ref());
    let polled = PolledWindow::between(before.polled.as_ref(), now.polled.as_ref());
    window.polled = (polled.length_ns > 0).then(|| Box::new(polled));
    window.placement = placement_between(before, now);
    window.node_memory.clone_from(&now.node_memory);
    window.oom_kills = now.oom_kills.wrapping_sub(before.oom_kills);
    let is_there = ledger.threads > 0 || ledger.total_ns() > 0 || !window.is_idle();
    is_there.then_some(window)
}

fn placement_between(before: &AgentReading, now: &AgentReading) -> Option<Box<Placement>> {
    let before = before.placement.as_deref().copied().unwrap_or_default();
    let since = now.placement.as_deref()?.since(&before);
    (since != Placement::default()).then(|| Box::new(since))
}

fn cpus_between(earlier: &Reading, later: &Reading) -> BTreeMap<u32, RunQueueWindow> {
    let before: BTreeMap<u32, &CpuReading> = earlier
        .cpus
        .iter()
        .map(|reading| (reading.cpu, reading))
        .collect();
    later
        .cpus
        .iter()
        .map(|reading| {
            let window = RunQueueWindow::of_cpu(before.get(&reading.cpu).copied(), reading);
            (reading.cpu, window)
        })
        .filter(|(_, window)| !window.is_idle())
        .collect()
}

fn pairs_between(earlier: &Reading, later: &Reading) -> BTreeMap<PairKey, PairSignal> {
    later
        .pairs
        .iter()
        .map(|(&pair, now)| {
            let before = earlier.pairs.get(&pair).copied().unwrap_or_default();
            let change = PairSignal {
                waits: now.waits.wrapping_sub(before.waits),
                wait_ns: now.wait_ns.wrapping_sub(before.wait_ns),
            };
            (pair, change)
        })
        .filter(|(_, change)| change.waits > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use hostler_common::ledger::{STATES, UNIT_NS, entry, state};

    use super::*;
    use crate::signal::RunQueueSignal;

    fn agent(slot: u32, generation: u32) -> Arc<Agent> {
        let id = SlotLease { slot, generation };
        Arc::new(Agent {
            id,
            name: format!("agent-{slot}-{generation}").into(),
            group: "/".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/".into(),
        })
    }

    fn signal(waits: u32) -> Arc<RunQueueSignal> {
        let mut signal = RunQueueSignal::default();
        signal.wake_wait.0[40] = waits;
        signal.on_cpu.0[50] = waits;
        Arc::new(signal)
    }

    fn reading_of(agent: Arc<Agent>, run_queue: Arc<RunQueueSignal>) -> AgentReading {
        AgentReading {
            run_queue,
            ..AgentReading::nothing_of(agent)
        }
    }

    fn reading(at_ns: u64, agents: Vec<AgentReading>) -> Reading {
        Reading {
            at_ns,
            ledger_ns: at_ns,
            agents: agents.into_iter().map(Arc::new).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn a_window_holds_the_difference_of_its_readings() {
        let earlier = reading(10, vec![reading_of(agent(200, 1), signal(2))]);
        let later = reading(30, vec![reading_of(agent(200, 1), signal(5))]);
        let window = Window::between(&earlier, &later);
        assert_eq!(window.length_ns(), 20);
        let (_, change) = &window.agents[&agent(200, 1).id];
        assert_eq!(change.voluntary_switches, 3);
        assert_eq!(change.wake_wait.total(), 3);
    }

    #[test]
    fn an_agent_that_is_new_began_at_zero_even_in_a_slot_used_before() {
        let earlier = reading(10, vec![reading_of(agent(200, 1), signal(9))]);
        let later = reading(20, vec![reading_of(agent(200, 2), signal(1))]);
        let window = Window::between(&earlier, &later);
        assert_eq!(window.agents.len(), 1);
        assert_eq!(window.agents[&agent(200, 2).id].1.wake_wait.total(), 1);
    }

    #[test]
    fn who_has_no_threads_and_did_nothing_is_left_out() {
        let same = signal(1);
        let earlier = reading(1, vec![reading_of(agent(200, 1), Arc::clone(&same))]);
        let later = reading(
            2,
            vec![
                reading_of(agent(200, 1), same),
                reading_of(agent(201, 1), signal(0)),
            ],
        );
        assert!(Window::between(&earlier, &later).agents.is_empty());
    }

    #[test]
    fn an_agent_whose_process_was_ended_for_want_of_memory_is_not_left_out() {
        let mut victim = reading_of(agent(200, 1), signal(1));
        let earlier = reading(1, vec![victim.clone()]);
        victim.oom_kills = 1;
        let window = Window::between(&earlier, &reading(2, vec![victim]));
        assert_eq!(window.agents[&agent(200, 1).id].1.oom_kills, 1);
    }

    #[test]
    fn a_thread_that_sleeps_through_a_window_is_asleep_for_all_of_it() {
        let mut words = [0; STATES];
        words[state::ASLEEP as usize] = entry(5 * UNIT_NS);
        let at = |units: u64| {
            reading(
                units * UNIT_NS,
                vec![AgentReading {
                    ledger_words: words,
                    ..AgentReading::nothing_of(agent(200, 1))
                }],
            )
        };
        let window = Window::between(&at(1_000), &at(9_000));
        let (_, sleeper) = &window.agents[&agent(200, 1).id];
        assert_eq!(sleeper.ledger.spent_ns(state::ASLEEP), 8_000 * UNIT_NS);
        assert_eq!(sleeper.ledger.total_ns(), window.length_ns());
        assert!(sleeper.is_idle());
    }

    #[test]
    fn windows_that_follow_each_other_add_up_to_the_window_over_both() {
        let first = reading(1, vec![reading_of(agent(200, 1), signal(1))]);
        let second = reading(
            2,
            vec![
                reading_of(agent(200, 1), signal(2)),
                reading_of(agent(201, 1), signal(1)),
            ],
        );
        let third = reading(
            3,
            vec![
                reading_of(agent(200, 1), signal(6)),
                reading_of(agent(201, 1), signal(2)),
            ],
        );
        let mut sum = Window::between(&first, &second);
        sum.append(Window::between(&second, &third));
        assert_eq!(sum, Window::between(&first, &third));
    }
}
