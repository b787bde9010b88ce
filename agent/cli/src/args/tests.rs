use std::time::Duration;

use expect_test::{Expect, expect};
use hostler_daemon::control::Client;

use super::*;

fn parsed(line: &str) -> Args {
    Args::from_words(line.split_whitespace()).expect("a valid command line")
}

fn refused(line: &str, sentence: &Expect) {
    let error = Args::from_words(line.split_whitespace()).expect_err("a wrong command line");
    assert_eq!(error.exit_code(), 2, "a wrong command line exits with 2");
    sentence.assert_eq(&error.to_string());
}

fn runq(line: &str) -> RunqArgs {
    match parsed(line).command {
        Some(Command::Trace(TraceCommand::Runq(runq))) => runq,
        other => panic!("not a trace: {other:?}"),
    }
}

#[test]
fn the_syntax_is_consistent() {
    Args::command().debug_assert();
}

#[test]
fn without_a_command_the_live_view_refreshes_each_second() {
    let args = parsed("hostler");
    assert!(args.command.is_none());
    assert_eq!(args.live.interval, Duration::from_secs(1));
    assert_eq!(args.live.duration, None);
    assert!(!args.live.once);
}

#[test]
fn a_trace_reports_once_about_all_agents_unless_told_otherwise() {
    let runq = runq("hostler trace runq");
    assert_eq!(runq.times.interval, None);
    assert_eq!(runq.group_by, GroupBy::Agent);
    assert_eq!(runq.format.chosen(), Format::Text);
    assert_eq!(runq.histograms_to_draw(), 5);
}

#[test]
fn an_empty_socket_is_that_of_no_daemon() {
    let args = Args::from_words(["hostler", "--socket", "", "agents"]).expect("as its help says");
    let daemon = Client::connect(&args.global.socket);
    assert!(daemon.expect("nobody is asked").is_none());
}

#[test]
fn options_before_a_command_are_hostlers_and_those_after_it_the_command_s() {
    let exec = |line: &str| match parsed(line).command {
        Some(Command::Exec(exec)) => exec,
        other => panic!("not that: {other:?}"),
    };
    let words = exec("hostler exec --threads 4 agent --threads 9 -x").command;
    assert_eq!(words, ["agent", "--threads", "9", "-x"]);
    let words = exec("hostler exec --node 1 -- ./agent --node 2").command;
    assert_eq!(words, ["./agent", "--node", "2"]);
    let mistyped = "hostler exec --thread 4 -- agent";
    assert!(Args::from_words(mistyped.split(' ')).is_err());
}

#[test]
fn each_option_of_a_trace_arrives() {
    let runq = runq(
        "hostler trace runq --agent a* --agent b --group-by node --interval 250ms --duration 1m \
         --json --top 3",
    );
    let patterns: Vec<_> = runq.agents.iter().map(AgentPattern::as_str).collect();
    assert_eq!(patterns, ["a*", "b"]);
    assert_eq!(runq.group_by, GroupBy::Node);
    assert_eq!(runq.times.interval, Some(Duration::from_millis(250)));
    assert_eq!(runq.times.duration, Some(Duration::from_mins(1)));
    assert_eq!(runq.format.chosen(), Format::Json);
    assert_eq!(runq.top, Some(3));
    assert_eq!(runq.histograms_to_draw(), usize::MAX);
}

#[test]
fn global_options_may_stand_before_and_after_the_command() {
    for line in [
        "hostler -vv --color never --threads-from procfs agents",
        "hostler agents -vv --color never --threads-from procfs",
    ] {
        let global = parsed(line).global;
        assert_eq!(global.verbose, 2);
        assert_eq!(global.color, ColorWhen::Never);
        assert_eq!(global.threads_from, Some(ThreadsFrom::Procfs));
    }
}

#[test]
fn colours_are_for_terminals_unless_told_otherwise() {
    let set = Some("1".as_ref());
    assert!(ColorWhen::Auto.applies(true, None));
    assert!(ColorWhen::Auto.applies(true, Some("".as_ref())));
    assert!(!ColorWhen::Auto.applies(true, set));
    assert!(!ColorWhen::Auto.applies(false, None));
    assert!(ColorWhen::Always.applies(false, set));
    assert!(!ColorWhen::Never.applies(true, None));
}

#[test]
fn a_wrong_time_is_refused_in_one_sentence_with_an_example() {
    refused(
        "hostler trace runq --interval 1",
        &expect![[r#"
        error: invalid value '1' for '--interval <TIME>': the number needs a unit, for example 1s or 1ms

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn a_wrong_pattern_is_refused_in_one_sentence_with_an_example() {
    refused(
        "hostler agents --agent [a",
        &expect![[r#"
        error: invalid value '[a' for '--agent <GLOB>': unclosed character class; missing ']'; write for example '*mcp*'

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn an_interval_longer_than_the_duration_is_refused() {
    refused(
        "hostler trace runq --interval 5s --duration 2s",
        &expect![[r#"
        error: the interval of 5s is longer than the whole duration of 2s: shorten '--interval' or lengthen '--duration'

        Usage: hostler [OPTIONS] [COMMAND]

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn an_option_of_the_live_view_before_a_command_is_refused() {
    refused(
        "hostler --interval 5s trace runq",
        &expect![[r#"
        error: '--interval' before a command belongs to the live view: write it after the command

        Usage: hostler [OPTIONS] [COMMAND]

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn two_formats_at_once_are_refused() {
    refused(
        "hostler agents --json --csv",
        &expect![[r#"
        error: the argument '--json' cannot be used with '--csv'

        Usage: hostler agents --json

        For more information, try '--help'.
    "#]],
    );
}

#[test]
fn rules_on_both_sides_of_a_command_are_refused_since_some_would_be_lost() {
    let args = parsed("hostler --rule a=comm:a agents");
    assert_eq!(args.global.rules.len(), 1);
    let args = parsed("hostler agents --rule a=comm:a --rule=b=comm:b");
    assert_eq!(args.global.rules.len(), 2);
    let words = "hostler --rule a=comm:a agents --rule b=comm:b".split_whitespace();
    let error = Args::from_words(words).expect_err("one of them would be lost");
    assert!(error.to_string().contains("same side"), "{error}");
}

#[test]
fn peers_have_a_name_each_and_there_are_not_too_many() {
    let twice = "hostler trace rtt --peer a=192.0.2.1 --peer a=192.0.2.2";
    let many: Vec<String> = (0..57)
        .map(|number| format!("--peer p{number}=192.0.2.{number}"))
        .collect();
    for (line, sentence) in [
        (twice.to_owned(), "the peer 'a' is named twice"),
        (
            format!("hostler trace all {}", many.join(" ")),
            "57 peers are named, and at most 56 can be",
        ),
    ] {
        let error = Args::from_words(line.split_whitespace()).expect_err("a wrong command line");
        assert!(error.to_string().contains(sentence), "{error}");
    }
}

#[test]
fn the_daemon_has_its_rules_from_its_configuration_only() {
    let words = "hostler run --rule a=comm:a".split_whitespace();
    let error = Args::from_words(words).expect_err("nobody would follow it");
    assert!(error.to_string().contains("[[rule]]"), "{error}");
}

#[test]
fn own_probes_and_a_recording_contradict_each_other() {
    let words = ["hostler", "agents", "--from", "load.rec", "--own-probes"];
    let refusal = Args::from_words(words).expect_err("they contradict");
    assert!(
        refusal.to_string().contains("measured already"),
        "{refusal}"
    );
}
