//! What each test came to, from the JSON lines that `libtest-mimic` prints.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::vm::session::Part;

/// A test that ran, or that was skipped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trial {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
    /// How long it took, in seconds of ours, not of the guest's.
    pub(crate) seconds: f64,
    /// What was printed while it ran; kept of tests that failed only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) output: String,
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "lowercase")]
pub(crate) enum Outcome {
    Passed,
    Failed,
    Skipped { reason: String },
}

/// A line that tells of a test's beginning or end.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    kind: String,
    pub(super) name: String,
    #[serde(rename = "event")]
    pub(super) what: String,
    /// The message with which it failed.
    #[serde(default)]
    stdout: String,
}

impl Event {
    pub(super) fn parse(line: &str) -> Option<Self> {
        let event: Self = serde_json::from_str(line).ok()?;
        (event.kind == "test").then_some(event)
    }
}

/// The tests of a part, in the order in which they ended. A part that did not end well although no
/// test of it failed is a failure by itself.
pub(super) fn of(part: &Part) -> Vec<Trial> {
    let mut trials = Vec::new();
    let mut reasons = HashMap::new();
    let (mut began, mut output) = (Duration::ZERO, String::new());
    for line in &part.lines {
        let Some(event) = Event::parse(&line.text) else {
            match skip(&line.text) {
                Some((name, reason)) => drop(reasons.insert(name, reason)),
                // Of a suite's own events, only what tests print matters.
                None if line.text.starts_with("{ \"type\": \"suite\"") => {}
                None => {
                    output.push_str(&line.text);
                    output.push('\n');
                }
            }
            continue;
        };
        let outcome = match &*event.what {
            "started" => {
                began = line.at;
                output.clear();
                continue;
            }
            "ok" => Outcome::Passed,
            "ignored" => Outcome::Skipped {
                reason: reasons.remove(&*event.name).unwrap_or_default().to_owned(),
            },
            _ => Outcome::Failed,
        };
        let has_failed = outcome == Outcome::Failed;
        if has_failed {
            output.push_str(&event.stdout);
        }
        trials.push(Trial {
            name: event.name,
            outcome,
            seconds: line.at.saturating_sub(began).as_secs_f64(),
            output: if has_failed {
                std::mem::take(&mut output)
            } else {
                String::new()
            },
        });
        output.clear();
    }
    let is_failure = trials.iter().any(|trial| trial.outcome == Outcome::Failed);
    if part.exit_code != Some(0) && !is_failure {
        trials.push(Trial {
            name: format!("{} as a whole", part.name),
            outcome: Outcome::Failed,
            seconds: 0.0,
            output: match part.exit_code {
                Some(code) => format!("{output}it ended with exit code {code}\n"),
                None => format!("{output}the guest ended first\n"),
            },
        });
    }
    trials
}

/// `skipped: NAME: REASON`, as the test binaries print it of tests that they can't run.
fn skip(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("skipped: ")?.split_once(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::session::Line;

    fn part(exit_code: Option<u8>, lines: &[&str]) -> Part {
        let line = |(at, &text): (u64, &&str)| Line {
            at: Duration::from_secs(at),
            text: text.to_owned(),
        };
        Part {
            name: "host".to_owned(),
            lines: (0..).zip(lines).map(line).collect(),
            exit_code,
        }
    }

    #[test]
    fn passed_failed_and_skipped_tests_are_told_apart_with_what_they_said() {
        let trials = of(&part(
            Some(101),
            &[
                "skipped: c: needs a disk: none is there",
                r#"{ "type": "suite", "event": "started", "test_count": 3 }"#,
                r#"{ "type": "test", "event": "started", "name": "a" }"#,
                "a's own words",
                r#"{ "type": "test", "name": "a", "event": "ok" }"#,
                r#"{ "type": "test", "event": "started", "name": "b" }"#,
                "b's own words",
                r#"{ "type": "test", "name": "b", "event": "failed", "stdout": "Error: \"no\"\n" }"#,
                r#"{ "type": "test", "name": "c", "event": "ignored" }"#,
                r#"{ "type": "suite", "event": "failed", "passed": 1, "failed": 1 }"#,
            ],
        ));
        let reason = "needs a disk: none is there".to_owned();
        let outcomes: Vec<Outcome> = trials.iter().map(|trial| trial.outcome.clone()).collect();
        let expected = [
            Outcome::Passed,
            Outcome::Failed,
            Outcome::Skipped { reason },
        ];
        assert_eq!(outcomes, expected);
        assert_eq!(trials[1].output, "b's own words\nError: \"no\"\n");
        assert!((trials[1].seconds - 2.0).abs() < 1e-9);
        assert_eq!(trials[0].output, "");
    }

    #[test]
    fn a_suite_that_dies_is_a_failure_also_when_no_test_has_failed() {
        for (exit_code, word) in [
            (Some(134), "exit code 134"),
            (None, "the guest ended first"),
        ] {
            let trials = of(&part(
                exit_code,
                &[
                    r#"{ "type": "test", "event": "started", "name": "a" }"#,
                    "its last words",
                ],
            ));
            assert_eq!(trials.len(), 1);
            assert_eq!(trials[0].outcome, Outcome::Failed);
            assert!(trials[0].output.starts_with("its last words\n"));
            assert!(trials[0].output.contains(word));
        }
    }
}
