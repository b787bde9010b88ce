//! What each test came to, from the JSON lines that `libtest-mimic` prints.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::vm::session::{Line, Part};

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

/// The exit code with which `libtest-mimic` says that tests have failed.
const TESTS_FAILED: u8 = 101;

/// The tests of a part, in the order in which they ended. One that was running when the part ended
/// has failed; so has a part that did not end well, or that tells of other counts than were seen.
pub(super) fn of(part: &Part) -> Vec<Trial> {
    let mut reader = Reader::default();
    for line in &part.lines {
        reader.read(line);
    }
    reader.close(part)
}

/// What has been read of a part so far.
#[derive(Default)]
struct Reader<'a> {
    trials: Vec<Trial>,
    /// Why tests are skipped, by name.
    reasons: HashMap<&'a str, &'a str>,
    /// The test that runs, and since when.
    running: Option<(String, Duration)>,
    /// What was printed since the last event.
    output: String,
    /// The counts by which the suite closed.
    closing: Option<Closing>,
}

/// The line by which a suite closes.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Closing {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl<'a> Reader<'a> {
    fn read(&mut self, line: &'a Line) {
        if let Some(event) = Event::parse(&line.text) {
            self.note(event, line.at);
        } else if let Some((name, reason)) = skip(&line.text) {
            self.reasons.insert(name, reason);
        } else if let Ok(closing) = serde_json::from_str(&line.text) {
            self.closing = Some(closing);
        } else if !line.text.starts_with("{ \"type\": \"suite\"") {
            self.output.push_str(&line.text);
            self.output.push('\n');
        }
    }

    fn note(&mut self, event: Event, at: Duration) {
        let mut output = std::mem::take(&mut self.output);
        let outcome = match &*event.what {
            "started" => {
                self.running = Some((event.name, at));
                return;
            }
            "ok" => Outcome::Passed,
            "ignored" => Outcome::Skipped {
                reason: self
                    .reasons
                    .remove(&*event.name)
                    .unwrap_or_default()
                    .to_owned(),
            },
            _ => Outcome::Failed,
        };
        output.push_str(&event.stdout);
        let began = self.running.take().map_or(at, |(_, began)| began);
        self.trials.push(Trial {
            name: event.name,
            seconds: at.saturating_sub(began).as_secs_f64(),
            output: if outcome == Outcome::Failed {
                output
            } else {
                String::new()
            },
            outcome,
        });
    }

    fn close(mut self, part: &Part) -> Vec<Trial> {
        let end = match part.exit_code {
            Some(code) => format!("it ended with exit code {code}"),
            None => "the guest ended first".to_owned(),
        };
        let failure = |name: String, output: String| Trial {
            name,
            outcome: Outcome::Failed,
            seconds: 0.0,
            output,
        };
        if let Some((name, _)) = self.running.take() {
            let output = format!("{}while it ran, {end}\n", self.output);
            self.trials.push(failure(name, output));
            return self.trials;
        }
        let count = |is: fn(&Outcome) -> bool| {
            self.trials
                .iter()
                .filter(|trial| is(&trial.outcome))
                .count()
        };
        let failed = count(|outcome| *outcome == Outcome::Failed);
        let seen = Closing {
            passed: count(|outcome| *outcome == Outcome::Passed),
            failed,
            ignored: count(|outcome| matches!(outcome, Outcome::Skipped { .. })),
        };
        let is_expected = match part.exit_code {
            Some(0) => failed == 0,
            Some(TESTS_FAILED) => failed > 0,
            _ => false,
        };
        let trouble = match self.closing {
            _ if !is_expected => end,
            None => "it did not say how many tests ran".to_owned(),
            Some(told) if told != seen => format!("it told of {told:?}, seen were {seen:?}"),
            Some(_) => return self.trials,
        };
        let name = format!("{} as a whole", part.name);
        self.trials
            .push(failure(name, format!("{}{trouble}\n", self.output)));
        self.trials
    }
}

/// `skipped: NAME: REASON`, as the test binaries print it of tests that they can't run.
fn skip(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("skipped: ")?.split_once(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_A: &str = r#"{ "type": "test", "event": "started", "name": "a" }"#;
    const A_IS_OK: &str = r#"{ "type": "test", "name": "a", "event": "ok" }"#;
    const CLOSING: &str = r#"{ "type": "suite", "event": "failed", "passed": 1, "failed": 1, "ignored": 1, "measured": 0, "filtered_out": 0, "exec_time": 1.5 }"#;

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

    fn three_tests() -> Vec<&'static str> {
        vec![
            "skipped: c: needs a disk: none is there",
            r#"{ "type": "suite", "event": "started", "test_count": 3 }"#,
            START_A,
            "a's own words",
            A_IS_OK,
            r#"{ "type": "test", "event": "started", "name": "b" }"#,
            "b's own words",
            r#"{ "type": "test", "name": "b", "event": "failed", "stdout": "Error: \"no\"\n" }"#,
            r#"{ "type": "test", "name": "c", "event": "ignored" }"#,
        ]
    }

    #[test]
    fn passed_failed_and_skipped_tests_are_told_apart_with_what_they_said() {
        let mut lines = three_tests();
        lines.push(CLOSING);
        let trials = of(&part(Some(101), &lines));
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
    fn the_test_that_a_suite_dies_in_has_failed_also_when_another_has() {
        for (exit_code, word) in [
            (Some(134), "exit code 134"),
            (None, "the guest ended first"),
        ] {
            let mut lines = three_tests();
            lines.push(r#"{ "type": "test", "event": "started", "name": "d" }"#);
            lines.push("its last words");
            let trials = of(&part(exit_code, &lines));
            let last = trials.last().expect("there are four");
            assert_eq!((&*last.name, &last.outcome), ("d", &Outcome::Failed));
            assert!(last.output.starts_with("its last words\n"));
            assert!(last.output.contains(word));
        }
    }

    #[test]
    fn a_suite_that_ends_badly_between_tests_is_a_failure_of_its_own() {
        for exit_code in [Some(0), Some(101), Some(134), None] {
            let trials = of(&part(exit_code, &[START_A, A_IS_OK]));
            assert_eq!(trials.len(), 2, "{exit_code:?}");
            assert_eq!(trials[1].name, "host as a whole");
            assert_eq!(trials[1].outcome, Outcome::Failed);
        }
    }

    #[test]
    fn a_test_whose_end_was_not_understood_is_missed() {
        let mut lines = three_tests();
        let hidden = format!("unfinished{A_IS_OK}");
        lines[4] = &hidden;
        lines.push(CLOSING);
        let trials = of(&part(Some(101), &lines));
        let last = trials.last().expect("there are some");
        assert!(last.output.contains("passed: 1"), "{last:?}");
    }
}
