//! What holds of metrics, whatever happens on a host.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use expect_test::{expect, expect_file};
use hostler_common::{ledger::state, pair::PairKey, peer::PeerKey, slot::SlotLease};
use hostler_decide::{
    identity::Kind as AgentKind,
    peers::PeerWindow,
    placement::Placement,
    scene::HostFacts,
    signal::{Agent, AgentSource, PairSignal},
    window::{RunQueueWindow, Window, WindowSum},
};
use proptest::prelude::*;

use super::{
    catalogue::{COUNTS, DISTRIBUTIONS, HOST, LOSSES, OWN, OWN_PREFIX, PROCESS, Scope},
    *,
};
use crate::simulated::{Host, facts};

const SECOND_NS: u64 = 1_000_000_000;

fn policy() -> Policy {
    Policy {
        top: 3,
        pinned: Vec::new(),
        linger: Duration::from_mins(1),
        groups: 64,
        series: 20_000,
    }
}

/// The samples of a classic text, by series.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        let value = value.parse().expect("a number");
        let twice = all.insert(series.to_owned(), value);
        assert!(twice.is_none(), "{series} is there twice");
    }
    all
}

fn written(totals: &mut Totals) -> BTreeMap<String, f64> {
    samples(&totals.write(Format::Classic, &OwnCost::default()).0)
}

fn agent(slot: u32, group: &str, name: &str) -> Arc<Agent> {
    Arc::new(Agent {
        id: SlotLease {
            slot,
            generation: 1,
        },
        name: name.into(),
        group: group.into(),
        kind: AgentKind::Agent,
        source: AgentSource::Cgroup,
        place: "/".into(),
    })
}

/// A row of an agent with a thread that was on a CPU for so long.
fn row(on_cpu_ns: u64) -> RunQueueWindow {
    let mut row = RunQueueWindow::default();
    row.ledger.threads = 1;
    row.ledger.ns[state::ON_CPU as usize] = on_cpu_ns.cast_signed();
    row.on_cpu.count(on_cpu_ns);
    row
}

/// A window of a second, the `second`th.
fn window(second: u64, rows: Vec<(Arc<Agent>, RunQueueWindow)>) -> Window {
    Window {
        from_ns: (second - 1) * SECOND_NS,
        to_ns: second * SECOND_NS,
        agents: rows
            .into_iter()
            .map(|(agent, row)| (agent.id, (agent, row)))
            .collect(),
        ..Window::default()
    }
}

#[test]
fn the_reference_page_is_that_of_the_catalogue() {
    expect_file!["../../METRICS.md"].assert_eq(&reference());
}

#[test]
fn each_name_is_there_once_and_says_what_it_means() {
    let of_counts = COUNTS
        .iter()
        .flat_map(|of| of.scopes.iter().map(|scope| (scope.prefix(), of.metric)));
    let of_distributions = DISTRIBUTIONS
        .iter()
        .flat_map(|of| [Scope::Host, Scope::Group].map(|scope| (scope.prefix(), of.metric)));
    let all = of_counts
        .chain(of_distributions)
        .chain(HOST.iter().map(|of| (Scope::Host.prefix(), of.metric)))
        .chain(LOSSES.iter().map(|of| (OWN_PREFIX, of.metric)))
        .chain(OWN.iter().map(|of| (OWN_PREFIX, of.metric)))
        .chain(PROCESS.iter().map(|of| ("", of.metric)));
    let mut names = BTreeSet::new();
    for (prefix, metric) in all {
        let name = format!("{prefix}{}", metric.name);
        assert!(!name.ends_with("_total"), "{name}");
        assert!(
            metric.help.ends_with('.') || metric.help.ends_with("always 1."),
            "{name}"
        );
        assert!(names.insert(name.clone()), "{name} is there twice");
    }
}

#[test]
fn both_formats_tell_the_same_in_their_own_way() {
    let mut totals = Totals::new(&HostFacts::default(), policy());
    let name = "a \"quoted\\\" name\nof two lines";
    totals.add(&window(1, vec![(agent(70, "tools", name), row(3_000))]));
    let lines = |text: &str| -> String {
        let wanted = |line: &&str| line.contains("agent_thread_seconds") || line.starts_with("# E");
        let mut lines: Vec<&str> = text.lines().filter(wanted).take(4).collect();
        lines.push("");
        lines.join("\n")
    };
    let (classic, _) = totals.write(Format::Classic, &OwnCost::default());
    expect![[r#"
        # HELP hostler_agent_thread_seconds_total Time of all threads by state; the states add up to threads times wall time.
        # TYPE hostler_agent_thread_seconds_total counter
        hostler_agent_thread_seconds_total{agent="a \"quoted\\\" name\nof two lines",group="tools",state="on_cpu"} 0.000003
        hostler_agent_thread_seconds_total{agent="a \"quoted\\\" name\nof two lines",group="tools",state="waiting_woken"} 0
    "#]]
    .assert_eq(&lines(&classic));
    let (open, _) = totals.write(Format::OpenMetrics, &OwnCost::default());
    expect![[r#"
        # HELP hostler_agent_thread_seconds Time of all threads by state; the states add up to threads times wall time.
        # TYPE hostler_agent_thread_seconds counter
        # UNIT hostler_agent_thread_seconds seconds
        hostler_agent_thread_seconds_total{agent="a \"quoted\\\" name\nof two lines",group="tools",state="on_cpu"} 0.000003
    "#]]
    .assert_eq(&lines(&open));
    assert!(open.ends_with("\n# EOF\n") && !classic.contains("# EOF"));
}

#[test]
fn buckets_are_cumulative_and_exact_at_powers_of_two() {
    let mut totals = Totals::new(&HostFacts::default(), policy());
    for (second, ns) in [(1, 1_000), (2, 1_023), (3, 1_025), (4, 70_000_000_000)] {
        totals.add(&window(second, vec![(agent(70, "g", "a"), row(ns))]));
    }
    let all = written(&mut totals);
    let bucket = |le: &str| {
        all[&format!("hostler_group_on_cpu_stretch_seconds_bucket{{group=\"g\",le=\"{le}\"}}")]
    };
    assert_eq!(bucket("0.000001024"), 2.0);
    assert_eq!(bucket("0.000002048"), 3.0);
    assert_eq!(bucket("68.719476736"), 3.0);
    assert_eq!(bucket("+Inf"), 4.0);
    assert_eq!(
        all["hostler_group_on_cpu_stretch_seconds_count{group=\"g\"}"],
        4.0
    );
}

#[test]
fn who_comes_back_under_its_name_goes_on_and_two_of_one_name_are_one() {
    let mut totals = Totals::new(&HostFacts::default(), policy());
    let series = "hostler_agent_thread_seconds_total{agent=\"a\",group=\"g\",state=\"on_cpu\"}";
    totals.add(&window(1, vec![(agent(70, "g", "a"), row(SECOND_NS))]));
    totals.add(&window(2, Vec::new()));
    assert_eq!(
        written(&mut totals)["hostler_agent_threads{agent=\"a\",group=\"g\"}"],
        0.0
    );
    totals.add(&window(3, vec![(agent(71, "g", "a"), row(SECOND_NS))]));
    assert_eq!(written(&mut totals)[series], 2.0);
    let both = vec![
        (agent(71, "g", "a"), row(SECOND_NS)),
        (agent(72, "g", "a"), row(SECOND_NS)),
    ];
    totals.add(&window(4, both));
    let all = written(&mut totals);
    assert_eq!(all[series], 4.0);
    assert_eq!(all["hostler_agent_threads{agent=\"a\",group=\"g\"}"], 2.0);
}

#[test]
fn who_has_gone_keeps_its_series_for_a_while_and_stays_in_its_groups_sums() {
    let mut totals = Totals::new(&HostFacts::default(), policy());
    let stays = || (agent(60, "g", "stays"), row(0));
    totals.add(&window(
        1,
        vec![stays(), (agent(70, "g", "a"), row(SECOND_NS))],
    ));
    let own = "hostler_agent_thread_seconds_total{agent=\"a\",group=\"g\",state=\"on_cpu\"}";
    let groups = "hostler_group_thread_seconds_total{group=\"g\",state=\"on_cpu\"}";
    totals.add(&window(61, vec![stays()]));
    assert_eq!(written(&mut totals)[own], 1.0);
    totals.add(&window(62, vec![stays()]));
    let all = written(&mut totals);
    assert!(!all.contains_key(own));
    assert_eq!(all[groups], 1.0);
    // Its slot is another's now.
    totals.add(&window(
        63,
        vec![stays(), (agent(70, "h", "b"), row(SECOND_NS))],
    ));
    let all = written(&mut totals);
    assert_eq!(all["hostler_agent_threads{agent=\"b\",group=\"h\"}"], 1.0);
    assert_eq!(all[groups], 1.0);
}

#[test]
fn the_rate_of_bottlenecks_is_how_many_agents_each_of_them_holds_up() {
    let mut totals = Totals::new(&HostFacts::default(), policy());
    let held = |slot, state, ns: i64| {
        let mut row = row(0);
        row.ledger.ns[state as usize] = ns;
        (agent(slot, "g", &format!("a{slot}")), row)
    };
    totals.add(&window(
        1,
        vec![
            held(70, state::THROTTLED, 600_000_000),
            held(71, state::THROTTLED, 20_000_000),
            held(72, state::ON_CPU, 1_000_000_000),
            held(73, state::ASLEEP, 1_000_000_000),
        ],
    ));
    let all = written(&mut totals);
    let of = |scope: &str, labels: &str| {
        let name = format!("hostler_{scope}_bottleneck_seconds_total{{{labels}}}");
        all.get(&*name).copied()
    };
    assert_eq!(of("host", "bottleneck=\"quota\""), Some(2.0));
    assert_eq!(
        of("group", "group=\"g\",bottleneck=\"computing\""),
        Some(1.0)
    );
    let own = "agent=\"a72\",group=\"g\",bottleneck=\"computing\"";
    assert_eq!(of("agent", own), Some(1.0));
    assert_eq!(of("host", "bottleneck=\"cpu\""), None);
}

#[test]
fn the_first_by_any_criterion_and_the_pinned_have_series_of_their_own() {
    let pinned = vec!["quiet-7".parse().expect("a pattern")];
    let mut totals = Totals::new(&HostFacts::default(), Policy { pinned, ..policy() });
    let mut rows: Vec<_> = (0..10)
        .map(|number| {
            (
                agent(70 + number, "g", &format!("quiet-{number}")),
                row(1_000),
            )
        })
        .collect();
    for number in 0..4 {
        let mut busy = row(SECOND_NS * u64::from(number + 1));
        busy.faults.major = u64::from(10 - number);
        rows.push((agent(90 + number, "g", &format!("busy-{number}")), busy));
    }
    totals.add(&window(1, rows));
    let all = written(&mut totals);
    let has = |name: &str| {
        all.contains_key(&format!(
            "hostler_agent_threads{{agent=\"{name}\",group=\"g\"}}"
        ))
    };
    for name in ["busy-0", "busy-1", "busy-2", "busy-3", "quiet-7"] {
        assert!(has(name), "{name}");
    }
    assert!(!has("quiet-6"));
}

#[test]
fn groups_beyond_the_limit_are_added_up() {
    let mut totals = Totals::new(
        &HostFacts::default(),
        Policy {
            groups: 2,
            ..policy()
        },
    );
    let rows = (0..5)
        .map(|number| {
            (
                agent(70 + number, &format!("g{number}"), "a"),
                row(SECOND_NS),
            )
        })
        .collect();
    totals.add(&window(1, rows));
    let all = written(&mut totals);
    assert_eq!(all["hostler_group_agents{group=\"g1\"}"], 1.0);
    assert_eq!(all["hostler_group_agents{group=\"[other groups]\"}"], 3.0);
    assert_eq!(all["hostler_host_agents"], 5.0);
}

#[test]
fn a_group_whose_agents_are_forgotten_makes_room_and_its_counts_stay_among_the_others() {
    let mut totals = Totals::new(
        &HostFacts::default(),
        Policy {
            groups: 1,
            ..policy()
        },
    );
    totals.add(&window(1, vec![(agent(70, "old", "a"), row(SECOND_NS))]));
    totals.add(&window(62, vec![(agent(71, "new", "a"), row(SECOND_NS))]));
    let on_cpu = |all: &BTreeMap<String, f64>, group: &str| {
        let series =
            format!("hostler_group_thread_seconds_total{{group=\"{group}\",state=\"on_cpu\"}}");
        all.get(&series).copied()
    };
    let all = written(&mut totals);
    assert_eq!(on_cpu(&all, "old"), None);
    // There was no room for it when it came.
    assert_eq!(on_cpu(&all, "[other groups]"), Some(2.0));
    totals.add(&window(
        63,
        vec![(agent(72, "newest", "a"), row(SECOND_NS))],
    ));
    let all = written(&mut totals);
    assert_eq!(on_cpu(&all, "newest"), Some(1.0));
    assert_eq!(
        all["hostler_host_thread_seconds_total{state=\"on_cpu\"}"],
        3.0
    );
}

#[test]
fn what_the_limit_leaves_out_is_counted() {
    let mut totals = Totals::new(&HostFacts::default(), policy());
    let rows =
        || (0..20).map(|number| (agent(70 + number, "g", &format!("a{number}")), row(1_000)));
    totals.add(&window(1, rows().collect()));
    let (_, all) = totals.write(Format::Classic, &OwnCost::default());
    assert_eq!(all.left_out, 0);
    totals.set_policy(Policy {
        series: all.series - 1,
        ..policy()
    });
    let (text, fewer) = totals.write(Format::Classic, &OwnCost::default());
    assert!(fewer.series < all.series && fewer.left_out > 0);
    assert_eq!(fewer.series + fewer.left_out, all.series);
    let left_out = samples(&text)["hostler_metrics_series_left_out_total"];
    assert_eq!(left_out, fewer.left_out as f64);
}

#[test]
fn a_scrape_of_the_reference_load_has_less_than_five_mebibytes() {
    let wanted = Policy {
        top: 25,
        linger: Duration::from_mins(15),
        ..policy()
    };
    let mut totals = Totals::new(&facts(), wanted);
    let mut chance = fastrand::Rng::with_seed(7);
    for second in 1..=200 {
        let rows = (0..4_462).map(|number| {
            let group = format!("namespace-{}", number % 70);
            let name = format!("kubepods/{group}/worker-{number}/main");
            let busy = chance.u32(0..10) == 0;
            let row = row(if busy { chance.u64(1..SECOND_NS) } else { 0 });
            (agent(70 + number, &group, &name), row)
        });
        totals.add(&window(second, rows.collect()));
    }
    let (text, written) = totals.write(Format::OpenMetrics, &OwnCost::default());
    assert!(text.len() < 5 << 20, "{} bytes", text.len());
    assert!(written.series > 5_000, "{} series", written.series);
}

/// A window in which some of some thirty agents do something; who is missing has gone.
fn by_chance(chance: &mut fastrand::Rng, second: u64) -> Window {
    let mut rows = Vec::new();
    for number in (0..30).filter(|_| chance.bool()).collect::<Vec<u32>>() {
        let agent = agent(
            70 + number,
            &format!("g{}", number % 5),
            &format!("a{}", number % 7),
        );
        let mut row = row(chance.u64(0..SECOND_NS));
        row.faults.minor = chance.u64(0..9);
        row.block_io.read_bytes = chance.u64(0..9);
        row.voluntary_switches = chance.u64(0..9);
        row.placement = chance.bool().then(|| {
            let mut placement = Placement::default();
            placement.on_cpu_ns[chance.usize(0..2)] = chance.u64(0..SECOND_NS);
            Box::new(placement)
        });
        rows.push((agent, row));
    }
    let mut window = window(second, rows);
    // Also of agents that are in no row: they have just gone, or never had a name.
    for _ in 0..10 {
        let lease = SlotLease {
            slot: chance.u32(70..110),
            generation: 1,
        };
        let key = PairKey {
            waiter: lease,
            cause: chance.u32(70..110),
            relation: 0,
        };
        let pair = PairSignal {
            waits: 1,
            wait_ns: chance.u64(0..SECOND_NS),
        };
        window.pairs.insert(key, pair);
        let key = PeerKey {
            agent: lease,
            peer: chance.u32(0..12),
            reserved: 0,
        };
        let mut peer = PeerWindow::default();
        peer.counts.sent_bytes = chance.u64(0..1_000);
        window.peers.insert(key, peer);
    }
    window
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counters_of_groups_never_go_backwards_and_add_up_to_those_of_the_host(seed: u64) {
        let mut chance = fastrand::Rng::with_seed(seed);
        let linger = Duration::from_secs(2);
        let mut totals = Totals::new(&facts(), Policy { groups: 3, linger, ..policy() });
        let mut before = BTreeMap::new();
        for second in 1..12 {
            totals.add(&by_chance(&mut chance, second));
            let now = written(&mut totals);
            let of_groups = |series: &str| series.contains("_total") && !series.contains("_agent_");
            for (series, value) in now.iter().filter(|(series, _)| of_groups(series)) {
                let was = before.get(series).copied().unwrap_or(0.0);
                prop_assert!(*value >= was, "{series}: {was}, {value}");
            }
            before = now;
        }
        let of_host = before.iter().filter(|(series, _)| {
            series.starts_with("hostler_host_") && series.contains("_total")
        });
        for (series, value) in of_host {
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let begin = format!("{}{{group=", name.replace("_host_", "_group_"));
            let end = if labels == "}" { "}".to_owned() } else { format!(",{labels}") };
            let groups = before.iter().filter(|(other, _)| {
                other.starts_with(&begin) && other.ends_with(&end)
            });
            let added: f64 = groups.map(|(_, value)| value).sum();
            prop_assert!((added - value).abs() <= value.abs() * 1e-9, "{series}: {value}, {added}");
        }
    }

    #[test]
    fn there_are_never_more_series_than_the_limit(seed: u64, series in 1_200_usize..4_000) {
        let mut host = Host::new(seed);
        let mut sum = WindowSum::new(host.read().reading);
        let mut totals = Totals::new(&facts(), Policy { series, ..policy() });
        for _ in 0..4 {
            sum.add(host.read().reading);
            totals.add(&sum.take());
            let (text, all) = totals.write(Format::Classic, &OwnCost::default());
            prop_assert_eq!(samples(&text).len(), all.series);
            prop_assert!(all.series <= series, "{} series", all.series);
        }
    }
}
