//! What holds of samples.

use proptest::prelude::*;

use super::*;
use crate::{
    host::HostWindow,
    identity::Kind,
    polled::{MemoryAmounts, PolledWindow},
    pressure::Stall,
    reclaim::Reclaim,
    signal::AgentSource,
};

fn agent(slot: u32, group: &str) -> Arc<Agent> {
    Arc::new(Agent {
        id: SlotLease {
            slot,
            generation: 1,
        },
        name: format!("{group}/{slot}").into(),
        group: group.into(),
        kind: Kind::Agent,
        source: AgentSource::Cgroup,
        place: "".into(),
    })
}

fn window(rows: Vec<(Arc<Agent>, RunQueueWindow)>) -> Window {
    Window {
        from_ns: 1_000_000_000,
        to_ns: 3_000_000_000,
        agents: rows
            .into_iter()
            .map(|(agent, row)| (agent.id, (agent, row)))
            .collect(),
        ..Window::default()
    }
}

fn row(on_cpu_ns: i64, memory_bytes: Option<u64>) -> RunQueueWindow {
    let mut row = RunQueueWindow::default();
    row.ledger.ns[state::ON_CPU as usize] = on_cpu_ns;
    row.ledger.threads = 3;
    row.polled = memory_bytes.map(|current_bytes| {
        let amounts = MemoryAmounts {
            current_bytes,
            ..MemoryAmounts::default()
        };
        Box::new(PolledWindow {
            length_ns: 1,
            memory: Some((amounts, Reclaim::default())),
            ..PolledWindow::default()
        })
    });
    row
}

#[test]
fn groups_and_the_host_are_the_sums_of_their_agents() {
    let mut makes = Sampler::default();
    let (a, b, c) = (agent(10, "x"), agent(11, "x"), agent(12, "y"));
    let samples = makes.sample(&window(vec![
        (a, row(5_000, None)),
        (b, row(7_000, None)),
        (c, row(1_000, None)),
    ]));
    assert_eq!(samples.length_us, 2_000_000);
    assert_eq!(samples.host.numbers.on_cpu_us, 13);
    assert_eq!(samples.host.numbers.threads, 9);
    assert_eq!(samples.groups["x"].numbers.on_cpu_us, 12);
    assert_eq!(samples.groups["x"].numbers.length_us, 2_000_000);
}

#[test]
fn memory_that_is_read_in_turn_counts_in_sums_until_it_is_read_again() {
    let mut makes = Sampler::default();
    let (a, b) = (agent(10, "x"), agent(11, "x"));
    let both = |a_bytes, b_bytes| {
        window(vec![
            (Arc::clone(&a), row(1, a_bytes)),
            (Arc::clone(&b), row(1, b_bytes)),
        ])
    };
    let memory = |samples: &Samples| samples.groups["x"].numbers.memory_bytes;
    assert_eq!(memory(&makes.sample(&both(Some(5), None))), 5);
    let second = makes.sample(&both(None, Some(7)));
    assert_eq!(memory(&second), 12);
    assert_eq!(second.agents[&a.id].1.numbers.memory_bytes, 0);
    assert_eq!(memory(&makes.sample(&both(Some(2), None))), 9);
    let gone = window(vec![(Arc::clone(&b), row(1, None))]);
    assert_eq!(memory(&makes.sample(&gone)), 7);
}

#[test]
fn pressure_and_memory_of_the_host_are_its_own() {
    let mut window = window(vec![(agent(10, "x"), row(1, Some(5)))]);
    let stall = Stall {
        some_us: 70,
        full_us: 0,
    };
    let mut host = HostWindow {
        pressure: Some(Pressure {
            memory: stall,
            ..Pressure::default()
        }),
        ..HostWindow::default()
    };
    host.pools.total_bytes = 100;
    host.pools.available_bytes = 60;
    window.host = Some(host);
    let samples = Sampler::default().sample(&window);
    assert_eq!(samples.host.numbers.memory_stall_us, 70);
    assert_eq!(samples.host.numbers.memory_bytes, 40);
}

#[test]
fn groups_beyond_the_limit_are_one_and_nothing_of_them_is_lost() {
    let rows: Vec<_> = (0..MOST_GROUPS + 5)
        .map(|number| {
            let slot = u32::try_from(number).expect("few");
            (agent(slot, &format!("g{number}")), row(1_000, None))
        })
        .collect();
    let mut makes = Sampler::default();
    let samples = makes.sample(&window(rows));
    assert_eq!(samples.groups.len(), MOST_GROUPS + 1);
    assert_eq!(samples.groups[OTHER_GROUPS].numbers.on_cpu_us, 5);
    let later = makes.sample(&window(vec![(agent(7_000, "new"), row(1_000, None))]));
    assert!(later.groups.contains_key("new"), "the others are gone");
}

fn sample() -> impl Strategy<Value = Sample> {
    let numbers = prop::array::uniform20(0_u64..1 << 40).prop_map(Numbers::from_array);
    let waits = prop::collection::vec(0_u64..1 << 40, 0..5);
    (numbers, waits).prop_map(|(numbers, waits)| {
        let mut sample = Sample {
            numbers,
            ..Sample::default()
        };
        for ns in waits {
            sample.waits.count(ns);
        }
        sample
    })
}

proptest! {
    #[test]
    fn the_numbers_are_the_same_after_they_were_an_array(sample in sample()) {
        let numbers = sample.numbers;
        prop_assert_eq!(Numbers::from_array(numbers.to_array()), numbers);
    }

    #[test]
    fn in_which_order_agents_are_joined_makes_no_difference(
        one in sample(), two in sample(), three in sample()
    ) {
        let mut forwards = one.clone();
        forwards.join(&two);
        forwards.join(&three);
        let mut backwards = three;
        backwards.join(&two);
        backwards.join(&one);
        prop_assert_eq!(forwards, backwards);
    }

    #[test]
    fn adding_minutes_gives_what_adding_their_seconds_gives(
        samples in prop::collection::vec(sample(), 4)
    ) {
        let add = |samples: &[Sample]| {
            let mut sum = samples[0].clone();
            for next in &samples[1..] {
                sum.append(next);
            }
            sum
        };
        let minutes = [add(&samples[..2]), add(&samples[2..])];
        prop_assert_eq!(add(&minutes), add(&samples));
    }
}
