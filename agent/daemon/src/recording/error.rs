//! Why a recording can't be written or read.

use std::io;

/// Why a recording can't be written or read, with its name.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It could not be made, opened, written or read.
    #[error("{recording}: {what} failed at byte {offset}: {source}")]
    Io {
        /// The recording.
        recording: String,
        /// What was tried.
        what: &'static str,
        /// Where in the file.
        offset: u64,
        /// Why it failed.
        source: io::Error,
    },
    /// It is there, but not what it should be.
    #[error("{recording}: {damage}")]
    Damaged {
        /// The recording.
        recording: String,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What is wrong with a recording. Offsets are those of the file, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is something else.
    #[error("not a recording of Hostler's: it begins otherwise")]
    NotARecording,
    /// A later version of Hostler wrote it.
    #[error("written in version {version} of the format, and this Hostler reads up to {newest}")]
    Newer {
        /// The version.
        version: u32,
        /// The newest that can be read.
        newest: u32,
    },
    /// Its records have other sizes than this program's.
    #[error("written with {theirs} {what}, and this Hostler has {ours}")]
    ForeignSize {
        /// What differs.
        what: &'static str,
        /// The recording's number.
        theirs: u64,
        /// This program's number.
        ours: u64,
    },
    /// It ends before its end.
    #[error("it ends at byte {offset}, in the middle: it was cut, or is still being written")]
    Truncated {
        /// Where it ends.
        offset: u64,
    },
    /// Bytes were changed, or were never right.
    #[error("damaged in the chunk at byte {offset}: {what}")]
    Corrupt {
        /// Where the chunk begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

impl RecordingError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "look at the path, the rights and the room on the disk.",
            Self::Damaged { damage, .. } => match damage {
                Damage::NotARecording => "`hostler record FILE` makes a recording.",
                Damage::Newer { .. } | Damage::ForeignSize { .. } => {
                    "read it with the version of Hostler that wrote it."
                }
                Damage::Truncated { .. } | Damage::Corrupt { .. } => {
                    "`--lenient` reads what comes before that."
                }
            },
        }
    }
}
