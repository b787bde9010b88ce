//! A host that is made up: threads are born and end, and calls fail, whenever a test wants it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
};

use crate::{Compared, CpuList, Found, Host, HostError, Journal, Knob, Members, Thread, Value};

/// A thread that is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FakeThread {
    pub(crate) cpus: CpuList,
    pub(crate) usual: CpuList,
    pub(crate) is_realtime: bool,
}

/// What happens before a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happening {
    /// One of the threads, by its number among all, has a child with its CPUs.
    Birth(usize),
    /// One of them ends.
    Death(usize),
}

/// A host that is made up. All of its threads are in one cgroup.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeHost {
    pub(crate) threads: BTreeMap<Thread, FakeThread>,
    /// Calls so far.
    pub(crate) calls: u64,
    /// What happens before which call.
    pub(crate) happenings: Vec<(u64, Happening)>,
    /// The first call that fails, and whether all later ones do.
    pub(crate) fails: Option<(u64, bool)>,
    /// The journal that must tell of a change before it is made.
    pub(crate) journal: Option<PathBuf>,
    /// Threads that were born.
    pub(crate) born: u64,
}

impl FakeHost {
    fn call(&mut self) -> Result<(), HostError> {
        self.calls += 1;
        let now = self.happenings.iter().filter(|(at, _)| *at == self.calls);
        for happening in now.map(|(_, happening)| *happening).collect::<Vec<_>>() {
            self.happen(happening);
        }
        let fails = self
            .fails
            .is_some_and(|(first, forever)| self.calls == first || forever && self.calls > first);
        if fails {
            return Err(HostError::File {
                what: "reading",
                path: PathBuf::from("/proc"),
                source: io::Error::other("for a test"),
            });
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening) {
        let (Birth(number) | Death(number)) = happening;
        let Some(&thread) = self.threads.keys().nth(number % self.threads.len().max(1)) else {
            return;
        };
        match happening {
            Birth(_) => {
                self.born += 1;
                let child = Thread {
                    pid: thread.pid,
                    tid: 10_000 + u32::try_from(self.born).expect("few are born"),
                    started: 1_000 + self.born,
                };
                let row = FakeThread {
                    is_realtime: false,
                    ..self.threads[&thread].clone()
                };
                self.threads.insert(child, row);
            }
            Death(_) => {
                self.threads.remove(&thread);
            }
        }
    }

    /// That a change is told of by the journal, and is still in force there.
    fn is_told(&self, knob: &Knob) -> bool {
        self.journal.as_ref().is_none_or(|path| {
            let past = Journal::read(path).expect("it can be read");
            let mut changes = past
                .in_force()
                .flat_map(|(_, stored)| &stored.begun.changes);
            changes.any(|change| change.knob == *knob)
        })
    }
}

use Happening::{Birth, Death};

impl Host for FakeHost {
    fn threads(&mut self, members: &Members) -> Result<Vec<Found>, HostError> {
        self.call()?;
        let is_one = |pid: u32| match members {
            Members::Cgroup { .. } => true,
            Members::Processes(processes) => processes.iter().any(|process| process.pid == pid),
        };
        let rows = self.threads.iter();
        let found = rows.filter(|(thread, _)| is_one(thread.pid));
        let found = found.map(|(&thread, row)| Found {
            thread,
            cpus: row.cpus.clone(),
            usual: row.usual.clone(),
            is_realtime: row.is_realtime,
        });
        Ok(found.collect())
    }

    /// All threads descend from those of any process.
    fn family(&mut self, _members: &Members) -> Result<Vec<Found>, HostError> {
        let all = Members::Cgroup {
            path: PathBuf::new(),
            id: 0,
        };
        self.threads(&all)
    }

    fn processes(&mut self, members: &Members) -> Result<Vec<Thread>, HostError> {
        let pids: BTreeSet<u32> = self
            .threads(members)?
            .iter()
            .map(|found| found.thread.pid)
            .collect();
        let process = |pid| Thread {
            pid,
            tid: pid,
            started: 0,
        };
        Ok(pids.into_iter().map(process).collect())
    }

    fn compare(&mut self, knob: &Knob, with: &Value) -> Result<Compared, HostError> {
        Ok(Compared::of(self.read(knob)?, with))
    }

    fn read(&mut self, knob: &Knob) -> Result<Option<Value>, HostError> {
        self.call()?;
        let Knob::Affinity(thread) = knob;
        let row = self.threads.get(thread);
        Ok(row.map(|row| Value::Cpus(row.cpus.clone())))
    }

    fn write(&mut self, knob: &Knob, value: &Value) -> Result<bool, HostError> {
        self.call()?;
        let (Knob::Affinity(thread), Value::Cpus(cpus)) = (knob, value);
        let is_told = self.is_told(knob);
        let Some(row) = self.threads.get_mut(thread) else {
            return Ok(false);
        };
        assert!(
            is_told || *cpus == row.usual,
            "{knob:?} is changed before it is written down"
        );
        row.cpus.clone_from(cpus);
        Ok(true)
    }
}
