//! The rules of identity that the command line gives, or names a file of.

use std::{fs, path::Path};

use hostler_decide::identity::{RawRules, Rules};

use crate::{args::GlobalArgs, failure::Failure};

/// Largest file of rules that is read, in bytes: thousands of rules.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What to do about wrong rules.
const HINT: &str = "`hostler --help` says how rules are written.";

/// What to do about a file that can't be read.
const FILE_HINT: &str = "`--rules` takes the path of a TOML file with [[rule]] tables.";

/// The rules in the order in which they count: those of the command line, then the file's.
pub(super) fn read(global: &GlobalArgs) -> Result<Rules, Failure> {
    let mut raw = RawRules {
        rules: global.rules.clone(),
    };
    if let Some(path) = &global.rules_file {
        raw.rules.extend(from_file(path)?.rules);
    }
    Rules::new(&raw).map_err(|error| wrong(error.to_string(), HINT))
}

fn from_file(path: &Path) -> Result<RawRules, Failure> {
    let sentence = |reason: String| format!("{} can't be used: {reason}", path.display());
    let refused = |reason: String| wrong(sentence(reason), FILE_HINT);
    let metadata = fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err(refused(format!(
            "it is no file of at most {MAX_FILE_BYTES} bytes"
        )));
    }
    let text = fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    toml::from_str(&text)
        .map_err(|error| wrong(sentence(error.to_string().trim_end().to_owned()), HINT))
}

fn wrong(sentence: String, hint: &str) -> Failure {
    Failure::Usage {
        sentence,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::Args;

    fn rules(words: &[&str]) -> Result<Rules, String> {
        let args = Args::try_parse_from([&["hostler"], words].concat());
        let args = args.map_err(|error| error.to_string())?;
        read(&args.global).map_err(|failure| failure.to_string())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file can be made");
        fs::write(&file, text).expect("it can be written");
        file
    }

    #[test]
    fn rules_of_the_command_line_and_of_a_file_are_taken_together() {
        let file = file("[[rule]]\nname = 'b'\nmatch.comm = 'b'");
        let path = file.path().to_str().expect("its path is text");
        let both = rules(&["--rule", "a=comm:a", "--rules", path]).expect("valid rules");
        assert!(!both.is_empty());
        let twice = rules(&["--rule", "b=comm:a", "--rules", path]).expect_err("one name twice");
        assert!(twice.contains("two rules have the name `b`"), "{twice}");
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_path_and_line() {
        let file = file("[[rule]]\nname = 'b'\ncolour = 'red'");
        let path = file.path().to_str().expect("its path is text");
        let error = rules(&["--rules", path]).expect_err("an unknown key");
        assert!(error.contains(path) && error.contains("line 3"), "{error}");
        let missing = rules(&["--rules", "/no/such/file"]).expect_err("no file");
        assert!(missing.contains("/no/such/file can't be used"), "{missing}");
        let folder = rules(&["--rules", "/"]).expect_err("a folder");
        assert!(folder.contains("no file of at most"), "{folder}");
    }

    #[test]
    fn a_wrong_rule_on_the_command_line_is_said_in_one_sentence() {
        let error = rules(&["--rule", "mcp"]).expect_err("no rule");
        assert!(error.contains("`mcp` is no rule"), "{error}");
    }
}
