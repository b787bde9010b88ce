//! How a command fails: a sentence, a hint, and an exit status.

use std::{io, process::ExitCode};

use hostler_daemon::WatchError;
use hostler_observe::ObserveError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line names something that is not there.
    #[error("{sentence}")]
    Usage {
        /// What is wrong with it.
        sentence: String,
        /// What to do.
        hint: String,
    },
    /// The host does not allow it.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// Something of the system's failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure {
    /// Says what happened and what to do, and gives the exit status: 2 for a wrong command line,
    /// 1 for a host that does not allow it.
    pub(crate) fn explain(&self) -> ExitCode {
        eprintln!("hostler: {self}");
        let (hint, status) = match self {
            Self::Usage { hint, .. } => (Some(hint.as_str()), 2),
            Self::Observe(error) => (Some(error.hint()), 1),
            Self::System { .. } => (None, 1),
        };
        if let Some(hint) = hint {
            eprintln!("  hint: {hint}");
        }
        ExitCode::from(status)
    }
}

impl From<WatchError<io::Error>> for Failure {
    fn from(error: WatchError<io::Error>) -> Self {
        match error {
            WatchError::Observe(error) => Self::Observe(error),
            WatchError::Signals(source) => Self::System {
                what: "waiting for signals",
                source,
            },
            WatchError::Report(source) => Self::System {
                what: "writing the report",
                source,
            },
        }
    }
}
