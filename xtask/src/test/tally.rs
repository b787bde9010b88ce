//! Counting tests by the lines with which their runners close.

use std::fmt::Write as _;

/// What one step came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) passed: u32,
    pub(super) failed: u32,
    pub(super) skipped: u32,
    /// Why it was skipped, or how it failed beside its tests.
    pub(super) remark: String,
}

impl Outcome {
    /// A step that is a single check.
    pub(super) fn check(name: &str, passed: bool, remark: String) -> Self {
        let (passed, failed) = (u32::from(passed), u32::from(!passed));
        Self {
            name: name.to_owned(),
            passed,
            failed,
            skipped: 0,
            remark,
        }
    }

    /// A step that closed with `test result:` lines, or with none; `succeeded` is how its process
    /// ended.
    pub(super) fn of_runner(name: &str, lines: &[String], succeeded: bool) -> Self {
        let mut outcome = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let mut any = false;
        for [passed, failed, ignored] in lines.iter().filter_map(|line| closing_counts(line)) {
            any = true;
            outcome.passed += passed;
            outcome.failed += failed;
            outcome.skipped += ignored;
        }
        if !succeeded && outcome.failed == 0 {
            outcome.failed = 1;
            "it ended with an error".clone_into(&mut outcome.remark);
        } else if !any {
            outcome.passed = 1;
        }
        outcome
    }
}

/// `test result: ok. 3 passed; 1 failed; 2 ignored; …`, as libtest and its likes print it.
fn closing_counts(line: &str) -> Option<[u32; 3]> {
    let rest = line.trim().strip_prefix("test result: ")?;
    let (_, counts) = rest.split_once(". ")?;
    let count = |word: &str| {
        counts
            .split("; ")
            .find_map(|part| part.strip_suffix(word)?.trim().parse::<u32>().ok())
    };
    Some([count("passed")?, count("failed")?, count("ignored")?])
}

/// All steps.
#[derive(Default)]
pub(super) struct Tally {
    outcomes: Vec<Outcome>,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    pub(super) fn skip(&mut self, name: &str, reason: &str) {
        eprintln!("skipped: {name}: {reason}");
        let remark = format!("skipped: {reason}");
        self.add(Outcome {
            name: name.to_owned(),
            skipped: 1,
            remark,
            ..Outcome::default()
        });
    }

    pub(super) fn is_green(&self) -> bool {
        self.outcomes.iter().all(|outcome| outcome.failed == 0)
    }

    /// A line a step, and the sum as the last line.
    pub(super) fn summary(&self) -> String {
        let mut text = String::new();
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for outcome in &self.outcomes {
            passed += outcome.passed;
            failed += outcome.failed;
            skipped += outcome.skipped;
            let _infallible = writeln!(
                text,
                "{:<28} {:>4} passed {:>3} failed {:>3} skipped  {}",
                outcome.name, outcome.passed, outcome.failed, outcome.skipped, outcome.remark
            );
        }
        let _infallible = write!(text, "{passed} passed, {failed} failed, {skipped} skipped");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|&line| line.to_owned()).collect()
    }

    #[test]
    fn the_closing_lines_of_all_runners_of_a_step_are_added_up() {
        let text = [
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "something else",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ];
        let outcome = Outcome::of_runner("tests", &lines(&text), false);
        assert_eq!(
            (outcome.passed, outcome.failed, outcome.skipped),
            (15, 2, 1)
        );
    }

    #[test]
    fn a_step_that_ends_with_an_error_fails_even_if_no_test_did() {
        let text = ["test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured"];
        assert_eq!(Outcome::of_runner("tests", &lines(&text), false).failed, 1);
        assert_eq!(Outcome::of_runner("lints", &[], false).failed, 1);
    }

    #[test]
    fn the_last_line_of_the_summary_is_the_sum() {
        let mut tally = Tally::default();
        tally.add(Outcome::check("format", true, String::new()));
        tally.skip("guests", "no emulator");
        assert_eq!(
            tally.summary().lines().last(),
            Some("1 passed, 0 failed, 1 skipped")
        );
        assert!(tally.is_green());
    }
}
