//! What holds of alerts.

use proptest::prelude::*;

use super::*;
use crate::{
    agent_pattern::AgentPattern, identity::Kind, measures::Measure, samples::Numbers,
    signal::AgentSource,
};

const SECOND_US: u64 = 1_000_000;
const SECOND_MS: u64 = 1_000;

fn bounds() -> Bounds {
    Bounds {
        measure: Measure::Cpu,
        above: None,
        below: None,
        rises_by: None,
        falls_by: None,
        against_us: 60 * SECOND_US,
    }
}

fn rule(condition: Condition) -> Rule {
    Rule {
        name: "rule".to_owned(),
        severity: Severity::Warning,
        summary: String::new(),
        scope: Scope::Agent,
        patterns: Vec::new(),
        condition,
        over_us: SECOND_US,
        for_us: 0,
    }
}

fn above(above: f64) -> Rule {
    rule(Condition::Bounds(Bounds {
        above: Some(above),
        ..bounds()
    }))
}

fn patterns(texts: &[&str]) -> Vec<AgentPattern> {
    let parsed = texts.iter().map(|text| text.parse());
    parsed.collect::<Result<_, _>>().expect("they make sense")
}

fn agent(slot: u32, name: &str) -> Arc<Agent> {
    Arc::new(Agent {
        id: SlotLease {
            slot,
            generation: 1,
        },
        name: name.into(),
        group: "group".into(),
        kind: Kind::Agent,
        source: AgentSource::Cgroup,
        place: "".into(),
    })
}

/// A second in which each agent used so many CPUs.
fn second(agents: &[(&Arc<Agent>, f64)]) -> Samples {
    let mut samples = Samples {
        length_us: SECOND_US,
        ..Samples::default()
    };
    for (agent, cpus) in agents {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a few CPUs"
        )]
        let numbers = Numbers {
            length_us: SECOND_US,
            on_cpu_us: (cpus * 1e6) as u64,
            ..Numbers::default()
        };
        let sample = Sample {
            numbers,
            ..Sample::default()
        };
        samples.host.join(&sample);
        let group = samples.groups.entry(Arc::clone(&agent.group));
        group.or_default().join(&sample);
        samples.agents.insert(agent.id, (Arc::clone(agent), sample));
    }
    samples
}

/// What happens second by second, as `+` for one that fires and `-` for one that is over.
fn story(alerts: &mut Alerts, agent: &Arc<Agent>, cpus: &[f64]) -> String {
    let mut story = String::new();
    for (index, cpus) in (1..).zip(cpus) {
        let changes = alerts.add(&second(&[(agent, *cpus)]), index * SECOND_MS);
        story.push(match changes[..] {
            [] => '.',
            [Change::Fires(_)] => '+',
            [Change::IsOver(_)] => '-',
            _ => '?',
        });
    }
    story
}

fn alerts(rule: Rule) -> Alerts {
    let mut alerts = Alerts::default();
    assert!(alerts.set_rules(vec![rule]).is_empty());
    alerts
}

#[test]
fn a_threshold_fires_once_and_is_over_once() {
    let mut alerts = alerts(above(1.0));
    let told = story(
        &mut alerts,
        &agent(70, "a"),
        &[0.5, 1.0, 2.0, 3.0, 0.1, 0.1, 2.0],
    );
    assert_eq!(told, "..+.-.+");
    let firing = alerts.firing();
    assert_eq!(firing.len(), 1);
    assert_eq!((firing[0].value, firing[0].since_ms), (Some(2.0), 6_000));
}

#[test]
fn what_does_not_last_is_not_told() {
    let rule = Rule {
        for_us: 3 * SECOND_US,
        ..above(1.0)
    };
    let told = story(
        &mut alerts(rule),
        &agent(70, "a"),
        &[2.0, 2.0, 0.0, 2.0, 2.0, 2.0, 2.0, 0.0],
    );
    assert_eq!(told, ".....+.-");
}

#[test]
fn a_rule_judges_stretches_of_its_own_length() {
    let rule = Rule {
        over_us: 3 * SECOND_US,
        ..above(1.0)
    };
    let told = story(
        &mut alerts(rule),
        &agent(70, "a"),
        &[9.0, 0.0, 0.0, 2.5, 0.0, 0.0, 0.0, 0.0, 0.0],
    );
    assert_eq!(told, "..+..-...");
}

#[test]
fn a_change_is_against_what_was_usual_and_not_before_that_is_known() {
    let rises = rule(Condition::Bounds(Bounds {
        rises_by: Some(0.5),
        above: Some(0.1),
        against_us: 10 * SECOND_US,
        ..bounds()
    }));
    let mut cpus = vec![5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    cpus.extend([1.2, 4.0, 4.0, 1.2]);
    let told = story(&mut alerts(rises), &agent(70, "a"), &cpus);
    assert_eq!(told, ".............+.-");
    let falls = rule(Condition::Bounds(Bounds {
        falls_by: Some(0.5),
        against_us: 4 * SECOND_US,
        ..bounds()
    }));
    let cpus = [1.0, 1.0, 1.0, 1.0, 0.6, 0.2, 1.0];
    assert_eq!(story(&mut alerts(falls), &agent(70, "a"), &cpus), ".....+-");
}

#[test]
fn what_is_new_for_good_becomes_usual() {
    let rises = rule(Condition::Bounds(Bounds {
        rises_by: Some(0.5),
        against_us: 5 * SECOND_US,
        ..bounds()
    }));
    let mut cpus = vec![1.0; 10];
    cpus.extend([3.0; 30]);
    let told = story(&mut alerts(rises), &agent(70, "a"), &cpus);
    assert_eq!(told.matches('+').count(), 1);
    assert_eq!(told.matches('-').count(), 1);
}

#[test]
fn who_is_missing_is_told_of_by_the_name_that_was_written() {
    let rule = Rule {
        patterns: patterns(&["mcp-*", "db"]),
        for_us: 2 * SECOND_US,
        ..rule(Condition::Absent)
    };
    let mut alerts = alerts(rule);
    let (mcp, db) = (agent(70, "mcp-1"), agent(71, "db"));
    let both = second(&[(&mcp, 0.0), (&db, 0.0)]);
    let only_db = second(&[(&db, 0.0)]);
    assert!(alerts.add(&both, SECOND_MS).is_empty());
    assert!(alerts.add(&only_db, 2 * SECOND_MS).is_empty());
    let changes = alerts.add(&only_db, 3 * SECOND_MS);
    let [Change::Fires(alert)] = &changes[..] else {
        panic!("one fires: {changes:?}");
    };
    assert_eq!(alert.subject.title(), "mcp-*");
    let changes = alerts.add(&both, 4 * SECOND_MS);
    assert!(matches!(changes[..], [Change::IsOver(_)]), "{changes:?}");
}

#[test]
fn who_goes_takes_its_alert_along_and_who_is_not_meant_has_none() {
    let rule = Rule {
        patterns: patterns(&["a"]),
        ..above(1.0)
    };
    let mut alerts = alerts(rule);
    let (a, b) = (agent(70, "a"), agent(71, "b"));
    let changes = alerts.add(&second(&[(&a, 2.0), (&b, 2.0)]), SECOND_MS);
    assert_eq!(changes.len(), 1);
    let changes = alerts.add(&second(&[(&b, 2.0)]), 2 * SECOND_MS);
    assert!(matches!(changes[..], [Change::IsOver(_)]), "{changes:?}");
    assert!(alerts.firing().is_empty());
}

#[test]
fn groups_and_the_host_are_judged_as_wholes() {
    for (scope, title) in [(Scope::Group, "group"), (Scope::Host, "host")] {
        let rule = Rule {
            scope,
            ..above(2.5)
        };
        let changes = alerts(rule).add(
            &second(&[(&agent(70, "a"), 2.0), (&agent(71, "b"), 2.0)]),
            SECOND_MS,
        );
        let [Change::Fires(alert)] = &changes[..] else {
            panic!("one fires: {changes:?}");
        };
        assert_eq!((alert.subject.title(), alert.value), (title, Some(4.0)));
    }
}

#[test]
fn of_a_rule_that_holds_for_all_some_are_told_and_the_others_counted() {
    let mut alerts = alerts(above(1.0));
    let agents: Vec<Arc<Agent>> = (0..200)
        .map(|slot| agent(slot, &format!("{slot}")))
        .collect();
    let busy: Vec<(&Arc<Agent>, f64)> = agents.iter().map(|agent| (agent, 2.0)).collect();
    for at in 1..4 {
        let changes = alerts.add(&second(&busy), at * SECOND_MS);
        assert_eq!(changes.len(), if at == 1 { MOST_FIRING } else { 0 });
    }
    let counts: Vec<usize> = alerts.counts().map(|(_, count)| count).collect();
    assert_eq!(counts, [200]);
}

#[test]
fn rules_that_stay_go_on_and_alerts_of_those_that_go_are_over() {
    let mut alerts = alerts(above(1.0));
    let a = agent(70, "a");
    assert_eq!(story(&mut alerts, &a, &[2.0]), "+");
    assert!(alerts.set_rules(vec![above(1.0), above(9.0)]).is_empty());
    assert_eq!(alerts.firing().len(), 1);
    let changes = alerts.set_rules(vec![above(9.0)]);
    assert!(matches!(changes[..], [Change::IsOver(_)]), "{changes:?}");
}

proptest! {
    #[test]
    fn whatever_happens_what_fires_is_over_before_it_fires_again(
        cpus in prop::collection::vec(0.0_f64..3.0, 1..60),
        over_s in 1_u64..4,
        for_s in 0_u64..4,
    ) {
        let rule = Rule {
            over_us: over_s * SECOND_US,
            for_us: for_s * SECOND_US,
            ..above(1.5)
        };
        let mut alerts = alerts(rule);
        let told = story(&mut alerts, &agent(70, "a"), &cpus).replace('.', "");
        prop_assert!(!told.contains('?'));
        prop_assert!(!told.contains("++") && !told.contains("--") && !told.starts_with('-'));
        prop_assert_eq!(told.ends_with('+'), !alerts.firing().is_empty());
    }
}
