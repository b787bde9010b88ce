use proptest::prelude::*;

use super::{
    super::super::{Identified, ProcessFacts},
    NODE, rules,
};

/// Small numbers, so that ids repeat, parents are missing and circles come up.
fn snapshot() -> impl Strategy<Value = Vec<ProcessFacts>> {
    let process = (0_u32..12, 0_u32..12, 0_u64..3, 0_u32..3);
    prop::collection::vec(process, 0..24).prop_map(|rows| {
        rows.into_iter()
            .map(|(pid, parent, started_ns, program)| ProcessFacts {
                pid,
                parent,
                started_ns,
                comm: Some(["node", "python", "sh"][program as usize].to_owned()),
                ..ProcessFacts::default()
            })
            .collect()
    })
}

fn both_rules() -> super::Rules {
    rules(&format!(
        "{NODE}[[rule]]\nname = 'py'\nmatch.comm = 'python'"
    ))
}

proptest! {
    #[test]
    fn the_order_of_the_snapshot_does_not_matter(
        (snapshot, shuffled) in snapshot()
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle()))
    ) {
        let rules = both_rules();
        prop_assert_eq!(rules.identify(&snapshot), rules.identify(&shuffled));
    }

    #[test]
    fn whoever_matches_a_rule_is_identified_by_it_whatever_the_trees_look_like(
        snapshot in snapshot()
    ) {
        let agents = both_rules().identify(&snapshot);
        for (pid, agent) in &agents {
            prop_assert!(snapshot.iter().any(|facts| facts.pid == *pid));
            let comms: Vec<&str> = snapshot
                .iter()
                .filter(|facts| facts.pid == *pid)
                .filter_map(|facts| facts.comm.as_deref())
                .collect();
            if comms.iter().all(|comm| *comm == "node") {
                prop_assert_eq!(&*agent.rule, "node");
            }
        }
    }

    #[test]
    fn a_snapshot_seen_again_says_the_same_again(snapshot in snapshot()) {
        let rules = both_rules();
        let first = rules.identify_after(&Identified::default(), &snapshot);
        let second = rules.identify_after(&first, &snapshot);
        prop_assert!(second.agents().eq(first.agents()));
    }

    #[test]
    fn memory_never_changes_which_rule_matches_a_process(
        first in snapshot(), second in snapshot()
    ) {
        let rules = both_rules();
        let before = rules.identify_after(&Identified::default(), &first);
        let with_memory = rules.identify_after(&before, &second);
        for (pid, agent) in rules.identify(&second) {
            let remembered = with_memory.agent_of(pid);
            prop_assert!(remembered.is_some());
            let of_pid = || second.iter().filter(|facts| facts.pid == pid);
            if of_pid().all(|facts| facts.comm.as_deref() != Some("sh")) {
                prop_assert_eq!(remembered.map(|agent| &agent.rule), Some(&agent.rule));
            }
        }
    }
}
