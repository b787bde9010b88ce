//! What is kept from one snapshot to the next.

use super::{
    super::super::{Identified, ProcessFacts},
    NODE, process, rules,
};

/// The names of some processes' agents after a row of snapshots.
fn names_after(snapshots: &[&[ProcessFacts]]) -> Vec<(u32, String)> {
    let rules = rules(NODE);
    let last = snapshots
        .iter()
        .fold(Identified::default(), |before, snapshot| {
            rules.identify_after(&before, *snapshot)
        });
    last.agents()
        .map(|(pid, agent)| (pid, agent.name.to_string()))
        .collect()
}

#[test]
fn a_process_whose_maker_has_gone_before_it_was_seen_is_the_maker_s_agent_s() {
    let rules = rules(NODE);
    let before = [process(5, 1, "node"), process(1, 0, "init")];
    let first = rules.identify_after(&Identified::default(), &before);
    let maker = first.agent_of(5).expect("it matches").key();
    let orphan = ProcessFacts {
        made_by: Some(maker),
        ..process(7, 1, "worker")
    };
    let after = [before[0].clone(), before[1].clone(), orphan.clone()];
    let mut identified = rules.identify_after(&first, &after);
    assert_eq!(identified.agent_of(7).map(|agent| &*agent.name), Some("5"));
    // It stays the last of the agent when the others go.
    for _ in 0..2 {
        identified = rules.identify_after(&identified, [&before[1], &orphan]);
        assert_eq!(identified.agent_of(7).map(|agent| &*agent.name), Some("5"));
    }
}

#[test]
fn an_orphan_stays_with_its_agent_however_long_it_lives() {
    let family = [process(5, 1, "node"), process(6, 5, "sh")];
    let orphan = [process(6, 1, "sh")];
    let child = [process(6, 1, "sh"), process(9, 6, "git")];
    assert_eq!(
        names_after(&[&family, &orphan, &orphan, &child]),
        [(6, "5".to_owned()), (9, "5".to_owned())]
    );
}

#[test]
fn a_child_whose_parent_went_while_the_snapshot_was_taken_keeps_its_agent() {
    let family = [process(5, 1, "node"), process(6, 5, "sh")];
    assert_eq!(
        names_after(&[&family, &[process(6, 5, "sh")]]),
        [(6, "5".to_owned())]
    );
}

#[test]
fn a_tree_keeps_its_name_when_its_first_process_goes() {
    let family = [process(5, 1, "node"), process(6, 5, "node")];
    assert_eq!(
        names_after(&[&family, &[process(6, 1, "node")]]),
        [(6, "5".to_owned())]
    );
}

#[test]
fn a_reused_process_id_never_joins_the_tree_that_was_named_after_it() {
    let family = [process(5, 1, "node"), process(6, 5, "node")];
    let reused = ProcessFacts {
        started_ns: 70,
        ..process(5, 1, "node")
    };
    let after = [reused, process(6, 1, "node")];
    assert_eq!(
        names_after(&[&family, &after, &after]),
        [(5, "5@70".to_owned()), (6, "5".to_owned())]
    );
}

#[test]
fn a_reused_process_id_inherits_nothing_from_its_former_holder() {
    let family = [process(5, 1, "node"), process(6, 5, "sh")];
    let reused = ProcessFacts {
        started_ns: 70,
        ..process(6, 1, "sh")
    };
    assert_eq!(names_after(&[&family, &[reused]]), []);
}

#[test]
fn a_process_that_runs_another_program_now_is_judged_anew() {
    let node = [process(5, 1, "node"), process(6, 5, "sh")];
    let bash = [process(5, 1, "bash"), process(6, 5, "sh")];
    assert_eq!(names_after(&[&node, &bash]), []);
}

#[test]
fn what_other_rules_said_is_not_used() {
    let family = [process(5, 1, "node"), process(6, 5, "sh")];
    let before = rules(NODE).identify_after(&Identified::default(), &family);
    let python = rules("[[rule]]\nname = 'node'\nmatch.comm = 'python'");
    let orphan = [process(6, 1, "sh")];
    assert_eq!(python.identify_after(&before, &orphan).agents().count(), 0);
}
