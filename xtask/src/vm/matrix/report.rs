//! What the guests of a matrix came to, for machines as JSON and for people as lines.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::trials::{Outcome, Trial};

/// How many tests are named that took longest.
const SLOWEST: usize = 12;

/// One guest's tests.
#[derive(Debug, Serialize)]
pub(crate) struct GuestReport {
    /// What was asked for: a series, or a path.
    pub(crate) kernel: String,
    /// What `uname -r` says in it.
    pub(crate) version: String,
    pub(crate) nodes: u32,
    /// From its start to its end, retries included.
    pub(crate) seconds: f64,
    /// How often it was started: more than once if it died.
    pub(crate) boots: usize,
    /// Why it died, each time that it did.
    pub(crate) deaths: Vec<String>,
    /// What its kernel reported of damage although it lived on.
    pub(crate) kernel_damage: Vec<String>,
    /// Its last console lines, if anything failed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) console: String,
    pub(crate) suites: Vec<Suite>,
}

/// The tests of one binary.
#[derive(Debug, Serialize)]
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) tests: Vec<Trial>,
}

/// How many tests came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl GuestReport {
    /// Of a guest that could not be run.
    pub(super) fn of_error(kernel: String, nodes: u32, error: &anyhow::Error) -> Self {
        let failure = Trial {
            name: "the guest".to_owned(),
            outcome: Outcome::Failed,
            seconds: 0.0,
            output: format!("{error:#}\n"),
        };
        Self {
            kernel,
            version: "that did not run".to_owned(),
            nodes,
            seconds: 0.0,
            boots: 0,
            deaths: Vec::new(),
            kernel_damage: Vec::new(),
            console: String::new(),
            suites: vec![Suite {
                name: "guest".to_owned(),
                tests: vec![failure],
            }],
        }
    }

    pub(crate) fn title(&self) -> String {
        format!("guest {}, {} nodes", self.kernel, self.nodes)
    }

    pub(crate) fn trials(&self) -> impl Iterator<Item = &Trial> {
        self.suites.iter().flat_map(|suite| &suite.tests)
    }

    /// Its tests; damage that its kernel reported is a failure of its own.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            failed: u32::from(!self.kernel_damage.is_empty()),
            ..Counts::default()
        };
        for trial in self.trials() {
            match trial.outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::Failed => counts.failed += 1,
                Outcome::Skipped { .. } => counts.skipped += 1,
            }
        }
        counts
    }

    /// What is to be said beside the counts: its time, and what was not smooth.
    pub(crate) fn remark(&self) -> String {
        let mut remarks = vec![format!("Linux {}, {:.0} s", self.version, self.seconds)];
        if !self.deaths.is_empty() {
            let deaths = self.deaths.join("; ");
            remarks.push(format!("{} boots: {deaths}", self.boots));
        }
        if let Some(line) = self.kernel_damage.first() {
            remarks.push(format!("its kernel said: {line}"));
        }
        remarks.join(", ")
    }

    /// The tests that failed with what they printed, and what the kernel said last.
    pub(crate) fn failures(&self) -> String {
        let title = self.title();
        let failed = |trial: &&Trial| trial.outcome == Outcome::Failed;
        let failures = self.trials().filter(failed);
        let mut texts: Vec<String> = failures
            .map(|trial| format!("\n---- {title}: {}\n{}", trial.name, trial.output))
            .collect();
        if !self.console.is_empty() {
            texts.push(format!("\n---- {title}: its console\n{}", self.console));
        }
        texts.concat()
    }

    /// The tests that took longest, and how long all took together.
    pub(crate) fn slowest(&self) -> String {
        let mut trials: Vec<&Trial> = self.trials().collect();
        trials.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let all: f64 = trials.iter().map(|trial| trial.seconds).sum();
        let mut text = format!("{all:.0} s of tests, most of it in:\n");
        for trial in trials.iter().take(SLOWEST) {
            writeln!(text, "  {:>5.0} s  {}", trial.seconds, trial.name)
                .expect("memory takes all text");
        }
        text
    }

    /// A line for each test that was skipped.
    pub(crate) fn skips(&self) -> String {
        self.trials()
            .filter_map(|trial| match &trial.outcome {
                Outcome::Skipped { reason } => Some(format!("skipped: {}: {reason}\n", trial.name)),
                _ => None,
            })
            .collect()
    }
}

/// The counts of all guests.
pub(crate) fn sum(guests: &[GuestReport]) -> Counts {
    let mut sum = Counts::default();
    for guest in guests.iter().map(GuestReport::counts) {
        sum.passed += guest.passed;
        sum.failed += guest.failed;
        sum.skipped += guest.skipped;
    }
    sum
}

/// Writes the summary for machines.
pub(crate) fn write(guests: &[GuestReport], path: &Path) -> Result<()> {
    #[derive(Serialize)]
    struct Summary<'a> {
        counts: Counts,
        guests: &'a [GuestReport],
    }
    let summary = Summary {
        counts: sum(guests),
        guests,
    };
    let json = serde_json::to_string_pretty(&summary).context("writing JSON")?;
    fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest() -> GuestReport {
        let trial = |name: &str, outcome| Trial {
            name: name.to_owned(),
            outcome,
            seconds: 0.5,
            output: "words\n".to_owned(),
        };
        GuestReport {
            kernel: "6.1".to_owned(),
            version: "6.1.0-50-amd64".to_owned(),
            nodes: 2,
            seconds: 200.0,
            boots: 2,
            deaths: vec!["it did not boot".to_owned()],
            kernel_damage: vec!["WARNING: CPU: 0".to_owned()],
            console: "  | last line\n".to_owned(),
            suites: vec![Suite {
                name: "host".to_owned(),
                tests: vec![
                    trial("a", Outcome::Passed),
                    trial("b", Outcome::Failed),
                    trial(
                        "c",
                        Outcome::Skipped {
                            reason: "no disk".to_owned(),
                        },
                    ),
                ],
            }],
        }
    }

    #[test]
    fn damage_to_the_kernel_is_a_failure_although_all_tests_pass() {
        let counts = guest().counts();
        assert_eq!((counts.passed, counts.failed, counts.skipped), (1, 2, 1));
    }

    #[test]
    fn a_retry_is_told_of_with_its_reason() {
        assert!(guest().remark().contains("2 boots: it did not boot"));
    }

    #[test]
    fn a_failure_comes_with_its_test_s_output_and_the_console() {
        let text = guest().failures();
        assert!(text.contains("b\nwords\n"), "{text}");
        assert!(text.ends_with("its console\n  | last line\n"), "{text}");
    }

    #[test]
    fn the_summary_names_each_test_with_its_outcome_and_reason() {
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        write(&[guest()], file.path()).expect("it can be written");
        let text = fs::read_to_string(file.path()).expect("it is there");
        let json: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
        assert_eq!(json["counts"]["failed"], 2);
        let skipped = &json["guests"][0]["suites"][0]["tests"][2];
        assert_eq!(skipped["outcome"], "skipped");
        assert_eq!(skipped["reason"], "no disk");
    }
}
