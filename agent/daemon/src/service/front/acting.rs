//! Changes the host, on a thread of its own: the only one that may, and it does nothing else.
//!
//! Whoever plans tells it what to do and hears what could not be done; neither waits for the other. It waits
//! for the loop, which never waits for it, where only that knows which processes an agent is. What waits to be
//! done is bounded by the pace of steps.

mod actor;
mod asking;
mod bringing;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hostler_act::Restored;
use hostler_common::slot::SlotLease;
use hostler_decide::plan::{Policy, Step, conduct::Outcome};
use tokio::sync::{mpsc::Sender as Questions, oneshot};

use self::{actor::Actor, asking::Asking};
use super::super::{ServiceError, questions::Question};
use crate::metrics::ActCost;

/// What the thread is told.
pub(super) enum Told {
    /// To act, or not to, with this journal.
    Configure {
        /// Where it is.
        journal: PathBuf,
        /// Whether to act.
        acts: bool,
        /// Who may be moved.
        policy: Policy,
    },
    /// Who may be moved from now on.
    Allow(Policy),
    /// To carry out a step.
    Place(Arc<Step>),
    /// What came of one.
    Judged(Outcome),
    /// To take back all that is in force.
    RestoreAll,
    /// To take back these steps, or all, and to say what came of it.
    Undo(Option<Vec<u64>>, oneshot::Sender<Vec<Undone>>),
    /// To take all back, and to end.
    End,
}

/// A step that was to be taken back, by its number, and what came of it, or in words why it is still in
/// force.
pub(super) type Undone = (u64, Result<Restored, String>);

/// What it tells whoever plans.
pub(super) enum Report {
    /// A step was carried out.
    Placed(Arc<Step>),
    /// A step to this agent could not be carried out.
    Refused(SlotLease),
    /// Somebody else has set a knob of this agent, or had its step taken back.
    LeaveAlone(SlotLease, Arc<str>),
}

/// The thread.
pub(super) struct ActThread {
    told: Sender<Told>,
    thread: JoinHandle<()>,
}

/// The planning side's end of it.
pub(super) struct Acting {
    told: Sender<Told>,
    reports: Receiver<Report>,
    counts: Arc<ActCounts>,
}

/// What is counted of it.
#[derive(Debug, Default)]
pub(super) struct ActCounts {
    begun: AtomicU64,
    refused: AtomicU64,
    kept: AtomicU64,
    reverted: AtomicU64,
    in_force: AtomicU64,
    yielded: AtomicU64,
    pages_moved: AtomicU64,
    /// Nothing is begun, also of what was told already.
    is_paused: AtomicBool,
}

impl ActThread {
    /// Starts the thread, which changes nothing until it is configured.
    pub(super) fn start(questions: Questions<Question>) -> Result<(Self, Acting), ServiceError> {
        let (told, heard) = channel();
        let (report, reports) = channel();
        let counts = Arc::<ActCounts>::default();
        let actor = Actor::new(Arc::clone(&counts), report, Asking::new(questions));
        let thread = std::thread::Builder::new()
            .name("hostler-act".to_owned())
            .spawn(move || {
                if let Err(error) = hostler_observe::keep_for_acting() {
                    tracing::warn!(%error, "the thread that acts keeps its capabilities as they are");
                }
                actor.run(&heard);
            });
        let thread = thread.map_err(|source| ServiceError::System {
            what: "starting the thread that acts",
            source,
        })?;
        let acting = Acting {
            told: told.clone(),
            reports,
            counts,
        };
        Ok((Self { told, thread }, acting))
    }

    /// Takes all back that is in force, as far as that takes no longer than `grace`: what is left then is in
    /// the journal.
    pub(super) fn end(self, grace: Duration) {
        let Self { told, thread } = self;
        // Where nobody hears it, it has ended.
        let _has_ended = told.send(Told::End);
        let give_up = Instant::now() + grace;
        while !thread.is_finished() {
            if Instant::now() >= give_up {
                tracing::error!("not all is taken back in time: the next start does it");
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.join().is_err() {
            tracing::error!(
                "the thread that acts has ended by itself: the next start takes back what it did"
            );
        }
    }
}

impl Acting {
    /// Tells it; `false` if it has ended.
    pub(super) fn tell(&self, told: Told) -> bool {
        self.told.send(told).is_ok()
    }

    /// Lets it begin nothing, not even what it was told already, or lets it go on.
    pub(super) fn pause(&self, is_paused: bool) {
        self.counts.is_paused.store(is_paused, Relaxed);
    }

    /// Whether it begins nothing.
    pub(super) fn is_paused(&self) -> bool {
        self.counts.is_paused.load(Relaxed)
    }

    /// What it told meanwhile.
    pub(super) fn reports(&self) -> impl Iterator<Item = Report> {
        self.reports.try_iter()
    }

    /// What is counted of it.
    pub(super) fn cost(&self) -> ActCost {
        let counts = &self.counts;
        ActCost {
            begun: counts.begun.load(Relaxed),
            refused: counts.refused.load(Relaxed),
            kept: counts.kept.load(Relaxed),
            reverted: counts.reverted.load(Relaxed),
            in_force: counts.in_force.load(Relaxed),
            yielded: counts.yielded.load(Relaxed),
            moved_bytes: counts.pages_moved.load(Relaxed) * bringing::PAGE_BYTES,
        }
    }
}
