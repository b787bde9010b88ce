//! Who watches: each gets what is read as changes since the reading before, worked out once for all.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hostler_decide::scene::HostFacts;
use tokio::{
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    time::sleep,
};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{
    control::schema::{Beginning, WatchResponse, watch_response::What},
    recording::{Moment, messages, schema::Reading},
    service::tick::{Tick, Told},
};

/// Watchers at a time: each is told all that is read.
pub(super) const MAX_WATCHERS: usize = 16;

/// Readings that can wait for a watcher to take them.
const ROOM: usize = 16;

/// After this a watcher is cut off that has not taken what waits for it, nor the reason why no more does.
const GRACE: Duration = Duration::from_secs(5);

/// A slot rests for longer than this: what was read at such a distance holds all that happened between.
const LONGEST_STEP: Duration = Duration::from_secs(4);

const TOO_SLOW: &str = "what is read was not taken in time";
const HELD_UP: &str = "the daemon was held up, and what happened meanwhile is not known in full";
const BEGINS_ANEW: &str = "the programs are loaded anew, and counters begin at zero";
const ENDS: &str = "the daemon ends";

/// Who watches, and what they are told first.
#[derive(Default)]
pub(in crate::service) struct Watchers {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// `None` before measuring has begun.
    scene: Option<Scene>,
    watchers: Vec<Watcher>,
}

struct Scene {
    facts: HostFacts,
    last: Told,
    tick: Duration,
}

struct Watcher {
    to: Sender<Arc<Reading>>,
    /// Why nothing more comes. The other one who holds it is the [`Watching`].
    why: Arc<OnceLock<Status>>,
    cut: CancellationToken,
}

impl Watchers {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Measuring begins, also anew.
    pub(in crate::service) fn begin(&self, facts: HostFacts, last: Told, tick: Duration) {
        let mut kept = self.kept();
        kept.end(&Status::aborted(BEGINS_ANEW));
        kept.scene = Some(Scene { facts, last, tick });
    }

    /// The host is read at other intervals from now on.
    pub(in crate::service) fn set_tick(&self, tick: Duration) {
        if let Some(scene) = &mut self.kept().scene {
            scene.tick = tick;
        }
    }

    /// Tells all of what was read.
    pub(in crate::service) fn tell(&self, tick: &Tick) {
        let mut kept = self.kept();
        let Some(scene) = &mut kept.scene else {
            return;
        };
        let last = std::mem::replace(&mut scene.last, tick.told.clone());
        kept.watchers.retain(|watcher| !watcher.to.is_closed());
        if kept.watchers.is_empty() {
            return;
        }
        let step_ns = tick.told.reading.at_ns.saturating_sub(last.reading.at_ns);
        if tick.paces.len() > 1 && u128::from(step_ns) > LONGEST_STEP.as_nanos() {
            kept.end(&Status::aborted(HELD_UP));
            return;
        }
        let changes = messages::changes(&moment(&last), &moment(&tick.told));
        let changes = Arc::new(changes);
        kept.watchers
            .retain(|watcher| match watcher.to.try_send(Arc::clone(&changes)) {
                Ok(()) => true,
                Err(TrySendError::Closed(_)) => false,
                Err(TrySendError::Full(_)) => {
                    watcher.end(Status::resource_exhausted(TOO_SLOW));
                    false
                }
            });
    }

    /// Nobody is told any more.
    pub(in crate::service) fn end(&self) {
        self.kept().end(&Status::unavailable(ENDS));
    }

    /// How many watch.
    pub(super) fn count(&self) -> usize {
        let kept = self.kept();
        let watching = kept.watchers.iter();
        watching.filter(|watcher| !watcher.to.is_closed()).count()
    }

    /// The facts, and how many agents there are; `None` before measuring has begun.
    pub(super) fn facts(&self) -> Option<(HostFacts, usize)> {
        let kept = self.kept();
        let scene = kept.scene.as_ref()?;
        let agents = &scene.last.reading.agents;
        let present = agents.iter().filter(|row| row.thread_count() > 0).count();
        Some((scene.facts.clone(), present))
    }

    /// One more watches. `cut` ends its connection.
    pub(super) fn watch(&self, cut: CancellationToken) -> Result<Watching, Status> {
        let mut kept = self.kept();
        kept.watchers.retain(|watcher| !watcher.to.is_closed());
        if kept.watchers.len() >= MAX_WATCHERS {
            let message = format!("{MAX_WATCHERS} watch already");
            return Err(Status::resource_exhausted(message));
        }
        let Some(scene) = &kept.scene else {
            return Err(Status::unavailable("the programs are being loaded"));
        };
        let beginning = Beginning {
            header: Some(messages::header(&scene.facts)),
            reading: Some(messages::changes(&Moment::default(), &moment(&scene.last))),
            tick_ms: u64::try_from(scene.tick.as_millis()).unwrap_or(u64::MAX),
        };
        let (to, readings) = channel(ROOM);
        let why = Arc::default();
        kept.watchers.push(Watcher {
            to,
            why: Arc::clone(&why),
            cut,
        });
        Ok(Watching {
            beginning: Some(beginning),
            readings,
            why,
            is_over: false,
        })
    }
}

impl Kept {
    fn end(&mut self, why: &Status) {
        for watcher in self.watchers.drain(..) {
            watcher.end(why.clone());
        }
    }
}

impl Watcher {
    /// Says why nothing more comes. Whoever does not take that either is cut off.
    fn end(&self, why: Status) {
        let _is_said = self.why.set(why);
        let (cut, taken) = (self.cut.clone(), Arc::downgrade(&self.why));
        tokio::spawn(async move {
            sleep(GRACE).await;
            if taken.strong_count() > 0 {
                cut.cancel();
            }
        });
    }
}

fn moment(told: &Told) -> Moment {
    Moment {
        reading: (*told.reading).clone(),
        wall_ms: told.wall_ms,
    }
}

/// What one watcher is told.
pub(super) struct Watching {
    beginning: Option<Beginning>,
    readings: Receiver<Arc<Reading>>,
    why: Arc<OnceLock<Status>>,
    is_over: bool,
}

impl Stream for Watching {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let told = |what| Poll::Ready(Some(Ok(WatchResponse { what: Some(what) })));
        if let Some(beginning) = self.beginning.take() {
            return told(What::Beginning(beginning));
        }
        if self.is_over {
            return Poll::Ready(None);
        }
        match self.readings.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(reading)) => told(What::Reading(Arc::unwrap_or_clone(reading))),
            Poll::Ready(None) => {
                self.is_over = true;
                let why = self.why.get().cloned();
                Poll::Ready(Some(Err(why.unwrap_or_else(|| Status::aborted(ENDS)))))
            }
        }
    }
}
