//! Keeps the history, on a thread of its own: a disk may take its time, or be full, and neither may hold
//! up whoever measures or answers.

mod keeper;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use hostler_decide::samples::Samples;

use self::keeper::Keeper;
use super::super::ServiceError;
use crate::config::HistoryConfig;

/// Samples that can wait for the disk: what comes then is lost, and counted.
const ROOM: usize = 16;

/// What the thread is told.
enum Told {
    /// Samples of a stretch of time that ended at this instant, in ms since 1970.
    Samples(u64, Arc<Samples>),
    /// Another history from now on, or none.
    Configure(Option<HistoryConfig>),
}

/// The history.
pub(super) struct HistoryThread {
    told: SyncSender<Told>,
    thread: JoinHandle<()>,
}

/// Hands samples over.
#[derive(Clone)]
pub(super) struct ToHistory {
    told: SyncSender<Told>,
    counts: Arc<HistoryCounts>,
}

/// What is counted of it, and how it does.
#[derive(Debug, Default)]
pub(in crate::service) struct HistoryCounts {
    /// Stretches of time that were written.
    pub(in crate::service) written: AtomicU64,
    /// Those that were lost, since the file could not be written or the disk was too slow.
    pub(in crate::service) lost: AtomicU64,
    /// What all samples in the file take, in bytes.
    pub(in crate::service) bytes: AtomicU64,
    /// Stretches that went before their time, for want of room.
    pub(in crate::service) expelled: AtomicU64,
    /// In words.
    state: Mutex<String>,
}

impl HistoryCounts {
    /// How it does, in words.
    pub(in crate::service) fn state(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clone()
    }

    fn set_state(&self, words: String) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = words;
    }
}

impl HistoryThread {
    /// Starts the thread. There is no history until it is configured.
    pub(super) fn start(counts: Arc<HistoryCounts>) -> Result<Self, ServiceError> {
        let (told, heard) = sync_channel(ROOM);
        counts.set_state("not kept".to_owned());
        let thread = std::thread::Builder::new()
            .name("hostler-history".to_owned())
            .spawn(move || {
                hostler_observe::give_up_all();
                Keeper::new(counts).run(&heard);
            });
        let thread = thread.map_err(|source| ServiceError::System {
            what: "starting the thread that keeps the history",
            source,
        })?;
        Ok(Self { told, thread })
    }

    /// Keeps it as this wants it.
    pub(super) fn configure(&self, config: Option<&HistoryConfig>) {
        let told = Told::Configure(config.cloned());
        if self.told.try_send(told).is_err() {
            tracing::error!(
                "the disk of the history does not answer: what the configuration says of it is not taken"
            );
        }
    }

    /// What hands samples over to it.
    pub(super) fn sender(&self, counts: Arc<HistoryCounts>) -> ToHistory {
        ToHistory {
            told: self.told.clone(),
            counts,
        }
    }

    /// Writes what is waiting and closes the file, as far as that takes no longer than `grace`. Whoever
    /// hands samples over must have ended.
    pub(super) fn end(self, grace: Duration) {
        let Self { told, thread } = self;
        drop(told);
        let give_up = Instant::now() + grace;
        while !thread.is_finished() {
            if Instant::now() >= give_up {
                tracing::warn!(
                    "the disk of the history does not answer; what waits for it is lost"
                );
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if thread.join().is_err() {
            tracing::error!("the thread that keeps the history has ended by itself");
        }
    }
}

impl ToHistory {
    /// Hands samples over that end at `wall_ms`, or counts them as lost.
    pub(super) fn hand_over(&self, wall_ms: u64, samples: &Arc<Samples>) {
        let told = Told::Samples(wall_ms, Arc::clone(samples));
        if let Err(TrySendError::Full(_)) = self.told.try_send(told) {
            self.counts.lost.fetch_add(1, Relaxed);
        }
    }
}

/// Something was written.
fn count_written(counts: &HistoryCounts, written: crate::history::Written) {
    counts.written.fetch_add(1, Relaxed);
    counts.bytes.store(written.bytes, Relaxed);
    counts.expelled.fetch_add(written.expelled, Relaxed);
}
