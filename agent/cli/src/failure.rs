//! How a command fails: a sentence, a hint, and an exit status.

use std::{io, path::PathBuf, process::ExitCode};

use hostler_act::JournalError;
use hostler_daemon::{
    ChangesError, LaunchError, ReplayError, ServiceError, WatchError,
    config::ConfigError,
    control::{ControlError, WatchedError},
    history::HistoryError,
    recording::RecordingError,
};
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
    /// A recording can't be written, or not be read to its end.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// A configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The daemon could not start, or ended.
    #[error(transparent)]
    Service(ServiceError),
    /// The daemon could not be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The history can't be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// There is no history.
    #[error("there is no history in {}", .folder.display())]
    NoHistory {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// There is no journal.
    #[error("nothing was ever changed here: there is no journal at {}", .path.display())]
    NoJournal {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The journal can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What was changed can't be taken up.
    #[error(transparent)]
    Changes(#[from] ChangesError),
    /// Steps could not be taken back.
    #[error("{failed} steps could not be taken back")]
    NotUndone {
        /// How many.
        failed: usize,
    },
    /// No daemon runs.
    #[error("no daemon listens at {}", .socket.display())]
    NoDaemon {
        /// Where one was looked for.
        socket: PathBuf,
    },
    /// A command could not be started as an agent.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// A recording does not hold what is to be reported.
    #[error("{recording} does not hold {what}")]
    NotRecorded {
        /// The recording.
        recording: String,
        /// What it does not hold.
        what: &'static str,
        /// The option of `hostler record` with which it would.
        option: &'static str,
    },
    /// Nothing was recorded at the time that was asked for.
    #[error("{recording}: nothing was recorded at that time or later")]
    TooLate {
        /// The recording.
        recording: String,
    },
    /// A collector does not take metrics.
    #[error("{address} does not take the metrics: {message}")]
    Collector {
        /// Where it is.
        address: String,
        /// Why not.
        message: String,
    },
    /// A file can't be written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
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
            Self::Usage { hint, .. } => (Some(hint.clone()), 2),
            Self::Observe(error) => (Some(error.hint().to_owned()), 1),
            Self::Recording(error) => (Some(error.hint().to_owned()), 1),
            Self::Config(_) => {
                let hint = "`hostler config default` says what can be written.";
                (Some(hint.to_owned()), 2)
            }
            Self::Service(error) => (error.hint().map(str::to_owned), 1),
            Self::Control(error) => (error.hint().map(str::to_owned), 1),
            Self::NoDaemon { .. } => {
                let hint = "`hostler run` starts one; `--socket` says where another one listens.";
                (Some(hint.to_owned()), 1)
            }
            Self::NoHistory { .. } => {
                let hint = "the daemon keeps one, if `history.folder` of its configuration says where; \
                            `--history` says where it is.";
                (Some(hint.to_owned()), 1)
            }
            Self::NotRecorded { option, .. } => (
                Some(format!("`hostler record FILE{option}` records that.")),
                1,
            ),
            Self::TooLate { .. } => {
                let hint = "`hostler replay RECORDING` shows from when to when it was recorded.";
                (Some(hint.to_owned()), 2)
            }
            Self::NoJournal { .. } => {
                let hint =
                    "a daemon whose `plan.mode` is `act` keeps one; `--journal` says where it is.";
                (Some(hint.to_owned()), 1)
            }
            Self::Changes(ChangesError::Journal(JournalError::Held { .. })) => {
                let hint = "`hostler undo` asks the daemon if no `--journal` is named, and \
                            `kill -USR1 $(pidof hostler)` makes it take all back.";
                (Some(hint.to_owned()), 1)
            }
            Self::Launch(error) => (error.hint().map(str::to_owned), error.status()),
            Self::History(error) => (error.hint().map(str::to_owned), 1),
            Self::System { .. }
            | Self::File { .. }
            | Self::Collector { .. }
            | Self::Journal(_)
            | Self::Changes(_)
            | Self::NotUndone { .. } => (None, 1),
        };
        if let Some(hint) = hint {
            eprintln!("  hint: {hint}");
        }
        ExitCode::from(status)
    }
}

impl From<ServiceError> for Failure {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Observe(error) => Self::Observe(error),
            ServiceError::Config(error) => Self::Config(error),
            other => Self::Service(other),
        }
    }
}

impl From<ReplayError<Failure>> for Failure {
    fn from(error: ReplayError<Failure>) -> Self {
        match error {
            ReplayError::Recording(error) => Self::Recording(error),
            ReplayError::Nothing { recording } => Self::TooLate { recording },
            ReplayError::Follower(failure) => failure,
        }
    }
}

impl From<WatchError<Failure>> for Failure {
    fn from(error: WatchError<Failure>) -> Self {
        match error {
            WatchError::Observe(error) => Self::Observe(error),
            WatchError::Signals(source) => Self::System {
                what: "waiting for signals",
                source,
            },
            WatchError::Follower(failure) => failure,
        }
    }
}

impl From<WatchedError<Failure>> for Failure {
    fn from(error: WatchedError<Failure>) -> Self {
        match error {
            WatchedError::Control(error) => Self::Control(error),
            WatchedError::Follower(failure) => failure,
        }
    }
}
