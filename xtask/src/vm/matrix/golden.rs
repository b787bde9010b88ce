//! Golden files that only a guest can write: it sees the host's files, but can't change them.
//!
//! A test that is asked to (`HOSTLER_BLESS=1`) prints the whole file between two lines instead of
//! comparing it; the file is written here.

use std::fs;
use std::path::{Component, Path};

use anyhow::{Context, Result, ensure};

use crate::vm::session::{Line, Part};

/// The variable that asks tests to print their golden files.
pub(super) const BLESS: &str = "HOSTLER_BLESS";

const BEGIN: &str = "golden file begins: ";
const END: &str = "golden file ends";

/// Writes the files that a part printed, below `root`; returns their paths in it.
pub(super) fn write(root: &Path, part: &Part) -> Result<Vec<String>> {
    let mut written = Vec::new();
    let mut lines = part.lines.iter();
    while let Some(path) = next_path(&mut lines) {
        let mut content = Vec::new();
        loop {
            let line = lines.next();
            let line = line.with_context(|| format!("the guest ended within {path}"))?;
            if line.text == END {
                break;
            }
            content.push(line.text.as_str());
        }
        let is_ours = Path::new(path)
            .components()
            .enumerate()
            .all(|(at, part)| match part {
                Component::Normal(name) => at > 0 || name == "tests",
                _ => false,
            });
        ensure!(is_ours, "{path} is no golden file below tests/");
        let file = root.join(path);
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let text = content.join("\n") + "\n";
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
        written.push(path.to_owned());
    }
    Ok(written)
}

fn next_path<'a>(lines: &mut impl Iterator<Item = &'a Line>) -> Option<&'a str> {
    lines.find_map(|line| line.text.strip_prefix(BEGIN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn part(lines: &[&str]) -> Part {
        let line = |text: &&str| Line {
            at: Duration::ZERO,
            text: (*text).to_owned(),
        };
        Part {
            lines: lines.iter().map(line).collect(),
            ..Part::default()
        }
    }

    #[test]
    fn a_printed_file_is_written_whole_and_nothing_around_it() {
        let root = tempfile::tempdir().expect("a directory can be made");
        let lines = [
            "before",
            "golden file begins: tests/vm/a.txt",
            "one",
            "",
            END,
            "after",
        ];
        let written = write(root.path(), &part(&lines)).expect("it can be written");
        assert_eq!(written, ["tests/vm/a.txt"]);
        let text = fs::read_to_string(root.path().join("tests/vm/a.txt"));
        assert_eq!(text.expect("it is there"), "one\n\n");
    }

    #[test]
    fn a_file_that_was_cut_short_is_not_written() {
        let root = tempfile::tempdir().expect("a directory can be made");
        let lines = ["golden file begins: tests/vm/a.txt", "one"];
        assert!(write(root.path(), &part(&lines)).is_err());
        assert!(!root.path().join("tests").exists());
    }

    #[test]
    fn a_path_out_of_the_tests_is_refused() {
        let root = tempfile::tempdir().expect("a directory can be made");
        for path in ["/etc/x", "tests/../x", "agent/x"] {
            let begin = format!("{BEGIN}{path}");
            assert!(
                write(root.path(), &part(&[&begin, "x", END])).is_err(),
                "{path}"
            );
        }
    }
}
