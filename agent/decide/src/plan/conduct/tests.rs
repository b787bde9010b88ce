use hostler_common::ledger::state;

use super::*;
use crate::{
    identity::Kind,
    plan::{Action, Check, Peer, Undo, Why},
    signal::{Agent, AgentSource},
    window::RunQueueWindow,
};

const SECOND_NS: u64 = 1_000_000_000;

fn id(slot: u32) -> SlotLease {
    SlotLease {
        slot,
        generation: 1,
    }
}

/// Agents of which three share a group.
fn agent(slot: u32) -> Arc<Agent> {
    Arc::new(Agent {
        id: id(slot),
        name: format!("agent-{slot}").into(),
        group: format!("group-{}", slot / 3).into(),
        kind: Kind::Agent,
        source: AgentSource::Cgroup,
        place: "/".into(),
    })
}

/// A step by which an agent goes to a node; agent 90 is the one to hold it against.
fn step(slot: u32, node: u32) -> Step {
    Step {
        agent: agent(slot),
        action: Action::Place {
            nodes: vec![node],
            l3: None,
            cpus: vec![node],
            memory_bytes: 0,
        },
        undo: Undo::Release {
            memory_bytes: vec![],
        },
        why: Why::default(),
        gain_ns: 1,
        price_ns: 1,
        check: Check {
            peer: Some(Peer {
                id: id(90),
                name: "agent-90".into(),
            }),
            windows: 2,
            tolerance_percent: 5,
        },
    }
}

/// A host on which some agents have a hundred turns a second, whose length is theirs.
struct Site {
    conduct: Conduct,
    turn_us: BTreeMap<u32, u64>,
    second: u64,
}

impl Site {
    fn new(slots: impl IntoIterator<Item = u32>) -> Self {
        let slots = slots.into_iter().chain([90]);
        let mut site = Self {
            conduct: Conduct::new(Pace::default()),
            turn_us: slots.map(|slot| (slot, 100)).collect(),
            second: 0,
        };
        assert_eq!(site.pass(30), []);
        site
    }

    /// What becomes of steps in so many seconds: whose, and what.
    fn pass(&mut self, seconds: u64) -> Vec<(u32, Verdict)> {
        let mut outcomes = Vec::new();
        for _ in 0..seconds {
            let agents = self.turn_us.iter().map(|(&slot, &turn_us)| {
                let mut row = RunQueueWindow {
                    voluntary_switches: 100,
                    ..RunQueueWindow::default()
                };
                let ns = 100 * 1_000 * turn_us;
                row.ledger.ns[state::ON_CPU as usize] = ns.cast_signed();
                (id(slot), (agent(slot), row))
            });
            let window = Window {
                from_ns: self.second * SECOND_NS,
                to_ns: (self.second + 1) * SECOND_NS,
                agents: agents.collect(),
                ..Window::default()
            };
            self.second += 1;
            let settled = self.conduct.follow(&window).into_iter();
            outcomes.extend(settled.map(|it| (it.step.agent.id.slot, it.verdict)));
        }
        outcomes
    }

    /// Whose steps begin.
    fn choose(&mut self, steps: impl IntoIterator<Item = Step>) -> Vec<u32> {
        let plan = Plan {
            at_ns: self.second * SECOND_NS,
            steps: steps.into_iter().collect(),
            ..Plan::default()
        };
        let chosen = self.conduct.choose(&plan).into_iter();
        chosen.map(|step| step.agent.id.slot).collect()
    }
}

#[test]
fn of_a_group_one_agent_goes_first_and_the_others_when_it_did_not_do_worse() {
    let mut site = Site::new(0..6);
    let plan = || (0..6).map(|slot| step(slot, 0));
    assert_eq!(site.choose(plan()), [0]);
    assert_eq!(site.choose(plan()), [] as [u32; 0]);
    assert_eq!(site.pass(30), [(0, Verdict::Same)]);
    // Now its group is proven on that node, and the other one is not.
    assert_eq!(site.choose(plan()), [1, 2]);
    assert_eq!(site.pass(30), [(1, Verdict::Same), (2, Verdict::Same)]);
    assert_eq!(site.choose(plan()), [3]);
}

#[test]
fn each_node_has_its_own_canary() {
    let mut site = Site::new(0..6);
    let plan = [step(0, 0), step(1, 0), step(3, 1), step(4, 1)];
    assert_eq!(site.choose(plan), [0, 3]);
}

#[test]
fn a_plan_is_told_who_rests_and_for_how_long() {
    let mut site = Site::new(0..3);
    site.choose([step(0, 0)]);
    let resting = |site: &Site| site.conduct.resting(site.second * SECOND_NS);
    assert_eq!(resting(&site), [Arc::clone(&agent(0).name)].into());
    site.pass(301);
    assert_eq!(resting(&site), [].into());
    let name = Arc::clone(&agent(1).name);
    site.conduct.leave_alone(id(1), &name);
    assert_eq!(resting(&site), [name].into());
}

#[test]
fn a_step_after_which_turns_take_longer_is_to_be_taken_back_and_its_agent_rests() {
    let mut site = Site::new(0..3);
    assert_eq!(site.choose([step(0, 0)]), [0]);
    site.turn_us.insert(0, 150);
    assert_eq!(site.pass(30), [(0, Verdict::Worse { percent: 50 })]);
    site.turn_us.insert(0, 100);
    // Twice as long as after a move that helped.
    assert_eq!(site.pass(600 - 10), []);
    assert_eq!(site.choose([step(0, 0)]), [] as [u32; 0]);
    site.pass(20);
    assert_eq!(site.choose([step(0, 0)]), [0]);
    site.turn_us.insert(0, 150);
    assert_eq!(site.pass(30), [(0, Verdict::Worse { percent: 50 })]);
    site.turn_us.insert(0, 100);
    site.pass(1_190);
    assert_eq!(site.choose([step(0, 0)]), [] as [u32; 0]);
}

#[test]
fn what_happens_to_all_is_not_laid_to_a_step() {
    let mut site = Site::new(0..3);
    assert_eq!(site.choose([step(0, 0)]), [0]);
    site.turn_us = site.turn_us.keys().map(|&slot| (slot, 300)).collect();
    assert_eq!(site.pass(30), [(0, Verdict::Same)]);
}

#[test]
fn no_more_steps_begin_in_an_interval_than_the_pace_allows() {
    let mut site = Site::new(0..80);
    site.conduct.pace.steps = 3;
    // To so many nodes that none is a canary of another's.
    let plan = || (0..9).map(|number| step(3 * number, number));
    assert_eq!(site.choose(plan()), [0, 3, 6]);
    assert_eq!(site.choose(plan()), [] as [u32; 0]);
    site.pass(30);
    assert_eq!(site.choose(plan()), [9, 12, 15]);
}

#[test]
fn who_was_set_by_somebody_else_is_left_alone() {
    let mut site = Site::new(0..3);
    assert_eq!(site.choose([step(0, 0)]), [0]);
    site.conduct.leave_alone(id(0), &"agent-0".into());
    assert_eq!(site.conduct.on_trial().count(), 0);
    site.pass(3_000);
    // Also where all else begins anew.
    site.conduct.begin_anew();
    site.pass(30);
    assert_eq!(site.choose([step(0, 0), step(1, 0)]), [1]);
}

#[test]
fn an_agent_that_is_gone_needs_no_verdict_and_gives_its_place_up() {
    let mut site = Site::new(0..3);
    assert_eq!(site.choose([step(0, 0)]), [0]);
    site.turn_us.remove(&0);
    assert_eq!(site.pass(30), []);
    assert_eq!(site.conduct.on_trial().count(), 0);
    assert_eq!(site.choose([step(1, 0)]), [1]);
}

#[test]
fn one_that_hardly_runs_is_kept_on_trial_for_a_while_and_then_left_as_it_is() {
    let mut site = Site::new(0..3);
    assert_eq!(site.choose([step(0, 0)]), [0]);
    site.turn_us.insert(0, 0);
    assert_eq!(site.pass(120), []);
    assert_eq!(site.pass(10), [(0, Verdict::Unclear)]);
}

#[test]
fn an_agent_against_whom_another_is_held_is_not_moved_meanwhile() {
    let mut site = Site::new(0..3);
    assert_eq!(site.choose([step(0, 0), step(90, 1)]), [0]);
}
