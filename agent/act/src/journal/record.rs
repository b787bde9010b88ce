//! What is written down, and what it adds up to.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Change, CpuList, Knob, Members, Receipt, Restored, Thread, Value};

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// Somebody began to write.
    Opened {
        /// Which run of the host it is: what was changed in an earlier one is gone with it.
        boot: String,
        /// When, in ms since 1970.
        at_ms: u64,
    },
    /// A step begins: nothing has been changed yet.
    Begun {
        /// Its number; later steps have higher ones.
        step: u64,
        /// What is about to be done.
        #[serde(flatten)]
        begun: Begun,
    },
    /// More is about to be changed by a step: threads that were born meanwhile, or came later.
    More {
        /// The step.
        step: u64,
        /// What.
        changes: Vec<Change>,
    },
    /// Threads of a step have ended: nothing of them is left to be put back.
    Ended {
        /// The step.
        step: u64,
        /// Which.
        threads: Vec<Thread>,
    },
    /// A step is done.
    Done {
        /// The step.
        step: u64,
        /// When, in ms since 1970.
        at_ms: u64,
        /// What came of it.
        receipt: Receipt,
    },
    /// Somebody else has set a knob: it is theirs from now on.
    Yielded {
        /// The step that had set it.
        step: u64,
        /// When that was seen, in ms since 1970.
        at_ms: u64,
        /// Which.
        knob: Knob,
        /// To what.
        found: Value,
    },
    /// A step was taken back, as far as what it had set was still as it had set it.
    Undone {
        /// The step.
        step: u64,
        /// When, in ms since 1970.
        at_ms: u64,
        /// Why.
        cause: Cause,
        /// What came of it.
        restored: Restored,
    },
}

/// A step as it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    /// When, in ms since 1970.
    pub at_ms: u64,
    /// The agent's name.
    pub agent: String,
    /// What is done, in words.
    pub what: String,
    /// What led to it, in words.
    pub why: String,
    /// Whose threads.
    pub members: Members,
    /// The CPUs that they get.
    pub cpus: CpuList,
    /// Threads that somebody else had given these very CPUs before: they are not ours.
    pub left: Vec<Thread>,
    /// What is about to be changed, or was; of steps of long ago that were taken back, nothing is kept.
    pub changes: Vec<Change>,
}

/// Why a step was taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it.
    Asked,
    /// Hostler ended.
    Exit,
    /// Hostler had ended before without taking it back.
    Found,
    /// It did not help.
    Worse {
        /// How one saw that.
        how: String,
    },
    /// It could not be carried out to its end.
    Failed {
        /// Why not.
        reason: String,
    },
    /// Another step to the same agent takes its place.
    Replaced,
    /// Somebody wants the agent left alone.
    LeftAlone,
    /// The agent has gone, and there is nothing to put back.
    Departed,
    /// The host was started anew, which took it back.
    Reboot,
}

/// A step as the journal tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// As it began, with all changes that came later.
    pub begun: Begun,
    /// What came of it; `None` if it was not carried out to its end.
    pub receipt: Option<Receipt>,
    /// Knobs that others have set meanwhile, when, and to what.
    pub yielded: Vec<(u64, Knob, Value)>,
    /// When and why it was taken back, and what came of that; `None` if it is in force.
    pub undone: Option<(u64, Cause, Restored)>,
}

/// All that a journal tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The run of the host that was the last to be written about.
    pub boot: Option<String>,
    /// The steps, by their numbers.
    pub steps: BTreeMap<u64, Stored>,
    /// Lines that make no sense: somebody else wrote to it, or the disk lost something.
    pub damaged: u64,
}

impl Past {
    /// Takes in the line that follows; `false` if it is of a step that is not told of.
    pub(super) fn add(&mut self, record: Record) -> bool {
        match record {
            Record::Opened { boot, at_ms } => self.opened(boot, at_ms),
            Record::Begun { step, begun } => {
                let stored = Stored {
                    begun,
                    receipt: None,
                    yielded: Vec::new(),
                    undone: None,
                };
                self.steps.insert(step, stored);
            }
            Record::More { step, changes } => {
                return self.of(step, |stored| stored.begun.changes.extend(changes));
            }
            Record::Ended { step, threads } => {
                let threads: BTreeSet<Thread> = threads.into_iter().collect();
                let has_ended = |Knob::Affinity(thread): &Knob| threads.contains(thread);
                return self.of(step, |stored| {
                    stored
                        .begun
                        .changes
                        .retain(|change| !has_ended(&change.knob));
                });
            }
            Record::Done { step, receipt, .. } => {
                return self.of(step, |stored| stored.receipt = Some(receipt));
            }
            Record::Yielded {
                step,
                at_ms,
                knob,
                found,
            } => return self.of(step, |stored| stored.yielded.push((at_ms, knob, found))),
            Record::Undone {
                step,
                at_ms,
                cause,
                restored,
            } => {
                let undone = (at_ms, cause, restored);
                return self.of(step, |stored| stored.undone = Some(undone));
            }
        }
        true
    }

    /// Whether there is such a step.
    fn of(&mut self, step: u64, change: impl FnOnce(&mut Stored)) -> bool {
        self.steps.get_mut(&step).map(change).is_some()
    }

    fn opened(&mut self, boot: String, at_ms: u64) {
        if self.boot.as_ref().is_some_and(|last| *last != boot) {
            for stored in self.steps.values_mut() {
                let reboot = (at_ms, Cause::Reboot, Restored::default());
                stored.undone.get_or_insert(reboot);
            }
        }
        self.boot = Some(boot);
    }

    /// Steps that are in force, or may be, by their numbers.
    pub fn in_force(&self) -> impl Iterator<Item = (u64, &Stored)> {
        let steps = self.steps.iter().map(|(&step, stored)| (step, stored));
        steps.filter(|(_, stored)| stored.undone.is_none())
    }

    /// The number of the step that comes next.
    pub fn next_step(&self) -> u64 {
        self.steps
            .keys()
            .next_back()
            .map_or(1, |last| last.saturating_add(1))
    }
}

impl Stored {
    /// The lines that tell of it, each with a part of its changes.
    pub(super) fn records(&self, step: u64, a_line: usize) -> Vec<Record> {
        let mut parts = self.begun.changes.chunks(a_line);
        let first = Begun {
            changes: parts.next().unwrap_or_default().to_vec(),
            ..self.begun.clone()
        };
        let mut records = vec![Record::Begun { step, begun: first }];
        records.extend(parts.map(|changes| Record::More {
            step,
            changes: changes.to_vec(),
        }));
        let at_ms = self.begun.at_ms;
        records.extend(self.receipt.map(|receipt| Record::Done {
            step,
            at_ms,
            receipt,
        }));
        let yielded = self.yielded.iter().cloned();
        records.extend(yielded.map(|(at_ms, knob, found)| Record::Yielded {
            step,
            at_ms,
            knob,
            found,
        }));
        let undone = self.undone.clone();
        records.extend(undone.map(|(at_ms, cause, restored)| Record::Undone {
            step,
            at_ms,
            cause,
            restored,
        }));
        records
    }
}
