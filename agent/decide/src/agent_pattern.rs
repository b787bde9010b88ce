//! Patterns for the names of agents.

use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};

/// A glob that an agent's name may match.
#[derive(Clone, Debug)]
pub struct AgentPattern {
    text: String,
    matcher: GlobMatcher,
}

/// Two patterns are one if they are written alike.
impl PartialEq for AgentPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl AgentPattern {
    /// The pattern as it was typed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `name` letter by letter.
    pub fn is_name(&self, name: &str) -> bool {
        // A path may be typed with its leading slash, as `hostler agents` shows it.
        self.text == name || self.text.strip_prefix('/') == Some(name)
    }

    /// Whether the whole of `name`, or its last path component, matches.
    pub fn matches(&self, name: &str) -> bool {
        // `[kernel]` is a name and would be a set of characters.
        if self.is_name(name) {
            return true;
        }
        let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
        self.matcher.is_match(name) || self.matcher.is_match(last)
    }
}

/// Whether `patterns` select the agent `name`: one of them matches, or there are none.
pub fn selects(patterns: &[AgentPattern], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(name))
}

impl FromStr for AgentPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern matches no agent; write for example '*mcp*'".to_owned());
        }
        let glob = GlobBuilder::new(text)
            .literal_separator(false)
            // systemd writes `\x2d` in the names of units, so that names are full of backslashes.
            .backslash_escape(false)
            .build()
            .map_err(|error| format!("{}; write for example '*mcp*'", error.kind()))?;
        Ok(Self {
            text: text.to_owned(),
            matcher: glob.compile_matcher(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        AgentPattern::from_str(pattern)
            .expect("a valid pattern")
            .matches(name)
    }

    #[test]
    fn a_pattern_matches_the_whole_name_or_its_last_component() {
        assert!(matches("agent-1", "agent-1"));
        assert!(matches("agent-1", "/kubepods.slice/pod-7/agent-1"));
        assert!(matches(
            "/kubepods.slice/*",
            "/kubepods.slice/pod-7/agent-1"
        ));
        assert!(!matches("agent-1", "/kubepods.slice/agent-1/pod-7"));
        assert!(!matches("agent", "agent-1"));
    }

    #[test]
    fn a_star_crosses_slashes() {
        assert!(matches("/kube*agent-?", "/kubepods.slice/pod-7/agent-1"));
    }

    #[test]
    fn a_backslash_is_an_ordinary_character() {
        assert!(matches(
            r"dev-disk\x2d*.swap",
            r"/system.slice/dev-disk\x2droot.swap"
        ));
    }

    #[test]
    fn several_patterns_select_what_any_of_them_matches_and_none_selects_everything() {
        let pattern = |text| AgentPattern::from_str(text).expect("a valid pattern");
        let patterns = [pattern("a*"), pattern("b*")];
        assert!(selects(&patterns, "beta"));
        assert!(!selects(&patterns, "gamma"));
        assert!(selects(&[], "gamma"));
    }

    #[test]
    fn a_pattern_that_is_no_glob_is_refused_with_the_reason_and_an_example() {
        for (text, reason) in [("", "an empty pattern"), ("[a", "unclosed character class")] {
            let error = AgentPattern::from_str(text).expect_err("not a glob");
            assert!(error.starts_with(reason), "{error}");
            assert!(error.ends_with("write for example '*mcp*'"), "{error}");
        }
    }
}
