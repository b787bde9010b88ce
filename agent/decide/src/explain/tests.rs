use std::{collections::BTreeMap, sync::Arc};

use hostler_common::{
    histogram::{BUCKETS, bucket_of},
    ledger::STATES,
    pair::{NOBODY, PairKey, relation},
    slot::{KERNEL, SlotLease},
};
use proptest::prelude::*;

use super::*;
use crate::{
    durations::{BucketReadings, Durations},
    identity::Kind,
    pairs::Who,
    signal::{Agent, AgentSource, PairSignal},
    window::{LedgerWindow, RunQueueWindow, Window},
};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

fn waits(count: u32, each_ns: u64) -> Durations {
    let mut readings = BucketReadings::default();
    readings.0[bucket_of(each_ns)] = count;
    readings.since(&BucketReadings::default())
}

fn ledger(spent: &[(u32, u64)]) -> LedgerWindow {
    let mut ledger = LedgerWindow {
        threads: 1,
        ..LedgerWindow::default()
    };
    for &(state, ns) in spent {
        ledger.ns[state as usize] = ns.cast_signed();
    }
    ledger
}

/// Ten seconds of an agent with these states, on two CPUs.
fn evidence(spent: &[(u32, u64)]) -> Evidence {
    Evidence {
        window: RunQueueWindow {
            ledger: ledger(spent),
            ..RunQueueWindow::default()
        },
        length_ns: 10 * SECOND,
        long_wait_ns: MS,
        host: Host {
            cpus: 2,
            on_cpu_ns: 10 * SECOND,
        },
        ..Evidence::default()
    }
}

fn taken(waits: u64, ns: u64) -> Blame {
    Blame {
        taken_waits: waits,
        taken_ns: ns,
        ..Blame::default()
    }
}

fn agent(name: &str) -> Who {
    Who::Agent(name.to_owned())
}

fn whys(evidence: &Evidence) -> Vec<Why> {
    let reasons = explain(evidence).reasons;
    reasons.into_iter().map(|reason| reason.why).collect()
}

#[test]
fn who_sleeps_was_not_held_up_and_who_has_no_threads_is_said_to_have_none() {
    let asleep = explain(&evidence(&[
        (state::ASLEEP, 9_990 * MS),
        (state::ON_CPU, 9 * MS),
        (state::WAITING_WOKEN, MS),
    ]));
    assert_eq!(
        (asleep.verdict, asleep.reasons),
        (Verdict::Asleep, Vec::new())
    );
    assert_eq!(explain(&Evidence::default()).verdict, Verdict::NoThreads);
}

#[test]
fn who_computes_undisturbed_is_not_held_up() {
    let computes = evidence(&[(state::ON_CPU, 9 * SECOND), (state::ASLEEP, SECOND)]);
    assert_eq!(explain(&computes).verdict, Verdict::Computes);
    let works = evidence(&[(state::ON_CPU, 3 * SECOND), (state::ASLEEP, 7 * SECOND)]);
    assert_eq!(explain(&works).verdict, Verdict::Unhindered);
}

#[test]
fn the_most_costly_reasons_come_first_and_small_ones_are_left_out() {
    let found = whys(&evidence(&[
        (state::ON_CPU, SECOND),
        (state::THROTTLED, 2 * SECOND),
        (state::BLOCKED, 3 * SECOND),
        (state::BLOCKED_IO, 10 * MS),
        (state::ASLEEP, 4 * SECOND),
    ]));
    assert_eq!(found, [Why::Blocked, Why::Throttled]);
}

#[test]
fn an_agent_that_stands_out_is_named_and_the_others_are_a_crowd() {
    let mut contended = evidence(&[(state::WAITING_PREEMPTED, 8 * SECOND)]);
    contended.waited_for = vec![
        (agent("a"), taken(10, SECOND)),
        (agent("b"), taken(60, 6 * SECOND)),
        (agent("c"), taken(5, SECOND / 2)),
        (agent("d"), taken(5, SECOND / 2)),
    ];
    let found = whys(&contended);
    let [
        Why::OtherAgent { cause, .. },
        Why::ManyAgents {
            agents, foremost, ..
        },
    ] = &found[..]
    else {
        panic!("not one agent and a crowd: {found:?}");
    };
    assert_eq!((cause.as_str(), *agents, foremost.as_str()), ("b", 3, "a"));
}

#[test]
fn one_agent_beside_another_is_no_crowd() {
    let mut contended = evidence(&[(state::WAITING_PREEMPTED, 8 * SECOND)]);
    contended.waited_for = vec![
        (agent("a"), taken(10, SECOND)),
        (agent("b"), taken(70, 7 * SECOND)),
    ];
    let found = whys(&contended);
    let is_one = |why: &Why| matches!(why, Why::OtherAgent { .. });
    assert!(found.len() == 2 && found.iter().all(is_one), "{found:?}");
}

#[test]
fn a_wait_that_began_before_the_window_costs_no_more_than_the_ledger_holds() {
    let mut contended = evidence(&[(state::WAITING_PREEMPTED, 2 * SECOND)]);
    contended.waited_for = vec![
        (Who::Itself, taken(1, 6 * SECOND)),
        (Who::Kernel, taken(1, 2 * SECOND)),
    ];
    let costs: Vec<u64> = explain(&contended)
        .reasons
        .iter()
        .map(|reason| reason.cost_ns)
        .collect();
    assert_eq!(costs, [3 * SECOND / 2, SECOND / 2]);
}

#[test]
fn nobody_is_blamed_for_more_than_it_ran() {
    let mut contended = evidence(&[(state::WAITING_PREEMPTED, 8 * SECOND)]);
    let ran_ns = Some(SECOND);
    contended.waited_for = vec![(
        Who::Kernel,
        Blame {
            ran_ns,
            ..taken(400, 8 * SECOND)
        },
    )];
    let found = explain(&contended).reasons;
    let costs: Vec<u64> = found.iter().map(|reason| reason.cost_ns).collect();
    assert_eq!(costs, [7 * SECOND, SECOND]);
    assert_eq!(found[0].why, Why::Turns);
}

#[test]
fn time_in_short_waits_is_laid_to_nobody() {
    let mut busy = evidence(&[(state::ON_CPU, SECOND), (state::WAITING_WOKEN, SECOND)]);
    busy.window.wake_wait = waits(100_000, 10_000);
    assert_eq!(
        whys(&busy),
        [Why::ShortWaits {
            waits: 100_000,
            woken_percent: 100,
        }]
    );
}

#[test]
fn time_for_which_no_wait_accounts_reaches_beyond_the_window() {
    let starved = evidence(&[(state::WAITING_WOKEN, 10 * SECOND)]);
    assert_eq!(whys(&starved), [Why::WaitsBeyondWindow]);
}

#[test]
fn a_few_long_waits_among_many_short_ones_are_bursts() {
    let mut bursty = evidence(&[(state::WAITING_WOKEN, SECOND)]);
    bursty.window.wake_wait = waits(1_000, 4_000);
    assert_eq!(explain(&bursty).bursts, None);
    bursty.window.wake_wait.add(&waits(20, 12 * MS));
    let found = explain(&bursty).bursts.expect("bursts");
    assert!(found.p50_ns < 5_000 && found.p99_ns > 11 * MS);
}

#[test]
fn a_window_is_split_into_whom_the_agent_waited_for_and_who_waited_for_it() {
    let id = |slot| SlotLease {
        slot,
        generation: u32::from(slot > KERNEL),
    };
    let entry = |slot, name: &str, on_cpu_ns| {
        let agent = Arc::new(Agent {
            id: id(slot),
            name: name.into(),
            group: "agents".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/".into(),
        });
        let window = RunQueueWindow {
            ledger: ledger(&[(state::ON_CPU, on_cpu_ns)]),
            ..RunQueueWindow::default()
        };
        (agent.id, (agent, window))
    };
    let pair = |waiter, cause, relation, waits| {
        let key = PairKey {
            waiter: id(waiter),
            cause,
            relation,
        };
        let wait_ns = waits * MS;
        (key, PairSignal { waits, wait_ns })
    };
    let window = Window {
        from_ns: 5,
        to_ns: 5 + SECOND,
        agents: BTreeMap::from([entry(200, "a", 30), entry(201, "b", 12)]),
        pairs: BTreeMap::from([
            pair(200, 201, relation::PREEMPTOR, 3),
            pair(200, 201, relation::HOLDER, 2),
            pair(200, 200, relation::PREEMPTOR, 4),
            pair(200, KERNEL, relation::PREEMPTOR, 5),
            pair(200, NOBODY, relation::HOLDER, 6),
            pair(200, 999, relation::HOLDER, 1),
            pair(201, 200, relation::HOLDER, 7),
            pair(201, 201, relation::HOLDER, 8),
        ]),
        ..Window::default()
    };
    let name = |slot| [(200, "a"), (201, "b")].into_iter().find(|n| n.0 == slot);
    let evidence = Evidence::of(&window, id(200), MS, 2, |slot| name(slot).map(|n| n.1));
    assert_eq!(evidence.length_ns, SECOND);
    assert_eq!(evidence.host.on_cpu_ns, 42);
    assert_eq!(evidence.window.on_cpu_ns(), 30);
    let whom: Vec<(Who, u64)> = evidence
        .waited_for
        .iter()
        .map(|(who, blame)| (who.clone(), blame.waits()))
        .collect();
    assert_eq!(
        whom,
        [
            (Who::Itself, 4),
            (agent("[departed]"), 1),
            (agent("b"), 5),
            (Who::Kernel, 5),
            (Who::Nobody, 6),
        ]
    );
    let kept: Vec<(&str, u64)> = evidence
        .kept_waiting
        .iter()
        .map(|waiter| (waiter.name.as_str(), waiter.waits))
        .collect();
    assert_eq!(kept, [("b", 7)]);
}

/// Ledgers as they may be read, states below zero included, and far beyond.
fn any_ledger() -> impl Strategy<Value = LedgerWindow> {
    let spent = prop_oneof![-1_000_000_i64..20_000_000_000, -(1_i64 << 55)..1 << 55];
    (prop::collection::vec(spent, STATES), any::<u64>()).prop_map(|(spent, threads)| LedgerWindow {
        ns: spent.try_into().expect("a value for each state"),
        threads,
    })
}

fn any_durations() -> impl Strategy<Value = Durations> {
    prop::collection::vec((0..BUCKETS, any::<u32>()), 0..20).prop_map(|counts| {
        let mut readings = BucketReadings::default();
        for (bucket, count) in counts {
            readings.0[bucket] = count;
        }
        readings.since(&BucketReadings::default())
    })
}

fn any_blame() -> impl Strategy<Value = (Who, Blame)> {
    let who = prop_oneof![
        Just(Who::Itself),
        Just(Who::Kernel),
        Just(Who::Unattributed),
        Just(Who::Interrupts),
        Just(Who::Nobody),
        "[a-e]".prop_map(Who::Agent),
    ];
    let number = || prop_oneof![0_u64..1_000_000_000, any::<u64>()];
    let blame = (number(), number(), number(), number());
    (who, blame).prop_map(|(who, (taken_waits, taken_ns, held_waits, held_ns))| {
        let blame = Blame {
            taken_waits,
            taken_ns,
            held_waits,
            held_ns,
            ran_ns: (held_waits % 3 > 0).then_some(held_waits),
        };
        (who, blame)
    })
}

prop_compose! {
    fn any_evidence()(
        ledger in any_ledger(),
        wake_wait in any_durations(),
        preempt_wait in any_durations(),
        waited_for in prop::collection::vec(any_blame(), 0..12),
        length_ns in prop_oneof![0_u64..20_000_000_000, any::<u64>()],
        long_wait_ns in any::<u64>(),
    ) -> Evidence {
        let window = RunQueueWindow { ledger, wake_wait, preempt_wait, ..RunQueueWindow::default() };
        Evidence { window, length_ns, long_wait_ns, waited_for, ..Evidence::default() }
    }
}

proptest! {
    #[test]
    fn reasons_are_few_sorted_and_cost_no_more_than_the_threads_had(evidence in any_evidence()) {
        let explanation = explain(&evidence);
        let costs: Vec<u64> = explanation.reasons.iter().map(|reason| reason.cost_ns).collect();
        prop_assert!(costs.len() <= MOST_REASONS);
        prop_assert!(costs.is_sorted_by(|a, b| a >= b), "{costs:?}");
        let total_ns = evidence.window.ledger.total_ns();
        prop_assert!(costs.iter().all(|&cost_ns| cost_ns > 0 && cost_ns <= total_ns), "{costs:?}");
        prop_assert!(evidence.awake_ns() <= total_ns);
        let held_up = explanation.verdict == Verdict::HeldUp;
        prop_assert_eq!(held_up, !costs.is_empty());
    }

    /// No time is told twice: all reasons of waits together cost no more than the waits.
    #[test]
    fn the_waits_reasons_add_up_to_the_ledger_s_waits(evidence in any_evidence()) {
        let told_ns: u128 = waits::by_cause(&evidence)
            .iter()
            .map(|reason| u128::from(reason.cost_ns))
            .sum();
        let wait_ns = u128::from(evidence.window.wait_ns());
        // Cutting rounds each part down, by less than 1 ns.
        let rounding = 2 * evidence.waited_for.len() as u128;
        prop_assert!(told_ns <= wait_ns && told_ns + rounding >= wait_ns, "{told_ns} {wait_ns}");
    }
}
