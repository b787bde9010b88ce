//! Who is who in the root cgroup, where no cgroup tells agents apart.
//!
//! On a host without systemd or containers everything sits there. A process belongs with those
//! that run the same program in the same session: a session is what one log-in, one terminal or
//! one service start brought forth, so a build's hundreds of compilers are one agent, and the same
//! program in two terminals is two.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::processes::ThreadRow;

/// What the processes of one agent in the root cgroup share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProgramKey {
    /// The program's name.
    pub(crate) program: String,
    /// The id of the session's first process; 0 if there is none.
    pub(crate) session: u32,
}

impl fmt::Display for ProgramKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.session == 0 {
            return formatter.write_str(&self.program);
        }
        write!(formatter, "{}:{}", self.program, self.session)
    }
}

/// A process that a snapshot found for the first time, or under another program's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundProcess {
    pub(crate) tgid: u32,
    pub(crate) started_ticks: u64,
    pub(crate) key: ProgramKey,
}

/// What changed between two snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Programs with a first process.
    pub(crate) appeared: Vec<ProgramKey>,
    /// Programs without any process left.
    pub(crate) departed: Vec<ProgramKey>,
    /// Processes to be charged to another program than before.
    pub(crate) found: Vec<FoundProcess>,
    /// Ids of processes that are gone.
    pub(crate) gone: Vec<u32>,
}

/// The processes of the root cgroup as of the last snapshot.
#[derive(Default)]
pub(crate) struct Programs {
    processes: BTreeMap<u32, (u64, ProgramKey)>,
}

impl Programs {
    /// Takes in a snapshot and says what changed.
    pub(crate) fn update(&mut self, rows: &[ThreadRow]) -> Changes {
        let before = self.keys();
        let mut now = BTreeMap::new();
        let mut found = Vec::new();
        for row in rows {
            let key = ProgramKey {
                program: row.program.clone(),
                session: row.session,
            };
            let value = (row.started_ticks, key);
            if self.processes.get(&row.tgid) != Some(&value) {
                let (started_ticks, key) = value.clone();
                found.push(FoundProcess {
                    tgid: row.tgid,
                    started_ticks,
                    key,
                });
            }
            now.insert(row.tgid, value);
        }
        let gone = self
            .processes
            .keys()
            .filter(|tgid| !now.contains_key(tgid))
            .copied()
            .collect();
        self.processes = now;
        let after = self.keys();
        Changes {
            appeared: after.difference(&before).cloned().collect(),
            departed: before.difference(&after).cloned().collect(),
            found,
            gone,
        }
    }

    /// The program that a process belongs to.
    pub(crate) fn of_process(&self, tgid: u32) -> Option<&ProgramKey> {
        self.processes.get(&tgid).map(|(_, key)| key)
    }

    fn keys(&self) -> BTreeSet<ProgramKey> {
        self.processes
            .values()
            .map(|(_, key)| key.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(tgid: u32, started_ticks: u64, program: &str, session: u32) -> ThreadRow {
        ThreadRow {
            cgroup_id: 1,
            started_ticks,
            tid: tgid,
            tgid,
            session,
            kernel_thread: false,
            program: program.to_owned(),
        }
    }

    fn key(program: &str, session: u32) -> ProgramKey {
        ProgramKey {
            program: program.to_owned(),
            session,
        }
    }

    #[test]
    fn one_program_in_one_session_is_one_agent_and_in_two_sessions_two() {
        let mut programs = Programs::default();
        let changes = programs.update(&[
            process(10, 1, "bash", 10),
            process(11, 2, "rustc", 10),
            process(12, 3, "rustc", 10),
            process(20, 4, "bash", 20),
        ]);
        assert_eq!(
            changes.appeared,
            [key("bash", 10), key("bash", 20), key("rustc", 10)]
        );
        assert_eq!(changes.found.len(), 4);
    }

    #[test]
    fn a_process_that_runs_another_program_now_is_found_again() {
        let mut programs = Programs::default();
        programs.update(&[process(10, 1, "bash", 10), process(11, 2, "bash", 10)]);
        let changes = programs.update(&[process(10, 1, "bash", 10), process(11, 2, "sleep", 10)]);
        assert_eq!(changes.appeared, [key("sleep", 10)]);
        assert_eq!(changes.found[0].tgid, 11);
        assert_eq!(changes.departed, []);
    }

    #[test]
    fn a_reused_process_id_is_another_process() {
        let mut programs = Programs::default();
        programs.update(&[process(10, 1, "bash", 10)]);
        let changes = programs.update(&[process(10, 2, "bash", 10)]);
        assert_eq!(changes.found.len(), 1);
        assert!(changes.gone.is_empty());
    }

    #[test]
    fn a_program_departs_with_its_last_process() {
        let mut programs = Programs::default();
        programs.update(&[process(10, 1, "sh", 5), process(11, 2, "sh", 5)]);
        assert_eq!(programs.update(&[process(11, 2, "sh", 5)]).departed, []);
        let changes = programs.update(&[]);
        assert_eq!(changes.departed, [key("sh", 5)]);
        assert_eq!(changes.gone, [11]);
    }

    #[test]
    fn a_snapshot_without_changes_changes_nothing() {
        let mut programs = Programs::default();
        let rows = [process(10, 1, "bash", 10)];
        programs.update(&rows);
        assert_eq!(programs.update(&rows), Changes::default());
    }
}
