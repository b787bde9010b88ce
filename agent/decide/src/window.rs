//! Windows: what happened between two readings, and sums of windows.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::{
    ledger::{STATES, elapsed_ns, state},
    pair::PairKey,
    slot::{OTHER, SlotLease},
};

use crate::{
    block_io::BlockIoWindow,
    durations::Durations,
    faults::FaultWindow,
    identity::Kind,
    signal::{
        Agent, AgentReading, AgentSource, CpuReading, DEPARTED, LedgerSignal, LossSignal,
        PairSignal, Reading, RunQueueSignal,
    },
};

/// Where the time of an agent's threads went during a window. The states add up to threads × wall
/// time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerWindow {
    /// Time by state, in ns; it can be below zero by the time that a reading takes, which the next
    /// window makes up for.
    pub ns: [i64; STATES],
    /// Threads at the window's end.
    pub threads: u64,
}

impl LedgerWindow {
    fn between(earlier: &LedgerSignal, later: &LedgerSignal) -> Self {
        let mut ns = [0; STATES];
        for (index, ns) in ns.iter_mut().enumerate().skip(1) {
            *ns = elapsed_ns(earlier.units[index], later.units[index]);
        }
        Self {
            ns,
            threads: later.thread_count(),
        }
    }

    /// Time spent in a state of [`hostler_common::ledger::state`], in ns.
    pub fn spent_ns(&self, state: u32) -> u64 {
        self.ns
            .get(state as usize)
            .map_or(0, |&ns| ns.max(0).cast_unsigned())
    }

    /// Time spent in all states, in ns: threads × wall time.
    pub fn total_ns(&self) -> u64 {
        self.ns.iter().sum::<i64>().max(0).cast_unsigned()
    }

    fn add(&mut self, other: &Self) {
        for (ns, more) in self.ns.iter_mut().zip(other.ns) {
            *ns += more;
        }
        self.threads = other.threads;
    }
}

/// Waits for a CPU, stretches on it, switches, where the time went, and what else was counted, during
/// a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQueueWindow {
    /// Where the threads' time went. Of a CPU, only the time on it and the waits that ended on it
    /// are known.
    pub ledger: LedgerWindow,
    /// Switches by which a thread gave the CPU up.
    pub voluntary_switches: u64,
    /// Switches by which a thread lost the CPU.
    pub involuntary_switches: u64,
    /// Waits after a wake-up that ended in the window.
    pub wake_wait: Durations,
    /// Waits after a preemption or a yield that ended in the window.
    pub preempt_wait: Durations,
    /// Stretches on a CPU that ended in the window.
    pub on_cpu: Durations,
    /// What was read and written; nothing is known of a CPU.
    pub block_io: BlockIoWindow,
    /// Page faults; nothing is known of a CPU.
    pub faults: FaultWindow,
    /// Processes that the kernel ended because memory ran out; nothing is known of a CPU.
    pub oom_kills: u64,
}

impl RunQueueWindow {
    fn between(
        ledger: LedgerWindow,
        earlier: &Arc<RunQueueSignal>,
        later: &Arc<RunQueueSignal>,
    ) -> Self {
        if Arc::ptr_eq(earlier, later) {
            return Self {
                ledger,
                ..Self::default()
            };
        }
        let on_cpu = later.on_cpu.since(&earlier.on_cpu);
        let involuntary_switches = later
            .involuntary_switches
            .wrapping_sub(earlier.involuntary_switches);
        let unmeasured = later
            .unmeasured_stretches
            .wrapping_sub(earlier.unmeasured_stretches);
        Self {
            ledger,
            // Each switch ended a stretch; one that is being counted may be in its bucket already.
            voluntary_switches: (on_cpu.total() + unmeasured).saturating_sub(involuntary_switches),
            involuntary_switches,
            wake_wait: later.wake_wait.since(&earlier.wake_wait),
            preempt_wait: later.preempt_wait.since(&earlier.preempt_wait),
            on_cpu,
            block_io: BlockIoWindow::default(),
            faults: FaultWindow::default(),
            oom_kills: 0,
        }
    }

    fn of_cpu(earlier: Option<&CpuReading>, later: &CpuReading) -> Self {
        let nothing = CpuReading {
            cpu: later.cpu,
            wake_wait_ns: 0,
            preempt_wait_ns: 0,
            on_cpu_ns: 0,
            run_queue: Arc::default(),
        };
        let earlier = earlier.unwrap_or(&nothing);
        let mut ledger = LedgerWindow::default();
        for (state, before, now) in [
            (
                state::WAITING_WOKEN,
                earlier.wake_wait_ns,
                later.wake_wait_ns,
            ),
            (
                state::WAITING_PREEMPTED,
                earlier.preempt_wait_ns,
                later.preempt_wait_ns,
            ),
            (state::ON_CPU, earlier.on_cpu_ns, later.on_cpu_ns),
        ] {
            ledger.ns[state as usize] = now.wrapping_sub(before).cast_signed();
        }
        Self::between(ledger, &earlier.run_queue, &later.run_queue)
    }

    /// Adds what happened in another window.
    pub fn add(&mut self, other: &Self) {
        self.ledger.add(&other.ledger);
        self.voluntary_switches += other.voluntary_switches;
        self.involuntary_switches += other.involuntary_switches;
        self.wake_wait.add(&other.wake_wait);
        self.preempt_wait.add(&other.preempt_wait);
        self.on_cpu.add(&other.on_cpu);
        self.block_io.add(&other.block_io);
        self.faults.add(&other.faults);
        self.oom_kills += other.oom_kills;
    }

    /// Waits of both kinds that ended in the window.
    pub fn waits(&self) -> Durations {
        let mut waits = self.wake_wait.clone();
        waits.add(&self.preempt_wait);
        waits
    }

    /// Time spent waiting for a CPU after a wake-up, in ns.
    pub fn wake_wait_ns(&self) -> u64 {
        self.ledger.spent_ns(state::WAITING_WOKEN)
    }

    /// Time spent waiting for a CPU after a preemption or a yield, in ns.
    pub fn preempt_wait_ns(&self) -> u64 {
        self.ledger.spent_ns(state::WAITING_PREEMPTED)
    }

    /// Time spent waiting for a CPU, in ns.
    pub fn wait_ns(&self) -> u64 {
        self.wake_wait_ns() + self.preempt_wait_ns()
    }

    /// Time spent on CPUs, in ns.
    pub fn on_cpu_ns(&self) -> u64 {
        self.ledger.spent_ns(state::ON_CPU)
    }

    /// Whether no thread ran, wanted to run, was switched, read or wrote, faulted, or was
    /// ended for want of memory.
    pub fn is_idle(&self) -> bool {
        self.voluntary_switches == 0
            && self.involuntary_switches == 0
            && self.wait_ns() == 0
            && self.on_cpu_ns() == 0
            && self.wake_wait.is_empty()
            && self.preempt_wait.is_empty()
            && self.block_io.is_empty()
            && self.faults.is_empty()
            && self.oom_kills == 0
    }
}

/// Agents that a sum of windows keeps apart before it adds up those that are gone: more than there
/// can be at a time, and some 100 MiB at the most.
const MAX_AGENTS_APART: usize = 2 * hostler_common::slot::MAX_AGENTS as usize;

/// What happened between two readings. Who had no threads and did nothing is left out.
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
    /// Long waits, by who waited and who made it wait.
    pub pairs: BTreeMap<PairKey, PairSignal>,
    /// What was lost.
    pub losses: LossSignal,
}

impl Window {
    /// What happened between two readings of one source. Who is new in the later one began at
    /// zero; who is missing from it was quiet before it went.
    pub fn between(earlier: &Reading, later: &Reading) -> Self {
        Self {
            from_ns: earlier.at_ns,
            to_ns: later.at_ns,
            agents: agents_between(earlier, later),
            cpus: cpus_between(earlier, later),
            pairs: pairs_between(earlier, later),
            losses: later.losses.since(&earlier.losses),
        }
    }

    /// Appends the window that follows this one. An agent's newest name is kept.
    pub fn append(&mut self, next: Self) {
        if self.to_ns == 0 {
            self.from_ns = next.from_ns;
        }
        self.to_ns = next.to_ns;
        if self.agents.len() > MAX_AGENTS_APART {
            self.fold_departed(&next);
        }
        for (id, (agent, window)) in next.agents {
            let sum = self.agents.entry(id);
            let sum = sum.or_insert_with(|| (agent.clone(), RunQueueWindow::default()));
            sum.0 = agent;
            sum.1.add(&window);
        }
        for (cpu, window) in next.cpus {
            self.cpus.entry(cpu).or_default().add(&window);
        }
        for (pair, more) in next.pairs {
            let sum = self.pairs.entry(pair).or_default();
            sum.waits += more.waits;
            sum.wait_ns += more.wait_ns;
        }
        self.losses.add(&next.losses);
    }

    /// Adds up the agents that are not in the window that follows, so that a long sum of windows
    /// does not grow with every agent that ever was.
    fn fold_departed(&mut self, next: &Self) {
        let (kept, departed): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.agents)
            .into_iter()
            .partition(|(id, _)| next.agents.contains_key(id));
        self.agents = kept;
        let id = SlotLease {
            slot: OTHER,
            generation: u32::MAX,
        };
        let agent = Agent {
            id,
            name: DEPARTED.into(),
            group: DEPARTED.into(),
            kind: Kind::System,
            source: AgentSource::Other,
        };
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

fn agents_between(
    earlier: &Reading,
    later: &Reading,
) -> BTreeMap<SlotLease, (Agent, RunQueueWindow)> {
    let before: BTreeMap<SlotLease, &AgentReading> = earlier
        .agents
        .iter()
        .map(|reading| (reading.agent.id, reading))
        .collect();
    let mut agents = BTreeMap::new();
    for reading in &later.agents {
        let id = reading.agent.id;
        let nothing;
        let before = if let Some(before) = before.get(&id) {
            before
        } else {
            nothing = AgentReading::nothing_of(reading.agent.clone());
            &nothing
        };
        let ledger = LedgerWindow::between(&before.ledger, &reading.ledger);
        let mut window = RunQueueWindow::between(ledger, &before.run_queue, &reading.run_queue);
        window.block_io = BlockIoWindow::between(&before.block_io, &reading.block_io);
        window.faults = FaultWindow::between(&before.faults, &reading.faults);
        window.oom_kills = reading.oom_kills.wrapping_sub(before.oom_kills);
        if ledger.threads > 0 || ledger.total_ns() > 0 || !window.is_idle() {
            agents.insert(id, (reading.agent.clone(), window));
        }
    }
    agents
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
    use hostler_common::ledger::{UNIT_NS, entry};

    use super::*;
    use crate::signal::AgentReading;

    fn agent(slot: u32, generation: u32) -> Agent {
        let id = SlotLease { slot, generation };
        Agent {
            id,
            name: format!("agent-{slot}-{generation}").into(),
            group: "/".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
        }
    }

    fn signal(waits: u32) -> Arc<RunQueueSignal> {
        let mut signal = RunQueueSignal::default();
        signal.wake_wait.0[40] = waits;
        signal.on_cpu.0[50] = waits;
        Arc::new(signal)
    }

    fn reading_of(agent: Agent, run_queue: Arc<RunQueueSignal>) -> AgentReading {
        AgentReading {
            run_queue,
            ..AgentReading::nothing_of(agent)
        }
    }

    fn reading(at_ns: u64, agents: Vec<AgentReading>) -> Reading {
        Reading {
            at_ns,
            agents,
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
    fn who_did_not_lose_the_cpu_gave_it_up_also_if_the_stretch_has_no_length() {
        let mut later = RunQueueSignal {
            involuntary_switches: 2,
            unmeasured_stretches: 3,
            ..Default::default()
        };
        later.on_cpu.0[50] = 7;
        let window =
            RunQueueWindow::between(LedgerWindow::default(), &Arc::default(), &Arc::new(later));
        assert_eq!(window.voluntary_switches, 8);
        assert_eq!(window.involuntary_switches, 2);
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
            let ledger = LedgerSignal::new(&words, units * UNIT_NS);
            reading(
                units * UNIT_NS,
                vec![AgentReading {
                    ledger,
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

    #[test]
    fn agents_that_are_long_gone_are_added_up_in_a_long_sum() {
        let window = |slots: std::ops::Range<u32>| {
            let agents = slots
                .map(|slot| reading_of(agent(slot, 1), signal(1)))
                .collect();
            Window::between(&reading(1, Vec::new()), &reading(2, agents))
        };
        let many = u32::try_from(MAX_AGENTS_APART).expect("it fits") + 10;
        let mut sum = window(0..many);
        sum.append(window(0..5));
        assert_eq!(sum.agents.len(), 6);
        let switches: u64 = sum
            .agents
            .values()
            .map(|(_, row)| row.voluntary_switches)
            .sum();
        assert_eq!(switches, u64::from(many) + 5);
    }
}
