mod memory;
mod properties;

use std::collections::BTreeMap;

use super::{
    super::{Kind, Needs, ProcessFacts, RawRules, RuleError},
    Rules,
};

fn compile(toml: &str) -> Result<Rules, RuleError> {
    let raw: RawRules = toml::from_str(toml).expect("valid TOML");
    Rules::new(&raw)
}

fn rules(toml: &str) -> Rules {
    compile(toml).expect("valid rules")
}

fn process(pid: u32, parent: u32, comm: &str) -> ProcessFacts {
    ProcessFacts {
        pid,
        parent,
        started_ns: u64::from(pid),
        comm: Some(comm.to_owned()),
        ..ProcessFacts::default()
    }
}

/// Each process's agent as `group/name`.
fn names(rules: &Rules, snapshot: &[ProcessFacts]) -> BTreeMap<u32, String> {
    rules
        .identify(snapshot)
        .into_iter()
        .map(|(pid, agent)| (pid, format!("{}/{}", agent.group, agent.name)))
        .collect()
}

fn expected(pairs: &[(u32, &str)]) -> BTreeMap<u32, String> {
    pairs
        .iter()
        .map(|&(pid, name)| (pid, name.to_owned()))
        .collect()
}

const NODE: &str = "[[rule]]\nname = 'node'\nmatch.comm = 'node'\n";

#[test]
fn all_matchers_of_a_rule_must_match() {
    let rules = rules(
        "[[rule]]\nname = 'a'\nmatch.comm = 'node'\nmatch.uid = [7, 8]\nmatch.env = { ID = 'x*' }\n\
         match.cgroup = 'agents/*'\nmatch.cmdline = 'server$'\nmatch.unit = '*.service'\n\
         match.pod_namespace = 'prod'\nmatch.pod_label = { app = 'agent' }",
    );
    let whole = ProcessFacts {
        uid: Some(8),
        environment: Some(BTreeMap::from([("ID".to_owned(), "x1".to_owned())])),
        cgroup: Some("/agents/1".to_owned()),
        cmdline: Some("node server".to_owned()),
        unit: Some("a.service".to_owned()),
        pod_namespace: Some("prod".to_owned()),
        pod_labels: Some(BTreeMap::from([("app".to_owned(), "agent".to_owned())])),
        ..process(5, 1, "node")
    };
    assert_eq!(rules.identify(std::slice::from_ref(&whole)).len(), 1);
    let spoil: [fn(&mut ProcessFacts); 8] = [
        |facts| facts.uid = Some(9),
        |facts| facts.comm = None,
        |facts| facts.environment = Some(BTreeMap::new()),
        |facts| facts.cgroup = Some("/other/agents/1".to_owned()),
        |facts| facts.cmdline = None,
        |facts| facts.unit = Some("a.scope".to_owned()),
        |facts| facts.pod_namespace = None,
        |facts| facts.pod_labels = None,
    ];
    for spoil in spoil {
        let mut facts = whole.clone();
        spoil(&mut facts);
        assert!(rules.identify(&[facts]).is_empty());
    }
}

#[test]
fn the_first_rule_that_matches_wins() {
    let rules = rules(&format!("{NODE}[[rule]]\nname = 'any'\nmatch.comm = '*'"));
    let snapshot = [process(5, 1, "node"), process(6, 1, "bash")];
    assert_eq!(
        names(&rules, &snapshot),
        expected(&[(5, "node/5"), (6, "any/6")])
    );
}

#[test]
fn children_inherit_and_a_process_without_an_ancestor_in_the_rules_is_left_out() {
    let snapshot = [
        process(1, 0, "init"),
        process(5, 1, "node"),
        process(6, 5, "sh"),
        process(7, 6, "git"),
        process(8, 1, "bash"),
    ];
    assert_eq!(
        names(&rules(NODE), &snapshot),
        expected(&[(5, "node/5"), (6, "node/5"), (7, "node/5")])
    );
}

#[test]
fn a_process_in_a_tree_that_matches_the_same_rule_begins_no_new_agent() {
    let snapshot = [
        process(5, 1, "node"),
        process(6, 5, "sh"),
        process(7, 6, "node"),
    ];
    assert_eq!(names(&rules(NODE), &snapshot)[&7], "node/5");
}

#[test]
fn a_process_in_a_tree_that_matches_another_rule_is_another_agent() {
    let rules = rules(&format!(
        "{NODE}[[rule]]\nname = 'py'\nmatch.comm = 'python'"
    ));
    let snapshot = [
        process(5, 1, "node"),
        process(6, 5, "python"),
        process(7, 6, "node"),
        process(8, 7, "sh"),
    ];
    assert_eq!(
        names(&rules, &snapshot),
        expected(&[(5, "node/5"), (6, "py/6"), (7, "node/7"), (8, "node/7")])
    );
}

#[test]
fn two_rules_that_give_one_group_and_name_give_one_agent() {
    let rules = rules(
        "[[rule]]\nname = 'a'\ngroup = 'g'\nagent = 'one'\nmatch.comm = 'node'\n\
         [[rule]]\nname = 'b'\ngroup = 'g'\nagent = 'one'\nmatch.comm = 'python'",
    );
    let agents = rules.identify(&[process(5, 1, "node"), process(6, 1, "python")]);
    assert_eq!(agents[&5].key(), agents[&6].key());
    assert_ne!(agents[&5].rule, agents[&6].rule);
}

#[test]
fn a_name_from_the_environment_tells_agents_in_one_tree_apart() {
    let rules = rules("[[rule]]\nname = 'a'\nagent = '{env:ID}'\nmatch.env = { ID = '*' }");
    let with_id = |pid, parent, id: &str| ProcessFacts {
        environment: Some(BTreeMap::from([("ID".to_owned(), id.to_owned())])),
        ..process(pid, parent, "sh")
    };
    let snapshot = [with_id(5, 1, "x"), with_id(6, 5, "x"), with_id(7, 6, "y")];
    assert_eq!(
        names(&rules, &snapshot),
        expected(&[(5, "a/x"), (6, "a/x"), (7, "a/y")])
    );
}

#[test]
fn only_what_the_rules_look_at_is_needed() {
    assert_eq!(rules(NODE).needs(), Needs::default());
    let needs = rules(&format!(
        "{NODE}[[rule]]\nname = 'b'\nagent = '{{uid}}'\nmatch.env = {{ ID = '*' }}"
    ))
    .needs();
    assert!(needs.uid && !needs.cmdline && needs.environment.contains("ID"));
}

#[test]
fn what_is_wrong_with_a_rule_is_said_in_one_sentence_that_names_rule_and_field() {
    let rule = "[[rule]]\nname = 'a'\n";
    for (text, sentence) in [
        (
            "[[rule]]\nname = ''".to_owned(),
            "rule 1 has an empty `name`",
        ),
        (
            rule.to_owned(),
            "rule `a` has no `match`, so it would match every process",
        ),
        (
            format!("{rule}match.comm = ''"),
            "rule `a`: `match.comm` is empty",
        ),
        (
            format!("{rule}match.uid = []"),
            "rule `a`: `match.uid` is empty",
        ),
        (
            format!("{rule}match.env = {{ ID = '[' }}"),
            "rule `a`: `match.env.ID` can't be read: unclosed character class; missing ']'",
        ),
        (
            format!("{rule}match.cmdline = '(x'"),
            "rule `a`: `match.cmdline` can't be read: unclosed group",
        ),
        (
            format!("{rule}match.comm = '{}'", "x".repeat(1_001)),
            "rule `a`: `match.comm` is longer than 1000 bytes",
        ),
        (
            format!("{rule}group = \"\\u001b\"\nmatch.comm = 'x'"),
            "rule `a`: `group` holds a character that can't be printed",
        ),
        (
            format!("{NODE}{NODE}"),
            "two rules have the name `node`: give each its own `name`, and both the same `group` \
             if their agents belong together",
        ),
        (
            format!("{NODE}{rule}group = 'node'\nkind = 'system'\nmatch.comm = 'x'"),
            "rule `a` has kind `system`, but group `node` has agents of another kind already",
        ),
    ] {
        let error = compile(&text).expect_err("a broken rule");
        assert_eq!(error.to_string(), sentence);
    }
}

#[test]
fn a_system_rule_makes_system_agents() {
    let rules = rules("[[rule]]\nname = 'ssh'\nkind = 'system'\nmatch.comm = 'sshd'");
    assert_eq!(
        rules.identify(&[process(5, 1, "sshd")])[&5].kind,
        Kind::System
    );
}
