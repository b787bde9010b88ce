//! What the thread does.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc::Receiver},
    time::{Duration, Instant},
};

use hostler_decide::samples::Samples;

use super::{HistoryCounts, Told, count_written};
use crate::{
    config::HistoryConfig,
    history::{HistoryError, Opened, Store},
    instants::instant,
};

/// After a file could not be written, it is tried again so much later.
const RETRY: Duration = Duration::from_secs(10);

/// The shortest stretch of time that is written, in µs: shorter ticks are added up.
const SHORTEST_US: u64 = 950_000;

/// Keeps a history, whatever happens to its file.
pub(super) struct Keeper {
    counts: Arc<HistoryCounts>,
    config: Option<HistoryConfig>,
    store: Option<Store>,
    /// When a file that could not be used is tried again.
    retry_at: Option<Instant>,
    /// Whether it was said what is wrong since it last went well.
    is_said: bool,
    /// What is not long enough to be written, and when it began, in ms since 1970.
    waiting: Option<(u64, Samples)>,
}

impl Keeper {
    pub(super) fn new(counts: Arc<HistoryCounts>) -> Self {
        Self {
            counts,
            config: None,
            store: None,
            retry_at: None,
            is_said: false,
            waiting: None,
        }
    }

    /// Until nobody tells anything any more.
    pub(super) fn run(mut self, heard: &Receiver<Told>) {
        while let Ok(told) = heard.recv() {
            match told {
                Told::Configure(config) => self.configure(config),
                Told::Samples(wall_ms, samples) => self.take(wall_ms, samples),
            }
        }
        self.write_waiting();
        self.close();
    }

    fn configure(&mut self, config: Option<HistoryConfig>) {
        if self.config == config {
            return;
        }
        let folder = |config: &Option<HistoryConfig>| {
            let config = config.as_ref();
            config.map(|config| config.folder.clone())
        };
        if folder(&self.config) == folder(&config) {
            if let (Some(store), Some(config)) = (&mut self.store, &config) {
                store.set_retention(config.retention);
            }
            self.config = config;
            return;
        }
        self.write_waiting();
        self.close();
        self.config = config;
        self.retry_at = None;
        self.is_said = false;
        self.open();
    }

    /// Opens the file, if there is to be one and it is time to try.
    fn open(&mut self) {
        let Some(config) = &self.config else {
            self.counts.set_state("not kept".to_owned());
            return;
        };
        if self.store.is_some() || self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let (folder, retention) = (&config.folder, config.retention);
        let opened = guarded(|| Store::open(folder, retention));
        let opened = match opened {
            Err(wrong) if wrong.is_damage => {
                put_aside(folder, &wrong);
                guarded(|| Store::open(folder, retention))
            }
            opened => opened,
        };
        match opened {
            Ok((store, opened)) => {
                tell(opened);
                self.counts
                    .set_state(format!("kept in {}", folder.display()));
                self.store = Some(store);
                self.retry_at = None;
                self.is_said = false;
            }
            Err(wrong) => self.fail(wrong),
        }
    }

    /// Adds samples, and writes them if they are long enough.
    fn take(&mut self, wall_ms: u64, samples: Arc<Samples>) {
        if self.config.is_none() {
            return;
        }
        let at_ms = wall_ms.saturating_sub(samples.length_us / 1_000);
        match &mut self.waiting {
            Some((_, waiting)) => waiting.append(&samples),
            None => self.waiting = Some((at_ms, Arc::unwrap_or_clone(samples))),
        }
        let waiting = self.waiting.as_ref();
        if waiting.is_some_and(|(_, waiting)| waiting.length_us >= SHORTEST_US) {
            self.write_waiting();
        }
    }

    fn write_waiting(&mut self) {
        let Some((at_ms, samples)) = self.waiting.take() else {
            return;
        };
        self.open();
        let Some(store) = &mut self.store else {
            self.counts.lost.fetch_add(1, Relaxed);
            return;
        };
        match guarded(|| store.write(at_ms, &samples)) {
            Ok(written) => count_written(&self.counts, written),
            Err(wrong) => {
                self.counts.lost.fetch_add(1, Relaxed);
                self.store = None;
                match &self.config {
                    Some(config) if wrong.is_damage => {
                        put_aside(&config.folder, &wrong);
                        self.open();
                    }
                    _ => self.fail(wrong),
                }
            }
        }
    }

    /// Says what is wrong, once, and that it is tried again.
    fn fail(&mut self, wrong: Wrong) {
        let Wrong { what, .. } = wrong;
        if !self.is_said {
            let retry = RETRY.as_secs();
            tracing::error!(
                error = what,
                "the history is not kept; every {retry} s it is tried again"
            );
        }
        self.is_said = true;
        self.counts.set_state(format!("not kept: {what}"));
        self.retry_at = Some(Instant::now() + RETRY);
    }

    fn close(&mut self) {
        if let Some(store) = self.store.take()
            && let Err(Wrong { what, .. }) = guarded(|| store.close())
        {
            tracing::error!(error = what, "the history could not be closed");
        }
    }
}

/// What can't be used makes room for another history, and is kept for whoever wants to look at it.
fn put_aside(folder: &Path, wrong: &Wrong) {
    let aside = Store::put_aside(folder);
    let aside = aside.map_or_else(
        |error| format!("it can't be put aside: {error}"),
        |path| format!("it is now {}, and another one begins", path.display()),
    );
    tracing::error!(error = wrong.what, "the history can't be used; {aside}");
}

/// What is wrong with a history, in words.
struct Wrong {
    what: String,
    is_damage: bool,
}

/// Does something with a file. What the database takes for impossible, it may end with a panic: that is
/// damage then.
fn guarded<T>(run: impl FnOnce() -> Result<T, HistoryError>) -> Result<T, Wrong> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done.map_err(|error| Wrong {
            is_damage: error.is_damage(),
            what: error.to_string(),
        }),
        Err(_) => Err(Wrong {
            what: "the file holds what no history holds".to_owned(),
            is_damage: true,
        }),
    }
}

/// Says what there was.
fn tell(opened: Opened) {
    let newest = opened.newest_ms.map(instant);
    match (newest, opened.was_cut_off) {
        (None, _) => tracing::info!("a history begins"),
        (Some(newest), false) => tracing::info!(newest, "the history goes on"),
        (Some(newest), true) => tracing::warn!(
            newest,
            "whoever kept the history was ended before it could close it; it goes on after its last \
             second, and at most one was lost"
        ),
    }
}

#[cfg(test)]
mod tests {
    use redb::{Database, TableDefinition};

    use super::*;
    use crate::history::{History, Resolution, Retention};

    const BEGIN_MS: u64 = 1_700_000_040_000;

    fn second() -> Arc<Samples> {
        Arc::new(Samples {
            length_us: 1_000_000,
            ..Samples::default()
        })
    }

    #[test]
    fn a_history_in_which_something_makes_no_sense_is_put_aside_and_another_one_goes_on() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let config = HistoryConfig {
            folder: folder.path().to_owned(),
            retention: Retention {
                spans: [600, 7_200, 90_000].map(Duration::from_secs),
                size_bytes: 1 << 24,
            },
        };
        let counts: Arc<HistoryCounts> = Arc::default();
        let mut keeper = Keeper::new(Arc::clone(&counts));
        keeper.configure(Some(config.clone()));
        keeper.take(BEGIN_MS + 1_000, second());
        keeper.configure(None);
        // A foreign writer.
        let chunks: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("seconds");
        let database = Database::open(folder.path().join("history.redb")).expect("it is whole");
        let transaction = database.begin_write().expect("nobody else writes");
        let mut table = transaction.open_table(chunks).expect("it is there");
        table
            .insert((0, BEGIN_MS), &b"nonsense"[..])
            .expect("there is room");
        drop(table);
        transaction.commit().expect("there is room");
        drop(database);

        keeper.configure(Some(config));
        // A minute is to be made of it.
        for at in 60..65 {
            keeper.take(BEGIN_MS + at * 1_000, second());
        }
        let history = History::open(folder.path()).expect("it can be read");
        let history = history.expect("there is one");
        let covered = history
            .covered(Resolution::Seconds)
            .expect("it can be read");
        assert_eq!(covered.expect("it goes on").to_ms, BEGIN_MS + 64_000);
        assert!(folder.path().join("history.redb.damaged").exists());
        assert!((1..=2).contains(&counts.lost.load(Relaxed)));
        assert!(counts.state().starts_with("kept in "), "{}", counts.state());
    }
}
