//! The short form of a rule, for a command line.

use super::{Kind, raw::RawRule};

/// Why the short form of a rule can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentError {
    /// There is no `=`, or nothing before it.
    #[error("`{argument}` is no rule: write NAME=KEY:VALUE, for example mcp=cmdline:mcp-server")]
    NoName {
        /// What was written.
        argument: String,
    },
    /// A part has no key and value.
    #[error(
        "rule `{rule}`: `{part}` has no value: write KEY:VALUE, and a comma in a value as `\\,`"
    )]
    NoValue {
        /// The rule's name.
        rule: String,
        /// What was written between the commas.
        part: String,
    },
    /// A key that no rule has.
    #[error("rule `{rule}`: there is no key `{key}`; the keys are {KEYS}")]
    UnknownKey {
        /// The rule's name.
        rule: String,
        /// The key.
        key: String,
    },
    /// A key that can stand only once.
    #[error("rule `{rule}`: `{key}` is given twice")]
    Repeated {
        /// The rule's name.
        rule: String,
        /// The key, with the variable or label if it has one.
        key: String,
    },
    /// A value that does not fit its key.
    #[error("rule `{rule}`: `{value}` does not fit `{key}`, which takes {expected}")]
    BadValue {
        /// The rule's name.
        rule: String,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
        /// What would fit.
        expected: &'static str,
    },
}

const KEYS: &str =
    "cgroup, cmdline, comm, env, uid, unit, pod_namespace, pod_label, group, kind and agent";

/// Reads `NAME=KEY:VALUE[,KEY:VALUE…]`.
pub(super) fn parse(argument: &str) -> Result<RawRule, ArgumentError> {
    let (name, rest) = argument
        .split_once('=')
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| ArgumentError::NoName {
            argument: argument.to_owned(),
        })?;
    let mut rule = RawRule {
        name: name.to_owned(),
        ..RawRule::default()
    };
    let mut kind = None;
    for part in parts(rest) {
        let (key, value) = part
            .split_once(':')
            .filter(|(_, value)| !value.is_empty())
            .ok_or_else(|| ArgumentError::NoValue {
                rule: name.to_owned(),
                part: part.clone(),
            })?;
        if key == "kind" {
            put(name, key, &mut kind, kind_of(name, value)?)?;
        } else {
            enter(&mut rule, key, value)?;
        }
    }
    rule.kind = kind.unwrap_or_default();
    Ok(rule)
}

/// Splits at commas. Backslashes are read in pairs, so that a regular expression that ends in an
/// escaped backslash can be followed by a comma.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let part = parts.last_mut().expect("there is always a last part");
        match character {
            ',' => parts.push(String::new()),
            '\\' => match characters.next() {
                Some(',') => part.push(','),
                Some(escaped) => part.extend(['\\', escaped]),
                None => part.push('\\'),
            },
            other => part.push(other),
        }
    }
    parts
}

fn enter(rule: &mut RawRule, key: &str, value: &str) -> Result<(), ArgumentError> {
    let name = rule.name.as_str();
    let matchers = &mut rule.matchers;
    match key {
        "group" => put(name, key, &mut rule.group, value.to_owned()),
        "agent" => put(name, key, &mut rule.agent, value.to_owned()),
        "cgroup" => put(name, key, &mut matchers.cgroup, value.to_owned()),
        "cmdline" => put(name, key, &mut matchers.cmdline, value.to_owned()),
        "comm" => put(name, key, &mut matchers.comm, value.to_owned()),
        "unit" => put(name, key, &mut matchers.unit, value.to_owned()),
        "pod_namespace" => put(name, key, &mut matchers.pod_namespace, value.to_owned()),
        "env" => put_pair(name, "env", &mut matchers.env, value),
        "pod_label" => put_pair(name, "pod_label", &mut matchers.pod_label, value),
        "uid" => {
            let uid = value.parse().map_err(|_| ArgumentError::BadValue {
                rule: name.to_owned(),
                key: "uid",
                value: value.to_owned(),
                expected: "a user's number",
            })?;
            matchers.uid.get_or_insert_default().push(uid);
            Ok(())
        }
        _ => Err(ArgumentError::UnknownKey {
            rule: name.to_owned(),
            key: key.to_owned(),
        }),
    }
}

fn put<T>(rule: &str, key: &str, place: &mut Option<T>, value: T) -> Result<(), ArgumentError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ArgumentError::Repeated {
            rule: rule.to_owned(),
            key: key.to_owned(),
        }),
    }
}

fn put_pair(
    rule: &str,
    key: &'static str,
    pairs: &mut std::collections::BTreeMap<String, String>,
    value: &str,
) -> Result<(), ArgumentError> {
    let (name, glob) = value
        .split_once('=')
        .ok_or_else(|| ArgumentError::BadValue {
            rule: rule.to_owned(),
            key,
            value: value.to_owned(),
            expected: "NAME=GLOB",
        })?;
    match pairs.insert(name.to_owned(), glob.to_owned()) {
        None => Ok(()),
        Some(_) => Err(ArgumentError::Repeated {
            rule: rule.to_owned(),
            key: format!("{key}:{name}"),
        }),
    }
}

fn kind_of(rule: &str, word: &str) -> Result<Kind, ArgumentError> {
    [Kind::Agent, Kind::System]
        .into_iter()
        .find(|kind| kind.as_str() == word)
        .ok_or_else(|| ArgumentError::BadValue {
            rule: rule.to_owned(),
            key: "kind",
            value: word.to_owned(),
            expected: "agent or system",
        })
}

#[cfg(test)]
mod tests {
    use super::{super::RawRules, *};

    fn from_toml(text: &str) -> RawRule {
        let rules: RawRules = toml::from_str(text).expect("valid TOML");
        rules.rules.into_iter().next().expect("one rule")
    }

    #[test]
    fn the_short_form_says_the_same_as_toml() {
        assert_eq!(
            parse(r"mcp=cmdline:mcp-server-(\w+)"),
            Ok(from_toml(
                "[[rule]]\nname = 'mcp'\nmatch.cmdline = 'mcp-server-(\\w+)'"
            ))
        );
        assert_eq!(
            parse("a=env:ID=*,env:ROLE=x,uid:1,uid:2,kind:system,group:g,agent:{env:ID}"),
            Ok(from_toml(
                "[[rule]]\nname = 'a'\nkind = 'system'\ngroup = 'g'\nagent = '{env:ID}'\n\
                 match.env = { ID = '*', ROLE = 'x' }\nmatch.uid = [1, 2]"
            ))
        );
    }

    #[test]
    fn a_comma_is_escaped_and_every_other_backslash_is_kept() {
        let rule = parse(r"a=cmdline:x{2\,3}\d\\,comm:node").expect("a valid rule");
        assert_eq!(rule.matchers.cmdline.as_deref(), Some(r"x{2,3}\d\\"));
        assert_eq!(rule.matchers.comm.as_deref(), Some("node"));
    }

    #[test]
    fn what_can_t_be_read_is_said_in_one_sentence() {
        for (argument, sentence) in [
            (
                "mcp",
                "`mcp` is no rule: write NAME=KEY:VALUE, for example mcp=cmdline:mcp-server",
            ),
            (
                "a=comm",
                "rule `a`: `comm` has no value: write KEY:VALUE, and a comma in a value as `\\,`",
            ),
            ("a=comm:x,comm:y", "rule `a`: `comm` is given twice"),
            ("a=env:X=1,env:X=2", "rule `a`: `env:X` is given twice"),
            (
                "a=uid:root",
                "rule `a`: `root` does not fit `uid`, which takes a user's number",
            ),
            (
                "a=kind:human",
                "rule `a`: `human` does not fit `kind`, which takes agent or system",
            ),
        ] {
            let error = parse(argument).expect_err("a broken rule");
            assert_eq!(error.to_string(), sentence);
        }
    }
}
