//! What can be wrong with a history.

use std::{io, path::PathBuf};

/// What is wrong with what was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) String);

/// Why a history can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Its folder can't be made.
    #[error("{}: the folder of the history can't be made: {source}", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process writes it, or reads it in a way that shares with nobody.
    #[error("{}: another process has the history open", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged, or no history.
    #[error("{}: this is no history, or it is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// It was written by a version that lays it out differently.
    #[error("{}: the history was written by another version of Hostler", .path.display())]
    Layout {
        /// The file.
        path: PathBuf,
    },
    /// The file can't be read or written.
    #[error("{}: the history can't be read or written: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

impl HistoryError {
    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::File { source, .. } => match &**source {
                redb::Error::Io(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    Some("it tells what runs on the host, and is its owner's alone: ask as root.")
                }
                _ => None,
            },
            Self::InUse { .. } => {
                Some("a daemon that has just begun puts it right first: ask again.")
            }
            Self::Damaged { .. } => Some("the daemon puts it aside at its next start."),
            Self::Layout { .. } => Some("read it with the version that wrote it."),
            Self::Folder { .. } => None,
        }
    }

    /// Whether what is there can't be used, whoever tries.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Layout { .. })
    }
}

/// What went wrong inside, before it is known of which file.
#[derive(Debug)]
pub(super) enum Trouble {
    Database(Box<redb::Error>),
    Malformed(Malformed),
}

impl Trouble {
    /// With the file in which it is.
    pub(super) fn of(self, path: &std::path::Path) -> HistoryError {
        let path = path.to_owned();
        match self {
            Self::Malformed(Malformed(what)) => HistoryError::Damaged { path, what },
            Self::Database(source) => match *source {
                redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => {
                    HistoryError::InUse { path }
                }
                redb::Error::UpgradeRequired(_) | redb::Error::TableTypeMismatch { .. } => {
                    HistoryError::Layout { path }
                }
                redb::Error::Corrupted(what) => HistoryError::Damaged { path, what },
                redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                    let what = error.to_string();
                    HistoryError::Damaged { path, what }
                }
                other => HistoryError::File {
                    path,
                    source: Box::new(other),
                },
            },
        }
    }
}

impl<E: Into<redb::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

impl From<Malformed> for Trouble {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}
