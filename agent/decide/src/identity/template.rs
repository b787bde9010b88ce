//! How agents are named: text with `{…}` for facts of the process.

use super::{
    error::RuleError,
    facts::{Needs, ProcessFacts},
    names::shortened,
    pattern::Expression,
    printable::printable,
};

/// Stands for a fact that is not known of a process, or is empty.
const UNKNOWN: &str = "?";

/// Names with a fixed meaning.
const FACTS: [&str; 7] = ["comm", "pid", "uid", "unit", "cgroup", "rule", "group"];

/// A parsed template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Comm,
    Pid,
    Uid,
    Unit,
    Cgroup,
    Variable(String),
    Capture(usize),
}

/// What a rule knows of itself while its template is read.
pub(super) struct Context<'rule> {
    pub(super) rule: &'rule str,
    pub(super) group: &'rule str,
    pub(super) cmdline: Option<&'rule Expression>,
}

impl Template {
    /// Reads a template; `{{` and `}}` are braces themselves.
    pub(super) fn parse(text: &str, context: &Context<'_>) -> Result<Self, RuleError> {
        context.check_captures()?;
        let lone_brace = || RuleError::LoneBrace {
            rule: context.rule.to_owned(),
        };
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            push_text(&mut parts, before);
            if let Some(after) = from.strip_prefix("{{").or(from.strip_prefix("}}")) {
                push_text(&mut parts, &from[..1]);
                rest = after;
            } else {
                let inner = from.strip_prefix('{').ok_or_else(lone_brace)?;
                let (placeholder, after) = inner.split_once('}').ok_or_else(lone_brace)?;
                parts.push(context.part(placeholder)?);
                rest = after;
            }
        }
        push_text(&mut parts, rest);
        Ok(Self(parts))
    }

    /// The name of a process's agent. `root` is the first process of the tree that the rule has
    /// taken in: `{pid}` is the same for all of it.
    pub(super) fn expand(
        &self,
        facts: &ProcessFacts,
        root: &str,
        cmdline: Option<&Expression>,
    ) -> String {
        let captures = cmdline
            .filter(|_| self.0.iter().any(|part| matches!(part, Part::Capture(_))))
            .and_then(|expression| expression.captures(facts.cmdline.as_deref()?));
        let mut name = String::new();
        for part in &self.0 {
            let value = match part {
                Part::Text(text) => Some(text.clone()),
                Part::Comm => facts.comm.clone(),
                Part::Pid => Some(root.to_owned()),
                Part::Uid => facts.uid.map(|uid| uid.to_string()),
                Part::Unit => facts.unit.clone(),
                Part::Cgroup => facts.cgroup.clone(),
                Part::Variable(variable) => facts
                    .environment
                    .as_ref()
                    .and_then(|environment| environment.get(variable).cloned()),
                Part::Capture(index) => captures
                    .as_ref()
                    .and_then(|captures| captures.get(*index))
                    .map(|found| found.as_str().to_owned()),
            };
            name.push_str(
                value
                    .as_deref()
                    .filter(|text| !text.is_empty())
                    .unwrap_or(UNKNOWN),
            );
        }
        shortened(printable(&name))
    }

    /// Which facts it uses.
    pub(super) fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for part in &self.0 {
            match part {
                Part::Uid => needs.uid = true,
                Part::Unit => needs.unit = true,
                Part::Variable(name) => {
                    needs.environment.insert(name.clone());
                }
                Part::Capture(_) => needs.cmdline = true,
                Part::Text(_) | Part::Comm | Part::Pid | Part::Cgroup => {}
            }
        }
        needs
    }
}

impl Context<'_> {
    /// A capture that is called like a fact would leave open which of the two is meant.
    fn check_captures(&self) -> Result<(), RuleError> {
        let hidden = self
            .captures()
            .find_map(|(_, name)| name.filter(|name| FACTS.contains(name)));
        hidden.map_or(Ok(()), |capture| {
            Err(RuleError::HiddenByCapture {
                rule: self.rule.to_owned(),
                capture: capture.to_owned(),
            })
        })
    }

    fn part(&self, placeholder: &str) -> Result<Part, RuleError> {
        Ok(match placeholder {
            "comm" => Part::Comm,
            "pid" => Part::Pid,
            "uid" => Part::Uid,
            "unit" => Part::Unit,
            "cgroup" => Part::Cgroup,
            "rule" => Part::Text(self.rule.to_owned()),
            "group" => Part::Text(self.group.to_owned()),
            other => match other.strip_prefix("env:") {
                Some(name) if !name.is_empty() => Part::Variable(name.to_owned()),
                _ => self.capture(other)?,
            },
        })
    }

    /// A capture by its name or number.
    fn capture(&self, placeholder: &str) -> Result<Part, RuleError> {
        self.captures()
            .find(|(index, name)| *name == Some(placeholder) || index.to_string() == placeholder)
            .map(|(index, _)| Part::Capture(index))
            .ok_or_else(|| RuleError::UnknownPlaceholder {
                rule: self.rule.to_owned(),
                placeholder: printable(placeholder),
            })
    }

    fn captures(&self) -> impl Iterator<Item = (usize, Option<&str>)> {
        self.cmdline
            .into_iter()
            .flat_map(Expression::capture_names)
            .enumerate()
    }
}

fn push_text(parts: &mut Vec<Part>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.to_owned()));
    }
}

#[cfg(test)]
mod tests;
