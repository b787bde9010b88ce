//! From rules as written to rules that can be applied.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    super::{
        Kind,
        error::RuleError,
        matcher::Matcher,
        pattern::{Expression, Glob, MAX_PATTERN_BYTES},
        printable::printable,
        raw::{RawMatch, RawRule},
        template::{Context, Template},
    },
    Rule,
};

/// Longest name of a rule or group that is accepted, in bytes.
const MAX_RULE_NAME_BYTES: usize = 64;

/// One agent per process tree that the rule takes in.
const DEFAULT_AGENT: &str = "{pid}";

/// Compiles all rules.
pub(super) fn all(raw: &[RawRule]) -> Result<Vec<Rule>, RuleError> {
    let mut names = BTreeSet::new();
    let mut kinds: BTreeMap<Arc<str>, Kind> = BTreeMap::new();
    let mut rules = Vec::with_capacity(raw.len());
    for (index, raw) in raw.iter().enumerate() {
        if raw.name.is_empty() {
            return Err(RuleError::Unnamed { number: index + 1 });
        }
        let rule = one(raw)?;
        if !names.insert(Arc::clone(&rule.name)) {
            return Err(RuleError::SameName {
                rule: raw.name.clone(),
            });
        }
        if *kinds.entry(Arc::clone(&rule.group)).or_insert(rule.kind) != rule.kind {
            return Err(RuleError::MixedKinds {
                rule: raw.name.clone(),
                kind: rule.kind,
                group: rule.group.to_string(),
            });
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn one(raw: &RawRule) -> Result<Rule, RuleError> {
    let checks = Checks {
        rule: printable(&raw.name),
    };
    checks.name("name", &raw.name)?;
    let group = raw.group.as_deref().unwrap_or(&raw.name);
    checks.name("group", group)?;
    if raw.matchers == RawMatch::default() {
        return Err(RuleError::NoMatcher { rule: checks.rule });
    }
    let matcher = checks.matcher(&raw.matchers)?;
    let template = raw.agent.as_deref().unwrap_or(DEFAULT_AGENT);
    checks.length("agent", template, MAX_PATTERN_BYTES)?;
    let context = Context {
        rule: &raw.name,
        group,
        cmdline: matcher.cmdline.as_ref(),
    };
    Ok(Rule {
        name: raw.name.as_str().into(),
        group: group.into(),
        kind: raw.kind,
        agent: Template::parse(template, &context)?,
        matcher,
    })
}

/// Checks of one rule's fields.
struct Checks {
    /// The rule's name, for messages.
    rule: String,
}

impl Checks {
    fn matcher(&self, raw: &RawMatch) -> Result<Matcher, RuleError> {
        if raw.uid.as_ref().is_some_and(Vec::is_empty) {
            return Err(self.empty("match.uid"));
        }
        Ok(Matcher {
            cgroup: self.pattern("match.cgroup", raw.cgroup.as_deref(), Glob::for_path)?,
            cmdline: self.pattern("match.cmdline", raw.cmdline.as_deref(), Expression::new)?,
            comm: self.pattern("match.comm", raw.comm.as_deref(), Glob::new)?,
            env: self.globs("match.env", &raw.env)?,
            uid: raw.uid.clone(),
            unit: self.pattern("match.unit", raw.unit.as_deref(), Glob::new)?,
            pod_namespace: self.pattern(
                "match.pod_namespace",
                raw.pod_namespace.as_deref(),
                Glob::new,
            )?,
            pod_label: self.globs("match.pod_label", &raw.pod_label)?,
        })
    }

    fn pattern<T>(
        &self,
        field: &str,
        text: Option<&str>,
        compile: fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, RuleError> {
        let Some(text) = text else {
            return Ok(None);
        };
        if text.is_empty() {
            return Err(self.empty(field));
        }
        self.compiled(field, text, compile).map(Some)
    }

    /// Globs by the name of what they match; an empty glob is for a value that is empty.
    fn globs(
        &self,
        field: &str,
        globs: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Glob>, RuleError> {
        globs
            .iter()
            .map(|(name, text)| {
                if name.is_empty() {
                    return Err(self.empty(field));
                }
                self.length(field, name, MAX_PATTERN_BYTES)?;
                let field = format!("{field}.{}", printable(name));
                let glob = self.compiled(&field, text, Glob::new)?;
                Ok((name.clone(), glob))
            })
            .collect()
    }

    fn compiled<T>(
        &self,
        field: &str,
        text: &str,
        compile: fn(&str) -> Result<T, String>,
    ) -> Result<T, RuleError> {
        self.length(field, text, MAX_PATTERN_BYTES)?;
        compile(text).map_err(|reason| RuleError::BadPattern {
            rule: self.rule.clone(),
            field: field.to_owned(),
            reason,
        })
    }

    fn name(&self, field: &str, text: &str) -> Result<(), RuleError> {
        if text.is_empty() {
            return Err(self.empty(field));
        }
        self.length(field, text, MAX_RULE_NAME_BYTES)?;
        if printable(text) == text {
            return Ok(());
        }
        Err(RuleError::Unprintable {
            rule: self.rule.clone(),
            field: field.to_owned(),
        })
    }

    fn length(&self, field: &str, text: &str, limit: usize) -> Result<(), RuleError> {
        if text.len() <= limit {
            return Ok(());
        }
        Err(RuleError::TooLong {
            rule: self.rule.chars().take(limit).collect(),
            field: field.to_owned(),
            limit,
        })
    }

    fn empty(&self, field: &str) -> RuleError {
        RuleError::Empty {
            rule: self.rule.clone(),
            field: field.to_owned(),
        }
    }
}
