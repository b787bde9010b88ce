//! Why a daemon could not be asked.

use std::{io, path::PathBuf};

/// Why a daemon could not be asked, with its socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is something, but no way to it.
    #[error("the daemon at {} can't be reached: {source}", .socket.display())]
    Connect {
        /// The socket.
        socket: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Whoever listens there is neither root nor this user.
    #[error("{}: user {uid} listens there, who is not to be trusted with it", .socket.display())]
    Foreign {
        /// The socket.
        socket: PathBuf,
        /// Who listens.
        uid: u32,
    },
    /// The daemon refused, or went away.
    #[error("the daemon at {} {what}: {message}", .socket.display())]
    Answer {
        /// The socket.
        socket: PathBuf,
        /// What it did.
        what: &'static str,
        /// Its reason.
        message: String,
    },
    /// What it said makes no sense.
    #[error("the daemon at {} says what this Hostler does not understand: {message}", .socket.display())]
    Malformed {
        /// The socket.
        socket: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The system does not give what asking needs.
    #[error("asking the daemon: {0}")]
    System(io::Error),
}

impl ControlError {
    /// Whether the daemon is not in a state to do what was asked for.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Answer { what: REFUSED, .. })
    }

    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("`control.group` and `control.others` in its configuration say who may ask.")
            }
            Self::Answer {
                what: REFUSED_RIGHT,
                ..
            } => Some("`control.group` and `control.others` in its configuration say who may ask."),
            Self::Malformed { .. } => {
                Some("it may be of another version; restart it after an upgrade.")
            }
            _ => None,
        }
    }
}

/// What an answer does that tells of a missing right.
const REFUSED_RIGHT: &str = "does not allow it";

/// What an answer does that tells of a state in which it can't be done.
const REFUSED: &str = "refused";

/// What a status means, in words.
pub(super) fn did(status: &tonic::Status) -> &'static str {
    match status.code() {
        tonic::Code::PermissionDenied => REFUSED_RIGHT,
        tonic::Code::FailedPrecondition => REFUSED,
        tonic::Code::ResourceExhausted => "has no room for it",
        tonic::Code::Aborted => "ended it",
        _ => "failed",
    }
}
