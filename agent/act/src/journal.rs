//! The journal: what was changed and what it was before, on disk before it is changed.
//!
//! One record a line: a checksum, a space, and JSON, so that it can be read, and acted on, without Hostler.
//! Lines are appended and synced; a line that was not written to its end is cut off by the next writer, and
//! one that makes no sense is counted and left out. When it has grown, what is over and done with is
//! shortened: a new file takes the old one's place at once. One writer at a time holds its lock.

mod record;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};

pub use self::record::{Begun, Cause, Past, Record, Stored};
use crate::Change;

/// The longest line that is read, in bytes: [`A_LINE`] changes with long lists of CPUs, and room.
const MAX_LINE_BYTES: usize = 4 << 20;

/// A journal longer than this is not read: it is not one of ours, which are shortened long before.
const MAX_BYTES: u64 = 256 << 20;

/// A journal that has grown by so much is shortened.
const COMPACT_AFTER_BYTES: u64 = 8 << 20;

/// So many steps that were taken back are told of, after it was shortened.
const KEPT_UNDONE: usize = 1_000;

/// Changes on one line at the most.
const A_LINE: usize = 1_024;

/// Why the journal can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another Hostler writes to it.
    #[error("the journal {} is held by another Hostler: end that one first", path.display())]
    Held {
        /// Which journal.
        path: PathBuf,
    },
    /// It is far longer than a journal gets.
    #[error("the journal {} has {bytes} bytes and is not read: move it away", path.display())]
    TooLong {
        /// Which journal.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Not a line of it is one of a journal's.
    #[error("{} is no journal of Hostler's: not a line of it is one", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("{what} the journal {}: {source}", path.display())]
    File {
        /// What was to be done.
        what: &'static str,
        /// Which journal.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// The journal, open for writing.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Flock<File>,
    /// Its length up to the end of its last whole line, in bytes.
    bytes: u64,
    /// The length at which it is shortened next.
    compact_at: u64,
    past: Past,
}

impl Journal {
    /// Opens the journal in a folder that is there, or begins one. `boot` says which run of the host it is.
    pub fn open(path: &Path, boot: &str, at_ms: u64) -> Result<Self, JournalError> {
        let failed = failed(path);
        let is_new = !path.exists();
        let file = locked(path, path)?;
        // Who held it may have shortened it meanwhile: then this is the file that it was before.
        let numbers = (fs::metadata(path), file.metadata());
        if !matches!(numbers, (Ok(now), Ok(ours)) if now.ino() == ours.ino()) {
            return Err(JournalError::Held {
                path: path.to_owned(),
            });
        }
        let (past, whole) = read(&file, path)?;
        let mut journal = Self {
            path: path.to_owned(),
            file,
            bytes: whole,
            compact_at: COMPACT_AFTER_BYTES,
            past,
        };
        // What was not written to its end would spoil the line that follows.
        journal.cut().map_err(|error| failed("cutting", error))?;
        if is_new {
            sync_folder(path).map_err(|error| failed("keeping", error))?;
        }
        if journal.past.boot.as_deref() != Some(boot) {
            journal.append(Record::Opened {
                boot: boot.to_owned(),
                at_ms,
            })?;
        }
        Ok(journal)
    }

    /// Reads a journal that another may be writing to.
    pub fn read(path: &Path) -> Result<Past, JournalError> {
        let file = File::open(path).map_err(|error| failed(path)("opening", error))?;
        read(&file, path).map(|(past, _)| past)
    }

    /// What some bytes tell of, whatever they are, and how many of them are whole lines.
    pub fn parsed(bytes: &[u8]) -> (Past, u64) {
        let whole = bytes.iter().rposition(|&byte| byte == b'\n');
        let whole = whole.map_or(0, |end| end + 1);
        let mut past = Past::default();
        for line in bytes[..whole].split_inclusive(|&byte| byte == b'\n') {
            let makes_sense = record(line).is_some_and(|record| past.add(record));
            past.damaged += u64::from(!makes_sense);
        }
        (past, whole as u64)
    }

    /// All that it tells of.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// Writes a line, and returns when it is on disk. If that fails, nothing of it is there.
    pub fn append(&mut self, record: Record) -> Result<(), JournalError> {
        self.append_all(vec![record])
    }

    /// Writes that changes are about to be made: on as many lines as they need.
    pub(crate) fn append_changes(
        &mut self,
        first: impl FnOnce(Vec<Change>) -> Record,
        step: u64,
        changes: &[Change],
    ) -> Result<(), JournalError> {
        let mut parts = changes.chunks(A_LINE).map(<[Change]>::to_vec);
        let mut records = vec![first(parts.next().unwrap_or_default())];
        records.extend(parts.map(|changes| Record::More { step, changes }));
        self.append_all(records)
    }

    fn append_all(&mut self, records: Vec<Record>) -> Result<(), JournalError> {
        let text: String = records.iter().map(line).collect();
        // Behind half a line, which could not be cut off when it was written, all would be lost.
        let written = self
            .cut()
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // If even that fails, it is tried again before the next line, or by the next writer.
            let _is_cut = self.cut();
            return Err(failed(&self.path)("writing to", error));
        }
        self.bytes += text.len() as u64;
        for record in records {
            let is_known = self.past.add(record);
            debug_assert!(is_known, "a step is begun before it goes on");
        }
        if self.bytes >= self.compact_at {
            // It is a matter of room only: what is written is written.
            let _is_shorter = self.compact();
            self.compact_at = self.bytes + COMPACT_AFTER_BYTES;
        }
        Ok(())
    }

    /// Forgets what is beyond the last whole line.
    fn cut(&mut self) -> io::Result<()> {
        if self.file.metadata()?.len() > self.bytes {
            self.file.set_len(self.bytes)?;
            self.file.sync_data()?;
        }
        Ok(())
    }

    /// Shortens it: what is over and done with is told in short, or not at all if it is long ago.
    fn compact(&mut self) -> Result<(), JournalError> {
        let failed = failed(&self.path);
        let past = shortened(&self.past);
        let opened = past.boot.iter().map(|boot| Record::Opened {
            boot: boot.clone(),
            at_ms: 0,
        });
        let steps = past.steps.iter();
        let records = opened.chain(steps.flat_map(|(&step, stored)| stored.records(step, A_LINE)));
        let text: String = records.map(|record| line(&record)).collect();
        let beside = self.path.with_extension("new");
        let _left_over = fs::remove_file(&beside);
        let mut file = locked(&beside, &self.path)?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&beside, &self.path));
        if let Err(error) = written {
            let _is_gone = fs::remove_file(&beside);
            return Err(failed("shortening", error));
        }
        // From here on the old file has no name: whatever else fails, this is the journal.
        self.file = file;
        self.bytes = text.len() as u64;
        self.past = past;
        sync_folder(&self.path).map_err(|error| failed("shortening", error))
    }
}

fn failed(path: &Path) -> impl Fn(&'static str, io::Error) -> JournalError + use<> {
    let path = path.to_owned();
    move |what, source| JournalError::File {
        what,
        path: path.clone(),
        source,
    }
}

/// Opens a file that only its owner can read, and holds its lock; `path` is whose journal it is.
fn locked(file: &Path, path: &Path) -> Result<Flock<File>, JournalError> {
    let opened = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)
        .map_err(|error| failed(path)("opening", error))?;
    Flock::lock(opened, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| match error {
        nix::errno::Errno::EWOULDBLOCK => JournalError::Held {
            path: path.to_owned(),
        },
        error => failed(path)("locking", error.into()),
    })
}

/// A name in a folder is on disk when the folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

/// What the journal tells of, and its length up to the end of its last whole line.
fn read(file: &File, path: &Path) -> Result<(Past, u64), JournalError> {
    let failed = failed(path);
    let length = file
        .metadata()
        .map_err(|error| failed("reading", error))?
        .len();
    if length > MAX_BYTES {
        return Err(JournalError::TooLong {
            path: path.to_owned(),
            bytes: length,
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(|error| failed("reading", error))?;
    let (past, whole) = Journal::parsed(&bytes);
    let is_empty = past.boot.is_none() && past.steps.is_empty();
    if is_empty && (past.damaged > 0 || !may_begin_a_line(&bytes)) {
        return Err(JournalError::Foreign {
            path: path.to_owned(),
        });
    }
    Ok((past, whole))
}

/// Whether this can be what was written of a journal's first line by one that was killed meanwhile.
fn may_begin_a_line(bytes: &[u8]) -> bool {
    let checksum = bytes.iter().take(8);
    let rest = bytes.get(8..).unwrap_or_default();
    checksum.into_iter().all(u8::is_ascii_hexdigit)
        && rest.iter().zip(b" {").all(|(is, be)| is == be)
}

fn record(line: &[u8]) -> Option<Record> {
    if line.len() > MAX_LINE_BYTES {
        return None;
    }
    let (checksum, json) = line.trim_ascii_end().split_at_checked(8)?;
    let json = json.strip_prefix(b" ")?;
    let checksum = u32::from_str_radix(std::str::from_utf8(checksum).ok()?, 16).ok()?;
    if crc32fast::hash(json) != checksum {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn line(record: &Record) -> String {
    let json = serde_json::to_string(record).expect("records hold nothing that JSON can't express");
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
}

/// Steps in force as they are, and the last of those that were taken back, without their changes.
fn shortened(past: &Past) -> Past {
    let undone = past.steps.iter().rev();
    let undone = undone.filter(|(_, stored)| stored.undone.is_some());
    let first_kept = undone.map(|(&step, _)| step).take(KEPT_UNDONE).last();
    let steps = past.steps.iter().filter_map(|(&step, stored)| {
        let mut stored = stored.clone();
        if stored.undone.is_some() {
            if first_kept.is_some_and(|first| step < first) {
                return None;
            }
            stored.begun.changes = Vec::new();
            stored.yielded = Vec::new();
        }
        Some((step, stored))
    });
    Past {
        boot: past.boot.clone(),
        steps: steps.collect(),
        damaged: past.damaged,
    }
}
