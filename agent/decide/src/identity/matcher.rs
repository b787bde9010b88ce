//! What a process must be like, compiled.

use std::collections::BTreeMap;

use super::{
    facts::{Needs, ProcessFacts},
    pattern::{Expression, Glob},
};

/// The matchers of one rule; all of them must match.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    pub(super) cgroup: Option<Glob>,
    pub(super) cmdline: Option<Expression>,
    pub(super) comm: Option<Glob>,
    pub(super) env: BTreeMap<String, Glob>,
    pub(super) uid: Option<Vec<u32>>,
    pub(super) unit: Option<Glob>,
    pub(super) pod_namespace: Option<Glob>,
    pub(super) pod_label: BTreeMap<String, Glob>,
}

impl Matcher {
    /// Whether all matchers match. The cheap ones come first.
    pub(super) fn matches(&self, facts: &ProcessFacts) -> bool {
        self.matches_user(facts.uid)
            && glob_matches(self.comm.as_ref(), facts.comm.as_deref())
            && self.matches_cgroup(facts.cgroup.as_deref())
            && glob_matches(self.unit.as_ref(), facts.unit.as_deref())
            && glob_matches(self.pod_namespace.as_ref(), facts.pod_namespace.as_deref())
            && all_match(&self.pod_label, facts.pod_labels.as_ref())
            && all_match(&self.env, facts.environment.as_ref())
            && self.matches_command_line(facts.cmdline.as_deref())
    }

    /// Which facts it looks at.
    pub(super) fn needs(&self) -> Needs {
        Needs {
            cmdline: self.cmdline.is_some(),
            environment: self.env.keys().cloned().collect(),
            uid: self.uid.is_some(),
            unit: self.unit.is_some(),
            pod_namespace: self.pod_namespace.is_some(),
            pod_labels: !self.pod_label.is_empty(),
        }
    }

    fn matches_user(&self, uid: Option<u32>) -> bool {
        self.uid
            .as_ref()
            .is_none_or(|wanted| uid.is_some_and(|uid| wanted.contains(&uid)))
    }

    fn matches_cgroup(&self, path: Option<&str>) -> bool {
        let Some(glob) = &self.cgroup else {
            return true;
        };
        path.is_some_and(|path| {
            if path.starts_with('/') {
                glob.matches(path)
            } else {
                glob.matches(&format!("/{path}"))
            }
        })
    }

    fn matches_command_line(&self, cmdline: Option<&str>) -> bool {
        self.cmdline
            .as_ref()
            .is_none_or(|wanted| cmdline.is_some_and(|cmdline| wanted.found_in(cmdline)))
    }
}

fn glob_matches(glob: Option<&Glob>, text: Option<&str>) -> bool {
    glob.is_none_or(|glob| text.is_some_and(|text| glob.matches(text)))
}

fn all_match(globs: &BTreeMap<String, Glob>, texts: Option<&BTreeMap<String, String>>) -> bool {
    globs.iter().all(|(name, glob)| {
        texts
            .and_then(|texts| texts.get(name))
            .is_some_and(|text| glob.matches(text))
    })
}
