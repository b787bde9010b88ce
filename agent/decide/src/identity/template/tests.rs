use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    super::{RuleError, names::MAX_NAME_CHARACTERS},
    *,
};

fn parse(text: &str, cmdline: Option<&Expression>) -> Result<Template, RuleError> {
    let context = Context {
        rule: "r",
        group: "g",
        cmdline,
    };
    Template::parse(text, &context)
}

fn name(text: &str, facts: &ProcessFacts) -> String {
    parse(text, None)
        .expect("a valid template")
        .expand(facts, "40", None)
}

fn worker() -> ProcessFacts {
    ProcessFacts {
        pid: 41,
        comm: Some("node".to_owned()),
        uid: Some(1000),
        unit: Some("agent@1.service".to_owned()),
        cgroup: Some("/agents/a".to_owned()),
        cmdline: Some("node mcp-server-github".to_owned()),
        environment: Some(BTreeMap::from([("ID".to_owned(), "a7".to_owned())])),
        ..ProcessFacts::default()
    }
}

#[test]
fn every_placeholder_stands_for_its_fact() {
    assert_eq!(
        name(
            "{rule} {group} {comm} {pid} {uid} {unit} {cgroup} {env:ID}",
            &worker()
        ),
        "r g node 40 1000 agent@1.service /agents/a a7"
    );
}

#[test]
fn captures_are_found_by_name_and_by_number() {
    let expression = Expression::new(r"(\w+)-server-(?P<server>\w+)").expect("a valid regex");
    let template = parse("{server}@{1}", Some(&expression)).expect("a valid template");
    assert_eq!(
        template.expand(&worker(), "41", Some(&expression)),
        "github@mcp"
    );
    assert!(template.needs().cmdline);
}

#[test]
fn a_fact_that_is_unknown_or_empty_is_a_question_mark() {
    let mut facts = ProcessFacts::default();
    assert_eq!(name("{comm}/{env:ID}/{uid}", &facts), "?/?/?");
    facts.comm = Some(String::new());
    assert_eq!(name("{comm}", &facts), "?");
}

#[test]
fn doubled_braces_are_braces() {
    assert_eq!(name("{{{comm}}}", &worker()), "{node}");
}

#[test]
fn a_lone_brace_an_unknown_fact_and_a_hidden_fact_are_refused() {
    for (text, sentence) in [
        (
            "{comm",
            "rule `r`: `agent` has a brace without its partner; write a brace itself twice",
        ),
        (
            "comm}",
            "rule `r`: `agent` has a brace without its partner; write a brace itself twice",
        ),
        (
            "{server}",
            "rule `r`: `agent` holds `{server}`, which is none of {comm}, {pid}, {uid}, {unit}, \
             {cgroup}, {env:NAME}, {rule}, {group} and the captures of `match.cmdline`",
        ),
    ] {
        let error = parse(text, None).expect_err("a broken template");
        assert_eq!(error.to_string(), sentence);
    }
    let expression = Expression::new("(?P<pid>x)").expect("a valid regex");
    assert_eq!(
        parse("{pid}", Some(&expression)),
        Err(RuleError::HiddenByCapture {
            rule: "r".to_owned(),
            capture: "pid".to_owned()
        })
    );
}

#[test]
fn only_the_facts_in_the_template_are_needed() {
    let template = parse("{comm}:{pid}", None).expect("a valid template");
    assert_eq!(template.needs(), Needs::default());
    let template = parse("{uid}{unit}{env:ID}", None).expect("a valid template");
    let needs = template.needs();
    assert!(needs.uid && needs.unit && needs.environment.contains("ID"));
}

proptest! {
    #[test]
    fn no_template_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse(&text, None);
    }

    #[test]
    fn names_are_short_and_printable_whatever_a_process_is_called(comm in any::<String>()) {
        let facts = ProcessFacts { comm: Some(comm.repeat(9)), ..ProcessFacts::default() };
        let name = name("{comm}", &facts);
        prop_assert!((1..=MAX_NAME_CHARACTERS).contains(&name.chars().count()));
        prop_assert!(!name.contains(char::is_control));
    }
}
