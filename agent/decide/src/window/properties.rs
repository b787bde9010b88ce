//! What holds of windows whatever happens between readings: agents come and go, slots are used again,
//! counts wrap, and nobody looks for a long time.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::{
    ledger::{UNIT_NS, entry, state},
    slot::SlotLease,
};
use proptest::prelude::*;

use super::{Window, WindowSum};
use crate::{
    identity::Kind,
    signal::{Agent, AgentReading, AgentSource, Reading},
};

/// The bucket that waits are counted in, and the one that stretches are.
const WAIT: usize = 40;
const STRETCH: usize = 50;

/// Slots that the simulated host has: few, so that they are used again.
const SLOTS: u32 = 4;

/// What can happen on a host and to who reads it.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in units of the ledger.
    Pass(u64),
    /// An agent, by its place among those that are there, waits, runs and has a fault.
    Act(usize),
    /// An agent comes, if a slot is free, with counts as an earlier holder's would not have left them.
    Come,
    /// An agent ends. It is in the next reading for the last time.
    Go(usize),
    Read,
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        // Up to some minutes; and a long night.
        (1..4_000_000_000_u64).prop_map(Step::Pass),
        Just(Step::Pass(300_000_000_000)),
        any::<usize>().prop_map(Step::Act),
        any::<usize>().prop_map(Step::Act),
        Just(Step::Come),
        any::<usize>().prop_map(Step::Go),
        Just(Step::Read),
        Just(Step::Read),
        Just(Step::Take),
    ];
    prop::collection::vec(step, 1..60)
}

/// What an agent did, as it was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Truth {
    waits: u64,
    faults: u64,
    time_ns: u64,
}

struct Host {
    at_ns: u64,
    agents: BTreeMap<SlotLease, (Arc<AgentReading>, bool)>,
    generations: [u32; SLOTS as usize],
    /// Since the last reading, and up to it.
    undone: BTreeMap<SlotLease, Truth>,
    read: BTreeMap<SlotLease, Truth>,
}

impl Host {
    fn new() -> Self {
        Self {
            at_ns: 1_000 * UNIT_NS,
            agents: BTreeMap::new(),
            generations: [0; SLOTS as usize],
            undone: BTreeMap::new(),
            read: BTreeMap::new(),
        }
    }

    fn pass(&mut self, units: u64) {
        self.at_ns += units * UNIT_NS;
        for (id, (_, is_there)) in &self.agents {
            if *is_there {
                self.undone.entry(*id).or_default().time_ns += units * UNIT_NS;
            }
        }
    }

    fn pick(&self, number: usize) -> Option<SlotLease> {
        let there: Vec<_> = self
            .agents
            .iter()
            .filter(|(_, (_, is_there))| *is_there)
            .map(|(id, _)| *id)
            .collect();
        let at = number.checked_rem(there.len())?;
        there.get(at).copied()
    }

    fn change(&mut self, id: SlotLease, change: impl FnOnce(&mut AgentReading)) {
        let (reading, _) = self.agents.get_mut(&id).expect("it was picked");
        let mut changed = (**reading).clone();
        change(&mut changed);
        *reading = Arc::new(changed);
    }

    fn act(&mut self, id: SlotLease) {
        self.change(id, |reading| {
            let run_queue = Arc::make_mut(&mut reading.run_queue);
            for bucket in [
                &mut run_queue.wake_wait.0[WAIT],
                &mut run_queue.on_cpu.0[STRETCH],
            ] {
                *bucket = bucket.wrapping_add(1);
            }
            reading.faults.minor = reading.faults.minor.wrapping_add(3);
        });
        let truth = self.undone.entry(id).or_default();
        truth.waits += 1;
        truth.faults += 3;
    }

    fn come(&mut self) {
        let is_free = |slot: &u32| !self.agents.keys().any(|id| id.slot == *slot);
        let Some(slot) = (0..SLOTS).find(is_free) else {
            return;
        };
        self.generations[slot as usize] += 1;
        let id = SlotLease {
            slot,
            generation: self.generations[slot as usize],
        };
        let agent = Agent {
            id,
            name: format!("agent-{slot}").into(),
            group: "/".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/".into(),
        };
        let mut reading = AgentReading::nothing_of(Arc::new(agent));
        reading.ledger_words[state::ASLEEP as usize] = entry(self.at_ns);
        self.agents.insert(id, (Arc::new(reading), true));
    }

    fn go(&mut self, id: SlotLease) {
        let at_ns = self.at_ns;
        self.change(id, |reading| {
            let word = &mut reading.ledger_words[state::ASLEEP as usize];
            *word = word.wrapping_sub(entry(at_ns));
        });
        if let Some((_, is_there)) = self.agents.get_mut(&id) {
            *is_there = false;
        }
    }

    fn read(&mut self) -> Reading {
        let reading = Reading {
            at_ns: self.at_ns,
            ledger_ns: self.at_ns,
            agents: self
                .agents
                .values()
                .map(|(reading, _)| Arc::clone(reading))
                .collect(),
            ..Reading::default()
        };
        self.agents.retain(|_, (_, is_there)| *is_there);
        for (id, more) in std::mem::take(&mut self.undone) {
            let truth = self.read.entry(id).or_default();
            truth.waits += more.waits;
            truth.faults += more.faults;
            truth.time_ns += more.time_ns;
        }
        reading
    }
}

fn gather(told: &mut BTreeMap<SlotLease, Truth>, window: &Window) {
    for (id, (_, row)) in &window.agents {
        let truth = told.entry(*id).or_default();
        truth.waits += row.wake_wait.total();
        truth.faults += row.faults.minor;
        truth.time_ns += row.ledger.total_ns();
        assert_eq!(row.voluntary_switches, row.wake_wait.total());
    }
}

proptest! {
    #[test]
    fn windows_tell_of_each_agent_what_it_did_whenever_somebody_looked(steps in steps()) {
        let mut host = Host::new();
        // Who is there before has counts that are about to wrap.
        host.come();
        host.come();
        for id in [host.pick(0), host.pick(1)].into_iter().flatten() {
            host.change(id, |reading| {
                let run_queue = Arc::make_mut(&mut reading.run_queue);
                run_queue.wake_wait.0[WAIT] = u32::MAX - 1;
                run_queue.on_cpu.0[STRETCH] = u32::MAX - 2;
                reading.faults.minor = u64::MAX - 4;
            });
        }
        let mut sum = WindowSum::new(host.read());
        let mut told = BTreeMap::new();
        for step in steps {
            match step {
                Step::Pass(units) => host.pass(units),
                Step::Act(number) => {
                    if let Some(id) = host.pick(number) {
                        host.act(id);
                    }
                }
                Step::Come => host.come(),
                Step::Go(number) => {
                    if let Some(id) = host.pick(number) {
                        host.go(id);
                    }
                }
                Step::Read => sum.add(host.read()),
                Step::Take => gather(&mut told, &sum.take()),
            }
        }
        sum.add(host.read());
        gather(&mut told, &sum.take());
        told.retain(|_, truth| *truth != Truth::default());
        host.read.retain(|_, truth| *truth != Truth::default());
        prop_assert_eq!(told, host.read);
    }

    #[test]
    fn windows_follow_each_other_without_a_gap(lengths in prop::collection::vec(1..1_u64 << 40, 1..20)) {
        let at = |at_ns| Reading { at_ns, ledger_ns: at_ns, ..Reading::default() };
        let mut sum = WindowSum::new(at(1_000));
        let mut end_ns = 1_000;
        for length_ns in lengths {
            sum.add(at(end_ns + length_ns));
            let window = sum.take();
            prop_assert_eq!((window.from_ns, window.length_ns()), (end_ns, length_ns));
            end_ns = window.to_ns;
        }
    }
}

#[test]
fn a_clock_that_steps_back_gives_a_window_without_length_and_no_time_that_never_was() {
    let mut host = Host::new();
    host.come();
    host.pass(1_000);
    let mut sum = WindowSum::new(host.read());
    host.at_ns -= 100 * UNIT_NS;
    sum.add(host.read());
    let window = sum.take();
    assert_eq!(window.length_ns(), 0);
    for (_, row) in window.agents.values() {
        assert_eq!(
            (row.ledger.total_ns(), row.ledger.spent_ns(state::ASLEEP)),
            (0, 0)
        );
    }
    // From there on time passes as ever.
    host.pass(300);
    sum.add(host.read());
    let window = sum.take();
    assert_eq!(window.length_ns(), 300 * UNIT_NS);
    let slept_ns = window.agents.values().map(|(_, row)| row.ledger.total_ns());
    assert_eq!(slept_ns.sum::<u64>(), 300 * UNIT_NS);
}
