//! Who is who where a process's cgroup does not tell: what rules say, and in the root cgroup the
//! programs that run.

use std::collections::{BTreeMap, BTreeSet};

use hostler_decide::identity::{AgentKey, Kind};

use crate::programs::ProgramKey;

/// Why a process belongs to its agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    /// Its cgroup tells.
    Cgroup,
    /// It sits in the root cgroup, where the program tells that it runs.
    Program(ProgramKey),
    /// A rule says so. The kind is the same for all agents of a group.
    Rule(AgentKey, Kind),
}

/// One process as a snapshot found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClaimedProcess {
    pub(crate) tgid: u32,
    pub(crate) started_ticks: u64,
    /// Another number after each exec, which makes the kernel side forget what was said.
    pub(crate) exec_id: u64,
    pub(crate) claim: Claim,
}

/// What changed between two snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Programs and agents of rules with a first process.
    pub(crate) appeared: Vec<Claim>,
    /// Programs and agents of rules without any process left.
    pub(crate) departed: Vec<Claim>,
    /// Processes that are new, or another agent's than before.
    pub(crate) found: Vec<ClaimedProcess>,
    /// Ids of processes that are gone.
    pub(crate) gone: Vec<u32>,
}

/// Processes and whose they are, as of the last snapshot.
#[derive(Default)]
pub(crate) struct Claims {
    processes: BTreeMap<u32, ClaimedProcess>,
}

impl Claims {
    /// Takes in a snapshot and says what changed.
    pub(crate) fn update(&mut self, snapshot: impl IntoIterator<Item = ClaimedProcess>) -> Changes {
        let mut now = BTreeMap::new();
        let mut found = Vec::new();
        for process in snapshot {
            if self.processes.get(&process.tgid) != Some(&process) {
                found.push(process.clone());
            }
            now.insert(process.tgid, process);
        }
        let gone: Vec<u32> = self
            .processes
            .keys()
            .filter(|tgid| !now.contains_key(tgid))
            .copied()
            .collect();
        if found.is_empty() && gone.is_empty() {
            return Changes::default();
        }
        let before = std::mem::replace(&mut self.processes, now);
        let (before, after) = (agents(&before), agents(&self.processes));
        Changes {
            appeared: after
                .difference(&before)
                .map(|&claim| claim.clone())
                .collect(),
            departed: before
                .difference(&after)
                .map(|&claim| claim.clone())
                .collect(),
            found,
            gone,
        }
    }

    /// Forgets a process that could not be given to its agent, so that it is found again.
    pub(crate) fn forget(&mut self, tgid: u32) {
        self.processes.remove(&tgid);
    }

    /// Whose a process is.
    pub(crate) fn of_process(&self, tgid: u32) -> Option<&Claim> {
        self.processes.get(&tgid).map(|process| &process.claim)
    }
}

/// The agents that are not cgroups.
fn agents(processes: &BTreeMap<u32, ClaimedProcess>) -> BTreeSet<&Claim> {
    processes
        .values()
        .map(|process| &process.claim)
        .filter(|claim| **claim != Claim::Cgroup)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(program: &str, session: u32) -> Claim {
        Claim::Program(ProgramKey {
            program: program.to_owned(),
            session,
        })
    }

    fn process(tgid: u32, started_ticks: u64, claim: Claim) -> ClaimedProcess {
        ClaimedProcess {
            tgid,
            started_ticks,
            exec_id: 1,
            claim,
        }
    }

    #[test]
    fn one_program_in_one_session_is_one_agent_and_in_two_sessions_two() {
        let mut claims = Claims::default();
        let changes = claims.update([
            process(10, 1, program("bash", 10)),
            process(11, 2, program("rustc", 10)),
            process(12, 3, program("rustc", 10)),
            process(20, 4, program("bash", 20)),
        ]);
        assert_eq!(
            changes.appeared,
            [
                program("bash", 10),
                program("bash", 20),
                program("rustc", 10)
            ]
        );
        assert_eq!(changes.found.len(), 4);
    }

    #[test]
    fn a_process_that_is_another_agent_s_now_is_found_again() {
        let mut claims = Claims::default();
        claims.update([
            process(10, 1, program("bash", 10)),
            process(11, 2, program("bash", 10)),
        ]);
        let sleep = process(11, 2, program("sleep", 10));
        let changes = claims.update([process(10, 1, program("bash", 10)), sleep.clone()]);
        assert_eq!(changes.appeared, [program("sleep", 10)]);
        assert_eq!(changes.found, [sleep]);
        assert_eq!(changes.departed, []);
    }

    #[test]
    fn a_process_that_has_run_an_exec_is_found_again_though_it_is_the_same_agent_s() {
        let mut claims = Claims::default();
        let before = process(10, 1, program("bash", 10));
        claims.update([before.clone()]);
        let after = ClaimedProcess {
            exec_id: 2,
            ..before
        };
        let changes = claims.update([after.clone()]);
        assert_eq!(changes.found, [after]);
        assert_eq!((changes.appeared, changes.departed), (vec![], vec![]));
    }

    #[test]
    fn a_reused_process_id_is_another_process() {
        let mut claims = Claims::default();
        claims.update([process(10, 1, program("bash", 10))]);
        let changes = claims.update([process(10, 2, program("bash", 10))]);
        assert_eq!(changes.found.len(), 1);
        assert!(changes.gone.is_empty());
    }

    #[test]
    fn an_agent_departs_with_its_last_process() {
        let mut claims = Claims::default();
        let second = process(11, 2, program("sh", 5));
        claims.update([process(10, 1, program("sh", 5)), second.clone()]);
        assert_eq!(claims.update([second]).departed, []);
        let changes = claims.update([]);
        assert_eq!(changes.departed, [program("sh", 5)]);
        assert_eq!(changes.gone, [11]);
    }

    #[test]
    fn a_cgroup_s_process_is_found_but_brings_no_agent_along() {
        let mut claims = Claims::default();
        let changes = claims.update([process(10, 1, Claim::Cgroup)]);
        assert_eq!(changes.found.len(), 1);
        assert_eq!(changes.appeared, []);
        assert_eq!(claims.update([]).departed, []);
    }

    #[test]
    fn a_snapshot_without_changes_changes_nothing() {
        let mut claims = Claims::default();
        let snapshot = [process(10, 1, program("bash", 10))];
        claims.update(snapshot.clone());
        assert_eq!(claims.update(snapshot), Changes::default());
    }
}
