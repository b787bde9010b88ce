//! Watches what becomes of steps: whether others have set what was set, who has come to agents since, and
//! which agents have gone.

use std::collections::BTreeSet;

use super::{ActError, Executor};
use crate::{Cause, Change, Compared, CpuList, Found, Host, Knob, Members, Record, Thread, Value};

/// So many threads of a step that have ended are forgotten together: agents that live long have many that
/// do not.
const ENDED: usize = 64;

/// A knob that somebody else has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yielded {
    /// The step that had set it.
    pub step: u64,
    /// The agent's name.
    pub agent: String,
    /// Which.
    pub knob: Knob,
    /// To what.
    pub found: Value,
}

/// What came of looking at knobs.
#[derive(Debug, Default)]
pub struct Looked {
    /// Those that somebody else has set since the last look.
    pub yielded: Vec<Yielded>,
    /// The first failure; `None` if all could be looked at.
    pub failed: Option<ActError>,
}

/// What became of an agent since its step was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tended {
    /// So many threads that have come since were given the step's CPUs as well.
    Followed(u64),
    /// It has gone, and its step is over.
    Departed,
}

impl<H: Host> Executor<H> {
    /// Looks whether somebody else has set what some steps had set. What they have is theirs from then on.
    /// What can't be looked at does not keep the rest from it.
    pub fn look(&mut self, is_looked_at: impl Fn(u64) -> bool, at_ms: u64) -> Looked {
        let mut looked = Looked::default();
        let mut gone = Vec::new();
        // Hosts have hundreds of thousands of knobs, of which hardly one differs.
        let (host, past) = (&mut self.host, self.journal.past());
        let is_whole = |step: &u64| !self.half_undone.contains(step);
        let in_force = past.in_force().filter(|(step, _)| is_whole(step));
        for (step, stored) in in_force.filter(|(step, _)| is_looked_at(*step)) {
            let theirs: BTreeSet<&Knob> = stored.yielded.iter().map(|(_, knob, _)| knob).collect();
            let changes = stored.begun.changes.iter();
            let mut ended = Vec::new();
            for Change { knob, new, .. } in changes.filter(|change| !theirs.contains(&change.knob))
            {
                match host.compare(knob, new) {
                    Ok(Compared::Same) => {}
                    Ok(Compared::Gone) => ended.push(thread_of(knob)),
                    Ok(Compared::Other(found)) => looked.yielded.push(Yielded {
                        step,
                        agent: stored.begun.agent.clone(),
                        knob: knob.clone(),
                        found,
                    }),
                    Err(error) => drop(looked.failed.get_or_insert(error.into())),
                }
            }
            if ended.len() >= ENDED {
                gone.push(Record::Ended {
                    step,
                    threads: ended,
                });
            }
        }
        looked.yielded.retain(|yielded| {
            let written = self.journal.append(Record::Yielded {
                step: yielded.step,
                at_ms,
                knob: yielded.knob.clone(),
                found: yielded.found.clone(),
            });
            // What could not be written down is found once more by the next look.
            match written {
                Ok(()) => true,
                Err(error) => {
                    looked.failed.get_or_insert(error.into());
                    false
                }
            }
        });
        for record in gone {
            if let Err(error) = self.journal.append(record) {
                looked.failed.get_or_insert(error.into());
            }
        }
        looked
    }

    /// Gives threads the step's CPUs that have come to its agent by other ways than by being born there;
    /// `now` is who the agent is by now, if that is told otherwise than when the step began. Closes the step if
    /// nobody is left. If it fails on the way, the step is taken back.
    pub fn tend(
        &mut self,
        step: u64,
        now: Option<Members>,
        at_ms: u64,
    ) -> Result<Tended, ActError> {
        let stored = self.past().in_force().find(|(number, _)| *number == step);
        let stored = stored.map(|(_, stored)| stored.clone());
        let stored = stored.ok_or(ActError::NotInForce { step })?;
        let members = now.unwrap_or_else(|| stored.begun.members.clone());
        let mut processes = self.host.processes(&members)?;
        if processes.is_empty() {
            self.undo(step, Cause::Departed, at_ms)?;
            return Ok(Tended::Departed);
        }
        let known: BTreeSet<Thread> =
            threads(stored.begun.changes.iter().map(|change| &change.knob));
        // Whoever has set one thread of a process may have had the others in mind as well.
        let theirs = threads(stored.yielded.iter().map(|(_, knob, _)| knob));
        let theirs = theirs.iter().chain(&stored.begun.left);
        let theirs: BTreeSet<u32> = theirs.map(|thread| thread.pid).collect();
        processes.retain(|process| !known.contains(process) && !theirs.contains(&process.pid));
        if processes.is_empty() {
            return Ok(Tended::Followed(0));
        }
        let found = self.host.threads(&Members::Processes(processes))?;
        let newcomers = newcomers(found, &known, &stored.begun.cpus);
        let written = self.set_newcomers(step, &newcomers);
        let Err(error) = written else {
            return written.map(Tended::Followed);
        };
        let reason = error.to_string();
        self.undo(step, Cause::Failed { reason }, at_ms)?;
        Err(ActError::TakenBack {
            step,
            source: Box::new(error),
        })
    }

    /// Sets threads that are not set yet. How many.
    fn set_newcomers(&mut self, step: u64, newcomers: &[Change]) -> Result<u64, ActError> {
        if newcomers.is_empty() {
            return Ok(0);
        }
        let more = |changes| Record::More { step, changes };
        self.journal.append_changes(more, step, newcomers)?;
        let mut set = 0;
        for Change { knob, new, .. } in newcomers {
            if let Compared::Other(_) = self.host.compare(knob, new)? {
                set += u64::from(self.host.write(knob, new)?);
            }
        }
        Ok(set)
    }
}

/// Threads that have come since: those that can have the CPUs, and those that were born with them, of
/// processes that have been set. These are as much the step's, though nothing is left to be set: when their
/// parents are gone, nothing else tells whose they are.
fn newcomers(found: Vec<Found>, known: &BTreeSet<Thread>, cpus: &CpuList) -> Vec<Change> {
    let is_new = |found: &Found| !known.contains(&found.thread) && !found.is_realtime;
    let found = found.into_iter().filter(is_new);
    let change = |found: Found| {
        let wanted = found.usual.common(cpus);
        let is_free = found.cpus == found.usual;
        let is_to_be_set = (is_free || found.cpus == wanted) && wanted != found.usual;
        (is_to_be_set && !wanted.is_empty()).then_some(Change {
            knob: Knob::Affinity(found.thread),
            old: Value::Cpus(found.usual),
            new: Value::Cpus(wanted),
        })
    };
    found.filter_map(change).collect()
}

fn threads<'a>(knobs: impl Iterator<Item = &'a Knob>) -> BTreeSet<Thread> {
    knobs.map(thread_of).collect()
}

fn thread_of(knob: &Knob) -> Thread {
    let Knob::Affinity(thread) = knob;
    *thread
}
