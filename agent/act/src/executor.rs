//! Carries steps out, watches what becomes of them, and takes them back.
//!
//! What is to be changed is in the journal before it is changed. Whatever fails on the way, the step is
//! taken back at once; and whenever it ends, the journal tells the next one what to take back. Only values
//! that are still as they were set are put back: all others are somebody else's by now.

mod restoring;
mod tending;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use self::tending::{Looked, Tended, Yielded};
use crate::{
    Begun, Cause, Change, CpuList, Found, Host, HostError, Journal, JournalError, Knob, Members,
    Past, Record, Stored, Thread, Value,
};

/// How often one looks for threads that were born while the others were set. Those that are born after a
/// look have a parent that was set by then, or it is looked again.
const MAX_LOOKS: usize = 8;

/// What came of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Threads that were set.
    pub set: u64,
    /// Threads that ended before they were.
    pub gone: u64,
    /// Threads that are left alone since somebody has given them CPUs of their own.
    pub pinned: u64,
    /// Threads that are left alone since they run before all others.
    pub realtime: u64,
    /// Threads that could run on these CPUs alone before, or on none of them.
    pub unchanged: u64,
}

/// What came of taking a step back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Knobs that have their old value again.
    pub restored: u64,
    /// Threads that were born meanwhile, and got what their parents had.
    pub born: u64,
    /// Knobs that had it already: the step never came to them.
    pub as_was: u64,
    /// Threads that have ended.
    pub gone: u64,
    /// Knobs that somebody else has set meanwhile.
    pub foreign: u64,
}

/// What is to be done to an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its name.
    pub agent: String,
    /// What is done, in words.
    pub what: String,
    /// What led to it, in words.
    pub why: String,
    /// Its threads.
    pub members: Members,
    /// The CPUs that they get.
    pub cpus: CpuList,
}

/// Why a step could not be carried out, or taken back.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// Something is done to the agent already.
    #[error("step {step} has placed '{agent}' already: take it back first")]
    InForce {
        /// The agent.
        agent: String,
        /// The step that did it.
        step: u64,
    },
    /// None of its threads can be given these CPUs.
    #[error(
        "no thread of '{agent}' can be given CPUs {cpus}: {}",
        why_not(receipt)
    )]
    NothingToChange {
        /// The agent.
        agent: String,
        /// The CPUs.
        cpus: CpuList,
        /// What was found.
        receipt: Receipt,
    },
    /// There is no such step in force.
    #[error("no step {step} is in force")]
    NotInForce {
        /// The step.
        step: u64,
    },
    /// Some of a step could not be taken back. It stays in force, to be tried again.
    #[error("{knobs} knobs of step {step} could not be put back, the first one because {first}")]
    NotRestored {
        /// The step.
        step: u64,
        /// How many.
        knobs: u64,
        /// Why not.
        first: HostError,
    },
    /// A step failed, and was taken back.
    #[error("step {step} was taken back since it failed: {source}")]
    TakenBack {
        /// The step.
        step: u64,
        /// What failed.
        source: Box<ActError>,
    },
    /// The host refuses.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The journal can't be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

fn why_not(receipt: &Receipt) -> String {
    format!(
        "{} have CPUs of their own, {} are of real time, {} need no change",
        receipt.pinned, receipt.realtime, receipt.unchanged
    )
}

/// Carries steps out on a host.
#[derive(Debug)]
pub struct Executor<H> {
    host: H,
    journal: Journal,
    /// Steps of which a part could not be taken back yet: of these, what is as it was is nobody else's.
    half_undone: BTreeSet<u64>,
}

impl<H: Host> Executor<H> {
    /// With a journal that is open; what is in force in it is in force here.
    pub fn new(host: H, journal: Journal) -> Self {
        Self {
            host,
            journal,
            half_undone: BTreeSet::new(),
        }
    }

    /// All that was done, and what is in force of it.
    pub fn past(&self) -> &Past {
        self.journal.past()
    }

    /// Gives an agent's threads CPUs, also those that are born meanwhile. If it fails on the way, it is
    /// taken back.
    pub fn place(&mut self, order: Order, at_ms: u64) -> Result<(u64, Receipt), ActError> {
        if let Some((step, _)) = self.in_force_for(&order.agent) {
            let agent = order.agent;
            return Err(ActError::InForce { agent, step });
        }
        let mut sorted = Sorted::default();
        sorted.add(self.host.threads(&order.members)?, &order.cpus);
        if let Members::Processes(_) = order.members {
            // These may be others' agents: who has these very CPUs among them does not have them from here.
            sorted.leave(self.host.family(&order.members)?, &order.cpus);
        }
        sorted.is_later = true;
        if sorted.changes.is_empty() {
            return Err(ActError::NothingToChange {
                agent: order.agent,
                cpus: order.cpus,
                receipt: sorted.receipt,
            });
        }
        let step = self.past().next_step();
        self.begin(step, &order, &sorted, at_ms)?;
        let carried_out = self.carry_out(step, &order, sorted, at_ms);
        let Err(error) = carried_out else {
            return carried_out.map(|receipt| (step, receipt));
        };
        let reason = error.to_string();
        self.undo(step, Cause::Failed { reason }, at_ms)?;
        Err(ActError::TakenBack {
            step,
            source: Box::new(error),
        })
    }

    /// The processes of an agent, by their first threads.
    pub fn processes(&mut self, members: &Members) -> Result<Vec<Thread>, HostError> {
        self.host.processes(members)
    }

    fn in_force_for(&self, agent: &str) -> Option<(u64, &Stored)> {
        self.past()
            .in_force()
            .find(|(_, stored)| stored.begun.agent == agent)
    }

    fn begin(
        &mut self,
        step: u64,
        order: &Order,
        sorted: &Sorted,
        at_ms: u64,
    ) -> Result<(), JournalError> {
        let begun = |changes| Record::Begun {
            step,
            begun: Begun {
                at_ms,
                agent: order.agent.clone(),
                what: order.what.clone(),
                why: order.why.clone(),
                members: order.members.clone(),
                cpus: order.cpus.clone(),
                left: sorted.left.clone(),
                changes,
            },
        };
        self.journal.append_changes(begun, step, &sorted.changes)
    }

    /// Sets what was written down, and then those who were born meanwhile, until there are none.
    fn carry_out(
        &mut self,
        step: u64,
        order: &Order,
        mut sorted: Sorted,
        at_ms: u64,
    ) -> Result<Receipt, ActError> {
        for _ in 0..MAX_LOOKS {
            for change in std::mem::take(&mut sorted.changes) {
                if self.host.write(&change.knob, &change.new)? {
                    sorted.receipt.set += 1;
                } else {
                    sorted.receipt.gone += 1;
                }
            }
            sorted.add(self.host.threads(&order.members)?, &order.cpus);
            if sorted.changes.is_empty() {
                break;
            }
            let more = |changes| Record::More { step, changes };
            self.journal.append_changes(more, step, &sorted.changes)?;
        }
        let receipt = sorted.receipt;
        self.journal.append(Record::Done {
            step,
            at_ms,
            receipt,
        })?;
        Ok(receipt)
    }
}

/// Threads of an agent, by what is to be done to them.
#[derive(Debug, Default)]
struct Sorted {
    /// All that were seen.
    seen: BTreeSet<Thread>,
    /// What is to be changed.
    changes: Vec<Change>,
    /// Those to which somebody else had given these very CPUs.
    left: Vec<Thread>,
    receipt: Receipt,
    /// Whether threads have been set since: those that have the step's CPUs may be their children.
    is_later: bool,
}

impl Sorted {
    /// Sorts those that were not seen before.
    fn add(&mut self, threads: Vec<Found>, cpus: &CpuList) {
        for found in threads {
            if self.seen.insert(found.thread) {
                self.sort(found, cpus);
            }
        }
    }

    /// Leaves those alone that were not seen and have these very CPUs from somebody else.
    fn leave(&mut self, threads: Vec<Found>, cpus: &CpuList) {
        let theirs = threads
            .into_iter()
            .filter(|found| found.is_placed_on(cpus) && !self.seen.contains(&found.thread));
        self.left.extend(theirs.map(|found| found.thread));
    }

    fn sort(&mut self, found: Found, cpus: &CpuList) {
        let wanted = found.usual.common(cpus);
        if found.is_realtime {
            self.receipt.realtime += 1;
        } else if found.cpus != found.usual {
            if !self.is_later {
                self.receipt.pinned += 1;
                if found.cpus == wanted {
                    self.left.push(found.thread);
                }
            }
        } else if wanted.is_empty() || wanted == found.usual {
            self.receipt.unchanged += 1;
        } else {
            self.changes.push(Change {
                knob: Knob::Affinity(found.thread),
                old: Value::Cpus(found.cpus),
                new: Value::Cpus(wanted),
            });
        }
    }
}
