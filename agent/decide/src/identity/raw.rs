//! Rules as they are written.

use std::{collections::BTreeMap, str::FromStr};

use documented::DocumentedFields;
use serde::{Deserialize, Serialize};

use super::{ArgumentError, Kind, argument};

/// A list of rules; the order counts, since the first that matches wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRules {
    /// The rules, written as `[[rule]]`.
    #[serde(default, rename = "rule")]
    pub rules: Vec<RawRule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// What the rule is called; no other has this name.
    pub name: String,
    /// What its agents are.
    #[serde(default)]
    pub kind: Kind,
    /// The group of its agents; the rule's name if none is given.
    pub group: Option<String>,
    /// How its agents are named, with `{…}` for facts of the process; one agent per process tree
    /// if none is given.
    pub agent: Option<String>,
    /// What a process must be like; at least one matcher is given.
    #[serde(default, rename = "match")]
    pub matchers: RawMatch,
}

/// What a process must be like to match: all that is given must hold. Globs match the whole text,
/// and `*` matches any characters, slashes too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, DocumentedFields)]
#[serde(deny_unknown_fields)]
pub struct RawMatch {
    /// Glob for the path of its v2 cgroup; a leading slash may be left out.
    pub cgroup: Option<String>,
    /// Regular expression that is found in its command line, the arguments joined with spaces.
    pub cmdline: Option<String>,
    /// Glob for its program's name as the kernel has it, at most 15 bytes.
    pub comm: Option<String>,
    /// Globs for environment variables, by name; each variable must be there and match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Ids of users; its effective user is one of them.
    pub uid: Option<Vec<u32>>,
    /// Glob for its systemd unit.
    pub unit: Option<String>,
    /// Glob for its pod's namespace.
    pub pod_namespace: Option<String>,
    /// Globs for labels of its pod, by key; each label must be there and match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_label: BTreeMap<String, String>,
}

impl RawRule {
    /// A rule in the short form for a command line:
    /// `NAME=KEY:VALUE[,KEY:VALUE…]`, such as `mcp=cmdline:mcp-server-(\w+)`.
    ///
    /// The keys are those of `match` (`env` and `pod_label` with `NAME=GLOB` as the value, and
    /// like `uid` more than once if need be), and `group`, `kind` and `agent`. A comma within a
    /// value is written `\,`; any other backslash stands for itself.
    pub fn from_argument(argument: &str) -> Result<Self, ArgumentError> {
        argument::parse(argument)
    }
}

impl FromStr for RawRule {
    type Err = ArgumentError;

    fn from_str(argument: &str) -> Result<Self, ArgumentError> {
        Self::from_argument(argument)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY_FIELD: &str = r#"
        [[rule]]
        name = "mcp"
        kind = "system"
        group = "tools"
        agent = "{comm}"
        match.cgroup = "*/mcp-*"
        match.cmdline = "mcp-server-(?P<server>\\w+)"
        match.comm = "node"
        match.env = { AGENT_ID = "*" }
        match.uid = [1000, 1001]
        match.unit = "agent@*.service"
        match.pod_namespace = "agents"
        match.pod_label = { app = "agent" }
    "#;

    #[test]
    fn every_field_is_read_from_toml() {
        let raw: RawRules = toml::from_str(EVERY_FIELD).expect("valid TOML");
        let rule = &raw.rules[0];
        assert_eq!((rule.name.as_str(), rule.kind), ("mcp", Kind::System));
        assert_eq!(rule.group.as_deref(), Some("tools"));
        assert_eq!(
            rule.matchers.cmdline.as_deref(),
            Some(r"mcp-server-(?P<server>\w+)")
        );
        assert_eq!(rule.matchers.uid, Some(vec![1000, 1001]));
        assert_eq!(rule.matchers.env["AGENT_ID"], "*");
        assert_eq!(rule.matchers.pod_label["app"], "agent");
    }

    #[test]
    fn the_kind_is_agent_unless_said_otherwise() {
        let raw: RawRules =
            toml::from_str("[[rule]]\nname = 'a'\nmatch.comm = 'a'").expect("valid TOML");
        assert_eq!(raw.rules[0].kind, Kind::Agent);
    }

    #[test]
    fn an_unknown_field_is_refused_by_name_wherever_it_stands() {
        for text in [
            "[[rule]]\nname = 'a'\ncolour = 'red'",
            "[[rule]]\nname = 'a'\nmatch.colour = 'red'",
            "colour = 'red'",
        ] {
            let error = toml::from_str::<RawRules>(text).expect_err("an unknown field");
            assert!(error.message().contains("`colour`"), "{error}");
        }
    }

    #[test]
    fn no_rules_at_all_are_valid() {
        assert_eq!(toml::from_str::<RawRules>(""), Ok(RawRules::default()));
    }
}
