//! What the rules say of the host's processes, kept in step with them.
//!
//! A process's command line and environment are read when it is new or has run another program;
//! all else comes with the snapshot. The rules are applied again only when a fact has changed.

use std::{collections::BTreeMap, sync::Arc};

use hostler_common::slot::{SlotLease, TICK_NS};
use hostler_decide::identity::{AgentIdentity, AgentKey, Identified, Needs, ProcessFacts, Rules};

use crate::{
    names::NAMES_SETTLE_NS,
    process_files::{command_line, environment, may_read_environments},
    processes::ThreadRow,
};

/// How long after a process was seen to run a program its files are read again, in ns: the kernel
/// writes the arguments of a program down a moment after it has begun.
const FRESH_NS: u64 = 2_000_000_000;

/// What is known of a cgroup that rules look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CgroupFacts {
    pub(crate) path: String,
    pub(crate) unit: Option<String>,
    pub(crate) pod_namespace: Option<Arc<str>>,
    pub(crate) labels: Option<Arc<BTreeMap<String, String>>>,
}

/// The rules, the facts that they look at, and what they said.
pub(crate) struct Identities {
    rules: Rules,
    needs: Needs,
    processes: BTreeMap<u32, Known>,
    identified: Identified,
    /// Counts snapshots, so that processes that are gone stand out.
    snapshots: u64,
}

/// One process.
struct Known {
    row: ThreadRow,
    facts: ProcessFacts,
    /// When it was first seen with its program, in ns of the monotonic clock.
    since_ns: u64,
    /// The last snapshot that it was in.
    snapshot: u64,
}

impl Identities {
    pub(crate) fn by(rules: Rules) -> Self {
        let needs = rules.needs();
        if !needs.environment.is_empty() && !may_read_environments() {
            tracing::warn!(
                "the environments of others can't be read here, and rules that look at them match \
                 nothing: CAP_SYS_PTRACE is missing"
            );
        }
        Self {
            needs,
            rules,
            processes: BTreeMap::new(),
            identified: Identified::default(),
            snapshots: 0,
        }
    }

    /// Takes in a snapshot. `cgroup` tells what is known of a cgroup by its id, and `agent_of` which
    /// agent of a rule holds a slot.
    pub(crate) fn update(
        &mut self,
        rows: &[ThreadRow],
        now_ns: u64,
        mut cgroup: impl FnMut(u64) -> Option<CgroupFacts>,
        agent_of: impl Fn(SlotLease) -> Option<AgentKey>,
    ) {
        self.snapshots += 1;
        let mut any_changed = false;
        for row in rows {
            any_changed |= self.take_in(row, now_ns, &mut cgroup, &agent_of);
        }
        let (before, snapshot) = (self.processes.len(), self.snapshots);
        self.processes.retain(|_, known| known.snapshot == snapshot);
        if any_changed || self.processes.len() != before {
            let facts = self.processes.values().map(|known| &known.facts);
            self.identified = self.rules.identify_after(&self.identified, facts);
        }
    }

    /// The agent that the rules say a process belongs to.
    pub(crate) fn of_process(&self, tgid: u32) -> Option<&AgentIdentity> {
        self.identified.agent_of(tgid)
    }

    /// Notes a process; returns whether anything that rules look at is new.
    fn take_in(
        &mut self,
        row: &ThreadRow,
        now_ns: u64,
        cgroup: &mut impl FnMut(u64) -> Option<CgroupFacts>,
        agent_of: &impl Fn(SlotLease) -> Option<AgentKey>,
    ) -> bool {
        let unsettled_ns = if self.needs_names() {
            NAMES_SETTLE_NS
        } else {
            FRESH_NS
        };
        let known = self.processes.get_mut(&row.tgid);
        let known = known.filter(|known| known.runs_the_same_as(row));
        let since_ns = known.as_ref().map_or(now_ns, |known| known.since_ns);
        let age_ns = now_ns.saturating_sub(since_ns);
        if let Some(known) = known
            && known.row.identifying() == row.identifying()
            && age_ns >= unsettled_ns
        {
            known.snapshot = self.snapshots;
            return false;
        }
        let known = self.processes.get(&row.tgid);
        let is_read = age_ns >= FRESH_NS;
        let read_before = known.filter(|_| is_read).map(|known| &known.facts);
        // Later on its record says whose it is itself, not who made it.
        let made_by = match known.filter(|known| known.row.started_ticks == row.started_ticks) {
            Some(known) => known.facts.made_by.clone(),
            None => row.by_rule.and_then(agent_of),
        };
        let facts = ProcessFacts {
            made_by,
            ..self.facts(row, read_before, cgroup(row.cgroup_id))
        };
        let is_new = known.is_none_or(|known| known.facts != facts);
        let known = Known {
            row: row.clone(),
            facts,
            since_ns,
            snapshot: self.snapshots,
        };
        self.processes.insert(row.tgid, known);
        is_new
    }

    fn needs_names(&self) -> bool {
        self.needs.pod_namespace || self.needs.pod_labels
    }

    /// `read_before` has what its files said, if they need not be read again.
    fn facts(
        &self,
        row: &ThreadRow,
        read_before: Option<&ProcessFacts>,
        cgroup: Option<CgroupFacts>,
    ) -> ProcessFacts {
        let (cmdline, environment) = match read_before {
            Some(facts) => (facts.cmdline.clone(), facts.environment.clone()),
            None => self.read_files(row.tgid),
        };
        let cgroup = cgroup.map_or_else(CgroupParts::default, |cgroup| self.parts_of(cgroup));
        ProcessFacts {
            pid: row.tgid,
            started_ns: row.started_ticks * TICK_NS,
            parent: row.parent,
            made_by: None,
            cgroup: cgroup.path,
            comm: Some(row.program.clone()),
            cmdline,
            environment,
            uid: Some(row.uid),
            unit: cgroup.unit,
            pod_namespace: cgroup.pod_namespace,
            pod_labels: cgroup.pod_labels,
        }
    }

    fn read_files(&self, tgid: u32) -> (Option<String>, Option<BTreeMap<String, String>>) {
        let cmdline = self.needs.cmdline.then(|| command_line(tgid)).flatten();
        let wanted = &self.needs.environment;
        let variables = (!wanted.is_empty()).then(|| environment(tgid, wanted));
        (cmdline, variables.flatten())
    }

    fn parts_of(&self, cgroup: CgroupFacts) -> CgroupParts {
        let namespace = cgroup.pod_namespace.filter(|_| self.needs.pod_namespace);
        let labels = cgroup.labels.filter(|_| self.needs.pod_labels);
        CgroupParts {
            path: Some(cgroup.path),
            unit: cgroup.unit.filter(|_| self.needs.unit),
            pod_namespace: namespace.map(|namespace| namespace.to_string()),
            pod_labels: labels.map(|labels| (*labels).clone()),
        }
    }
}

/// The facts of a process that come from its cgroup.
#[derive(Default)]
struct CgroupParts {
    path: Option<String>,
    unit: Option<String>,
    pod_namespace: Option<String>,
    pod_labels: Option<BTreeMap<String, String>>,
}

impl Known {
    /// Whether it is this very process, and runs the same program still.
    fn runs_the_same_as(&self, row: &ThreadRow) -> bool {
        (self.row.started_ticks, self.row.exec_id) == (row.started_ticks, row.exec_id)
    }
}

#[cfg(test)]
mod tests {
    use hostler_decide::identity::{RawRule, RawRules};

    use super::*;

    fn identities(rule: &str) -> Identities {
        let rules = vec![RawRule::from_argument(rule).expect("a rule")];
        Identities::by(Rules::new(&RawRules { rules }).expect("valid rules"))
    }

    fn row(tgid: u32, parent: u32, program: &str) -> ThreadRow {
        ThreadRow {
            cgroup_id: 7,
            started_ticks: u64::from(tgid),
            exec_id: 1,
            by_rule: None,
            tid: tgid,
            tgid,
            session: 1,
            parent,
            uid: 0,
            kernel_thread: false,
            program: program.to_owned(),
        }
    }

    fn in_cgroup(path: &str) -> impl FnMut(u64) -> Option<CgroupFacts> {
        let path = path.to_owned();
        move |_| {
            Some(CgroupFacts {
                path: path.clone(),
                ..CgroupFacts::default()
            })
        }
    }

    fn nobody(_lease: SlotLease) -> Option<AgentKey> {
        None
    }

    fn name(identities: &Identities, tgid: u32) -> Option<&str> {
        identities.of_process(tgid).map(|agent| &*agent.name)
    }

    #[test]
    fn a_child_inherits_and_a_process_that_has_gone_is_forgotten() {
        let mut identities = identities("node=comm:node");
        let rows = [row(5, 1, "node"), row(6, 5, "git"), row(7, 1, "bash")];
        identities.update(&rows, 0, in_cgroup("/"), nobody);
        assert_eq!(
            [5, 6, 7].map(|tgid| name(&identities, tgid)),
            [Some("5"), Some("5"), None]
        );
        identities.update(&rows[2..], 1, in_cgroup("/"), nobody);
        assert_eq!(name(&identities, 5), None);
    }

    #[test]
    fn a_program_that_is_another_one_now_is_matched_again_however_late() {
        let mut identities = identities("node=comm:node");
        identities.update(&[row(5, 1, "bash")], 0, in_cgroup("/"), nobody);
        assert_eq!(name(&identities, 5), None);
        identities.update(
            &[row(5, 1, "node")],
            10 * NAMES_SETTLE_NS,
            in_cgroup("/"),
            nobody,
        );
        assert_eq!(name(&identities, 5), Some("5"));
    }

    #[test]
    fn a_process_that_has_moved_is_matched_by_its_new_cgroup() {
        let mut identities = identities("a=cgroup:/agents/*,agent:one");
        identities.update(&[row(5, 1, "bash")], 0, in_cgroup("/"), nobody);
        assert_eq!(name(&identities, 5), None);
        let moved = ThreadRow {
            cgroup_id: 8,
            ..row(5, 1, "bash")
        };
        identities.update(
            &[moved],
            10 * NAMES_SETTLE_NS,
            in_cgroup("/agents/a"),
            nobody,
        );
        assert_eq!(name(&identities, 5), Some("one"));
    }

    #[test]
    fn a_namespace_that_becomes_known_while_a_container_starts_is_taken_in() {
        let mut identities = identities("a=pod_namespace:prod,agent:one");
        let rows = [row(5, 1, "node")];
        identities.update(&rows, 0, in_cgroup("/pod"), nobody);
        assert_eq!(name(&identities, 5), None);
        let known = |_| {
            Some(CgroupFacts {
                path: "/pod".to_owned(),
                pod_namespace: Some("prod".into()),
                ..CgroupFacts::default()
            })
        };
        identities.update(&rows, NAMES_SETTLE_NS / 2, known, nobody);
        assert_eq!(name(&identities, 5), Some("one"));
    }
}
