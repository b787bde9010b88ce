//! Replaying a recording: what [`crate::watch()`] does with a host, with what was read of it earlier.

use std::{fs::File, io::BufReader, path::Path, time::Duration};

use hostler_decide::{
    scene::{HostFacts, Scene},
    signal::Reading,
    window::Window,
};

use crate::{
    recording::{Moment, Reader, RecordingError},
    reports::{Next, Reports, Schedule},
};

/// Where to begin in a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With its first reading.
    #[default]
    Beginning,
    /// So long after that.
    After(Duration),
    /// At a time of day, in ms since 1970, in UTC.
    At(u64),
}

/// Why replaying ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError<E> {
    /// The recording could not be read, or not to its end.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// Nothing was recorded from the time on that was asked for.
    #[error("{recording}: nothing was recorded at that time or later")]
    Nothing {
        /// The recording.
        recording: String,
    },
    /// Whoever looks on failed.
    #[error(transparent)]
    Follower(E),
}

/// A recording that is about to be replayed.
pub struct Replay {
    reader: Reader<BufReader<File>>,
    beginning: Moment,
    /// Where a recording is damaged, it ends.
    is_lenient: bool,
}

impl Replay {
    /// Reads a recording up to where replaying begins.
    pub fn open<E>(path: &Path, start: Start, is_lenient: bool) -> Result<Self, ReplayError<E>> {
        let mut reader = Reader::open(path)?;
        let mut first_ns = None;
        let beginning = loop {
            let Some(moment) = next(&mut reader, is_lenient)? else {
                return Err(ReplayError::Nothing {
                    recording: reader.recording().to_owned(),
                });
            };
            let at_ns = moment.reading.at_ns;
            let passed_ns = u128::from(at_ns - *first_ns.get_or_insert(at_ns));
            let is_reached = match start {
                Start::Beginning => true,
                Start::After(time) => passed_ns >= time.as_nanos(),
                Start::At(wall_ms) => moment.wall_ms >= wall_ms,
            };
            if is_reached {
                break moment.clone();
            }
        };
        Ok(Self {
            reader,
            beginning,
            is_lenient,
        })
    }

    /// What stayed as it was on the host.
    pub fn facts(&self) -> &HostFacts {
        self.reader.facts()
    }

    /// The reading with which replaying begins.
    pub fn beginning(&self) -> &Moment {
        &self.beginning
    }

    /// Replays to the schedule's end, or to the end of the recording.
    pub fn run<E>(
        mut self,
        schedule: Schedule,
        look: impl FnMut(&Reading, &Scene) -> Result<bool, E>,
        report: impl FnMut(&Window, &Scene) -> Result<bool, E>,
    ) -> Result<(), ReplayError<E>> {
        let (facts, beginning) = (self.reader.facts().clone(), self.beginning.reading);
        let mut reports = Reports::begin(facts, beginning, schedule, look, report);
        while let Some(moment) = next(&mut self.reader, self.is_lenient)? {
            let next = reports.take(moment.reading.clone());
            if next.map_err(ReplayError::Follower)? == Next::Nothing {
                return Ok(());
            }
        }
        reports.end().map_err(ReplayError::Follower)
    }
}

fn next(
    reader: &mut Reader<BufReader<File>>,
    is_lenient: bool,
) -> Result<Option<Moment>, RecordingError> {
    match reader.read() {
        Ok(moment) => Ok(moment.cloned()),
        Err(error) if is_lenient => {
            tracing::warn!("{error}; what comes before that is read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
