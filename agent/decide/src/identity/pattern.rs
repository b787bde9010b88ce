//! Globs and regular expressions, compiled within bounds.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use regex::{Captures, Regex, RegexBuilder};

/// Longest pattern that is accepted, in bytes.
pub(super) const MAX_PATTERN_BYTES: usize = 1_000;

/// How large a regular expression may become when it is compiled, in bytes; the crate's default.
const MAX_COMPILED_BYTES: usize = 10 << 20;

/// A glob that must match the whole text.
#[derive(Clone, Debug)]
pub(super) struct Glob(GlobSet);

impl Glob {
    /// Compiles a glob, or says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let glob = GlobBuilder::new(text)
            .literal_separator(false)
            // systemd writes `\x2d` in the names of units, so that names are full of backslashes.
            .backslash_escape(false)
            .build()
            .map_err(|error| error.kind().to_string())?;
        // A set of one, since only a set reports a glob that is too large instead of panicking.
        let set = GlobSetBuilder::new().add(glob).build();
        set.map(Self).map_err(|error| error.kind().to_string())
    }

    /// A glob for paths that begin with a slash, which the pattern may leave out.
    pub(super) fn for_path(text: &str) -> Result<Self, String> {
        if text.starts_with(['/', '*']) {
            Self::new(text)
        } else {
            Self::new(&format!("/{text}"))
        }
    }

    /// Whether the whole of `text` matches.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// A regular expression that is searched for.
#[derive(Clone, Debug)]
pub(super) struct Expression(Regex);

impl Expression {
    /// Compiles a regular expression, or says what is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        RegexBuilder::new(text)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map(Self)
            .map_err(|error| reason_of(&error))
    }

    /// Whether it is found in `text`.
    pub(super) fn found_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Its captures where it is first found in `text`.
    pub(super) fn captures<'text>(&self, text: &'text str) -> Option<Captures<'text>> {
        self.0.captures(text)
    }

    /// Names of its captures in order; the first is the whole match.
    pub(super) fn capture_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.capture_names()
    }
}

/// The crate draws a picture of several lines; the last one holds the reason.
fn reason_of(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_matches(glob: &str, path: &str) -> bool {
        Glob::for_path(glob).expect("a valid glob").matches(path)
    }

    #[test]
    fn a_star_crosses_slashes_and_the_leading_slash_may_be_left_out() {
        assert!(path_matches("*/mcp-*", "/tools.slice/mcp-1/worker"));
        assert!(path_matches("*/mcp-*", "/mcp-1"));
        assert!(path_matches("agents/*", "/agents/a"));
        assert!(path_matches("{a,b}/c", "/b/c"));
        assert!(!path_matches("agents/*", "/other/agents/a"));
    }

    #[test]
    fn a_backslash_in_a_glob_is_an_ordinary_character() {
        let glob = Glob::new(r"agent\x2d?.service").expect("a valid glob");
        assert!(glob.matches(r"agent\x2d1.service"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        assert_eq!(
            Glob::new("[a").map(|_| ()),
            Err("unclosed character class; missing ']'".into())
        );
        assert_eq!(
            Expression::new("(a").map(|_| ()),
            Err("unclosed group".into())
        );
    }

    #[test]
    fn an_expression_that_would_take_much_memory_is_refused() {
        let error = Expression::new(r"(\w{100}){100}{100}").map(|_| ());
        assert_eq!(
            error,
            Err("Compiled regex exceeds size limit of 10485760 bytes.".into())
        );
    }
}
