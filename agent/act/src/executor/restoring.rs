//! Takes steps back.

use std::collections::BTreeSet;

use super::{ActError, Executor, MAX_LOOKS, Restored};
use crate::{Cause, Change, Found, Host, HostError, Knob, Members, Record, Stored, Thread, Value};

/// What could not be put back.
#[derive(Default)]
struct Failures {
    knobs: u64,
    first: Option<HostError>,
}

impl Failures {
    fn add(&mut self, error: HostError) {
        self.knobs += 1;
        self.first.get_or_insert(error);
    }
}

impl<H: Host> Executor<H> {
    /// Takes a step back: what it has set gets its old value, in reverse order, unless somebody else has
    /// set it meanwhile. What can't be put back leaves the step in force, to be tried again.
    pub fn undo(&mut self, step: u64, cause: Cause, at_ms: u64) -> Result<Restored, ActError> {
        let mut in_force = self.past().in_force();
        let found = in_force.find(|(number, _)| *number == step);
        let stored = found.map(|(_, stored)| stored.clone());
        drop(in_force);
        let stored = stored.ok_or(ActError::NotInForce { step })?;
        let (restored, failures) = self.restore(step, &stored);
        if let Some(first) = failures.first {
            self.half_undone.insert(step);
            return Err(ActError::NotRestored {
                step,
                knobs: failures.knobs,
                first,
            });
        }
        self.journal.append(Record::Undone {
            step,
            at_ms,
            cause,
            restored,
        })?;
        self.half_undone.remove(&step);
        Ok(restored)
    }

    /// Takes all steps back that are in force, the last one first. Of each, what came of it.
    pub fn undo_all(
        &mut self,
        cause: &Cause,
        at_ms: u64,
    ) -> Vec<(u64, Result<Restored, ActError>)> {
        let mut steps: Vec<u64> = self.past().in_force().map(|(step, _)| step).collect();
        steps.reverse();
        let undo = |step| (step, self.undo(step, cause.clone(), at_ms));
        steps.into_iter().map(undo).collect()
    }

    fn restore(&mut self, step: u64, stored: &Stored) -> (Restored, Failures) {
        let (mut restored, mut failures) = (Restored::default(), Failures::default());
        let theirs: BTreeSet<&Knob> = stored.yielded.iter().map(|(_, knob, _)| knob).collect();
        for change in stored.begun.changes.iter().rev() {
            if theirs.contains(&change.knob) {
                restored.foreign += 1;
            } else if let Err(error) = self.restore_knob(change, &mut restored) {
                failures.add(error);
            }
        }
        if let Err(error) = self.restore_born(step, stored, &mut restored) {
            failures.add(error);
        }
        (restored, failures)
    }

    fn restore_knob(&mut self, change: &Change, restored: &mut Restored) -> Result<(), HostError> {
        match self.host.read(&change.knob)? {
            None => restored.gone += 1,
            Some(now) if now == change.new => {
                if self.host.write(&change.knob, &change.old)? {
                    restored.restored += 1;
                } else {
                    restored.gone += 1;
                }
            }
            Some(now) if now == change.old => restored.as_was += 1,
            Some(_) => restored.foreign += 1,
        }
        Ok(())
    }

    /// Threads that were born of those that were set have what these had. Where somebody else had given a
    /// thread of the same process the same CPUs, one can't tell whose child it is, and it is left alone. So is
    /// what another step has set.
    fn restore_born(
        &mut self,
        step: u64,
        stored: &Stored,
        restored: &mut Restored,
    ) -> Result<(), HostError> {
        let mut known: BTreeSet<Thread> = stored.begun.changes.iter().map(thread_of).collect();
        let unsure: BTreeSet<u32> = stored.begun.left.iter().map(|thread| thread.pid).collect();
        let members = with_later_ones(stored);
        for _ in 0..MAX_LOOKS {
            let mut born = self.host.family(&members)?;
            born.retain(|found| {
                let is_ours = found.is_placed_on(&stored.begun.cpus) && !found.is_realtime;
                is_ours && !unsure.contains(&found.thread.pid) && known.insert(found.thread)
            });
            if !born.is_empty() {
                self.leave_to_others(step, &members, &mut born);
            }
            if born.is_empty() {
                break;
            }
            for Found { thread, usual, .. } in born {
                let usual = Value::Cpus(usual);
                if self.host.write(&Knob::Affinity(thread), &usual)? {
                    restored.born += 1;
                }
            }
        }
        Ok(())
    }

    /// Leaves out what other steps have set; of a family of processes, whole processes of which they have
    /// set anything.
    fn leave_to_others(&self, step: u64, members: &Members, born: &mut Vec<Found>) {
        let others = self.past().in_force().filter(|(other, _)| *other != step);
        let theirs: BTreeSet<Thread> = others
            .flat_map(|(_, stored)| stored.begun.changes.iter().map(thread_of))
            .collect();
        match members {
            Members::Cgroup { .. } => born.retain(|found| !theirs.contains(&found.thread)),
            Members::Processes(_) => {
                let theirs: BTreeSet<u32> = theirs.iter().map(|thread| thread.pid).collect();
                born.retain(|found| !theirs.contains(&found.thread.pid));
            }
        }
    }
}

/// The members of a step's agent, and the processes that have come to it since.
fn with_later_ones(stored: &Stored) -> Members {
    let Members::Processes(first) = &stored.begun.members else {
        return stored.begun.members.clone();
    };
    let changed = stored.begun.changes.iter().map(thread_of);
    let processes = changed.filter(|thread| thread.pid == thread.tid);
    let all: BTreeSet<Thread> = first.iter().copied().chain(processes).collect();
    Members::Processes(all.into_iter().collect())
}

fn thread_of(change: &Change) -> Thread {
    let Knob::Affinity(thread) = change.knob;
    thread
}
