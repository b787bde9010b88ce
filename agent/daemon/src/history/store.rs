//! Writing a history.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use hostler_decide::samples::{Sample, Samples};
use prost::Message as _;
use redb::{Builder, ConcurrencyMode, Database, ReadableTable as _, WriteTransaction};

use super::{
    FILE, HistoryError, Resolution, Retention,
    error::Trouble,
    expiry::{add_bytes, expire, remove_chunks, sizes},
    rollup::roll_up,
    rows::{chunk_of, encode},
    schema::Stretch,
    series::{Known, touch_and_forget},
    tables::{IS_OPEN, LAYOUT, MARKS, NUMBERS, SERIES, stretch},
};

/// What the database may keep in memory, in bytes: the last minute, and what is being made of it.
const CACHE_BYTES: usize = 4 << 20;

/// A history that is being written.
pub struct Store {
    path: PathBuf,
    database: Database,
    retention: Retention,
    known: Known,
}

/// What was there when it was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whether whoever wrote it before was ended before it could close it.
    pub was_cut_off: bool,
    /// When the last second that is in it began, in ms since 1970.
    pub newest_ms: Option<u64>,
}

/// What was done when samples were written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Series that had something to tell.
    pub series: usize,
    /// What all samples in the file take now, in bytes.
    pub bytes: u64,
    /// Stretches of time that had to go before their time, for want of room.
    pub expelled: u64,
}

impl Store {
    /// Opens the history in a folder, which is made if there is none.
    pub fn open(folder: &Path, retention: Retention) -> Result<(Self, Opened), HistoryError> {
        let path = folder.join(FILE);
        make(folder, &path).map_err(|source| HistoryError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let begun = open_database(&path).and_then(|database| {
            let opened = begin(&database)?;
            Ok((database, opened))
        });
        let (database, opened) = begun.map_err(|trouble| trouble.of(&path))?;
        let store = Self {
            path,
            database,
            retention,
            known: Known::default(),
        };
        Ok((store, opened))
    }

    /// Puts a file that is no history, or a damaged one, aside, so that another one can begin. Where it is now.
    pub fn put_aside(folder: &Path) -> io::Result<PathBuf> {
        let aside = folder.join(format!("{FILE}.damaged"));
        fs::rename(folder.join(FILE), &aside)?;
        Ok(aside)
    }

    /// Keeps so much from now on.
    pub fn set_retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// Writes the samples of a stretch of time that began at `at_ms`, in ms since 1970. What was written
    /// once is safe when this has returned.
    pub fn write(&mut self, at_ms: u64, samples: &Samples) -> Result<Written, HistoryError> {
        self.try_write(at_ms, samples).map_err(|trouble| {
            // Of what was looked up it is not known whether it is in the file.
            self.known.clear();
            trouble.of(&self.path)
        })
    }

    fn try_write(&mut self, at_ms: u64, samples: &Samples) -> Result<Written, Trouble> {
        let transaction = self.database.begin_write()?;
        let rows = self.rows(&transaction, at_ms, samples)?;
        let mut chunks: Vec<(u32, Vec<u8>)> = Vec::new();
        for rows in rows.chunk_by(|(one, _), (other, _)| chunk_of(*one) == chunk_of(*other)) {
            chunks.push((chunk_of(rows[0].0), encode(rows)));
        }
        let length_us = samples.length_us;
        put(&transaction, Resolution::Seconds, at_ms, length_us, &chunks)?;
        roll_up(
            &transaction,
            (Resolution::Seconds, Resolution::Minutes),
            at_ms,
        )?;
        self.roll_up_hours(&transaction, at_ms)?;
        let expelled = expire(&transaction, &self.retention, at_ms)?;
        let bytes = sizes(&transaction)?.iter().sum();
        transaction.commit()?;
        let there = |lease: &_| samples.agents.contains_key(lease);
        self.known.keep(there, samples.groups.len());
        Ok(Written {
            series: rows.len(),
            bytes,
            expelled,
        })
    }

    /// The samples that tell something by number of series, in ascending order; of two agents of one name,
    /// their sum.
    fn rows(
        &mut self,
        transaction: &WriteTransaction,
        at_ms: u64,
        samples: &Samples,
    ) -> Result<Vec<(u32, Sample)>, Trouble> {
        let mut rows = vec![(Known::host(transaction, at_ms)?, samples.host.clone())];
        for (name, sample) in &samples.groups {
            if !sample.is_empty() {
                let number = self.known.group(transaction, name, at_ms)?;
                rows.push((number, sample.clone()));
            }
        }
        for (agent, sample) in samples.agents.values() {
            if !sample.is_empty() {
                let number = self.known.agent(transaction, agent, at_ms)?;
                rows.push((number, sample.clone()));
            }
        }
        rows.sort_by_key(|(number, _)| *number);
        rows.dedup_by(|(number, again), (kept, sum)| {
            let is_same = number == kept;
            if is_same {
                sum.join(again);
            }
            is_same
        });
        Ok(rows)
    }

    fn roll_up_hours(&mut self, transaction: &WriteTransaction, at_ms: u64) -> Result<(), Trouble> {
        let hours = roll_up(transaction, (Resolution::Minutes, Resolution::Hours), at_ms)?;
        let longest = self.retention.spans.iter().max().copied();
        let longest_ms = longest.map_or(0, |span| span.as_millis());
        for (hour_ms, touched) in hours {
            let oldest_ms = hour_ms.saturating_sub(u64::try_from(longest_ms).unwrap_or(u64::MAX));
            if touch_and_forget(transaction, &touched, hour_ms, oldest_ms)? > 0 {
                self.known.clear();
            }
        }
        Ok(())
    }

    /// Closes it.
    pub fn close(self) -> Result<(), HistoryError> {
        let Self { path, database, .. } = self;
        let close = || -> Result<(), Trouble> {
            let transaction = database.begin_write()?;
            transaction.open_table(MARKS)?.insert(IS_OPEN, 0)?;
            transaction.commit()?;
            database.close()?;
            Ok(())
        };
        close().map_err(|trouble| trouble.of(&path))
    }
}

/// Makes the folder and an empty file that nobody else may read: it tells what agents there were.
fn make(folder: &Path, file: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(folder)?;
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    Ok(())
}

fn open_database(path: &Path) -> Result<Database, Trouble> {
    let database = Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_concurrency_mode(ConcurrencyMode::SingleWriter)
        // Of a file that somebody else has changed, some page would else be trusted.
        .set_check_integrity_on_open(true)
        .create(path)?;
    Ok(database)
}

/// Makes all tables, so that who reads finds them, and looks what is there.
fn begin(database: &Database) -> Result<Opened, Trouble> {
    let transaction = database.begin_write()?;
    let opened = {
        let mut marks = transaction.open_table(MARKS)?;
        let (mark, layout) = LAYOUT;
        let found = marks.get(mark)?.map(|found| found.value());
        if found.is_some_and(|found| found != layout) {
            let found = u8::try_from(found.unwrap_or_default()).unwrap_or(u8::MAX);
            return Err(redb::Error::UpgradeRequired(found).into());
        }
        marks.insert(mark, layout)?;
        let was_open = marks
            .insert(IS_OPEN, 1)?
            .is_some_and(|was| was.value() == 1);
        transaction.open_table(SERIES)?;
        transaction.open_table(NUMBERS)?;
        for resolution in Resolution::ALL {
            transaction.open_table(resolution.chunks())?;
            transaction.open_table(resolution.stretches())?;
        }
        let seconds = transaction.open_table(Resolution::Seconds.stretches())?;
        let newest = seconds.last()?.map(|(at, _)| at.value());
        Opened {
            was_cut_off: was_open,
            newest_ms: newest,
        }
    };
    transaction.commit()?;
    Ok(opened)
}

/// Writes a stretch of time and its samples, in place of one that began at the same instant.
pub(super) fn put(
    transaction: &WriteTransaction,
    resolution: Resolution,
    at_ms: u64,
    length_us: u64,
    chunks: &[(u32, Vec<u8>)],
) -> Result<(), Trouble> {
    let message = Stretch {
        length_us,
        chunks: chunks.iter().map(|(chunk, _)| *chunk).collect(),
        bytes: chunks.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
    };
    let before = {
        let mut stretches = transaction.open_table(resolution.stretches())?;
        let before = stretches.insert(at_ms, &*message.encode_to_vec())?;
        before.map(|before| stretch(before.value())).transpose()?
    };
    if let Some(before) = before {
        remove_chunks(transaction, resolution, at_ms, &before)?;
    }
    let mut table = transaction.open_table(resolution.chunks())?;
    for (chunk, bytes) in chunks {
        table.insert((*chunk, at_ms), &**bytes)?;
    }
    drop(table);
    let bytes = message.bytes + message.encoded_len() as u64;
    add_bytes(
        transaction,
        resolution,
        i64::try_from(bytes).unwrap_or(i64::MAX),
    )
}
