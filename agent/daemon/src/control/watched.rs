//! A daemon that is watched: what [`crate::watch()`] does with a host, with what a daemon reads of it.

use hostler_decide::{
    scene::{HostFacts, Scene},
    signal::Reading,
    window::Window,
};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tonic::Streaming;

use super::{
    Client, ControlError,
    schema::{Beginning, WatchResponse, watch_response::What},
};
use crate::{
    recording::{Moment, messages},
    reports::{Next, Reports, Schedule},
    wakeups::end_at_second_signal,
};

/// Why watching ended early.
#[derive(Debug, thiserror::Error)]
pub enum WatchedError<E> {
    /// The daemon said no more.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Whoever looks on failed.
    #[error(transparent)]
    Follower(E),
}

/// A daemon that tells what it reads.
pub struct Watched {
    client: Client,
    told: Streaming<WatchResponse>,
    facts: HostFacts,
    /// The last reading that came.
    last: Moment,
    tick: Duration,
}

impl Watched {
    pub(super) fn begin(
        client: Client,
        mut told: Streaming<WatchResponse>,
    ) -> Result<Self, ControlError> {
        let first = client.runtime.block_on(told.message());
        let first = first.map_err(|status| client.refused(&status))?;
        let Some(What::Beginning(beginning)) = first.and_then(|first| first.what) else {
            return Err(client.malformed("a reading comes before the beginning".to_owned()));
        };
        let tick = Duration::from_millis(beginning.tick_ms);
        let (facts, last) = begun(beginning).map_err(|message| client.malformed(message))?;
        Ok(Self {
            client,
            told,
            facts,
            last,
            tick,
        })
    }

    /// What stays as it is on the host.
    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// The daemon's last reading, with which watching begins.
    pub fn beginning(&self) -> &Moment {
        &self.last
    }

    /// Time between two readings.
    pub fn tick(&self) -> Duration {
        self.tick
    }

    /// Who is asked.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Watches until the schedule's end, Ctrl-C or SIGTERM, as [`crate::watch()`] does.
    pub fn run<E>(
        mut self,
        schedule: Schedule,
        look: impl FnMut(&Reading, &Scene) -> Result<bool, E>,
        report: impl FnMut(&Window, &Scene) -> Result<bool, E>,
    ) -> Result<(), WatchedError<E>> {
        let (facts, beginning) = (self.facts.clone(), self.last.reading.clone());
        let mut reports = Reports::begin(facts, beginning, schedule, look, report);
        let (mut interrupt, mut terminate) = {
            let _inside = self.client.runtime.enter();
            let when_sent = |kind| signal(kind).map_err(ControlError::System);
            (
                when_sent(SignalKind::interrupt())?,
                when_sent(SignalKind::terminate())?,
            )
        };
        end_at_second_signal().map_err(ControlError::System)?;
        tracing::info!("measuring");
        loop {
            let told = self.client.runtime.block_on(async {
                tokio::select! {
                    biased;
                    _ = interrupt.recv() => None,
                    _ = terminate.recv() => None,
                    told = self.told.message() => Some(told),
                }
            });
            let Some(told) = told else {
                return reports.end().map_err(WatchedError::Follower);
            };
            match self.follow(told) {
                Ok(reading) => {
                    let next = reports.take(reading).map_err(WatchedError::Follower)?;
                    if next == Next::Nothing {
                        return Ok(());
                    }
                }
                Err(error) => {
                    // What was gathered until now is not lost with what did not come.
                    reports.end().map_err(WatchedError::Follower)?;
                    return Err(error.into());
                }
            }
        }
    }

    /// The reading that a message makes of the one before it.
    fn follow(
        &mut self,
        told: Result<Option<WatchResponse>, tonic::Status>,
    ) -> Result<Reading, ControlError> {
        let message = told.map_err(|status| self.client.refused(&status))?;
        let Some(What::Reading(reading)) = message.and_then(|message| message.what) else {
            let message = "it ended without a word".to_owned();
            return Err(self.client.malformed(message));
        };
        self.last = messages::apply(&self.last, reading)
            .map_err(|malformed| self.client.malformed(malformed.0))?;
        Ok(self.last.reading.clone())
    }
}

fn begun(beginning: Beginning) -> Result<(HostFacts, Moment), String> {
    let header = beginning.header.unwrap_or_default();
    messages::check_sizes(&header).map_err(|damage| damage.to_string())?;
    let reading = beginning.reading.unwrap_or_default();
    let moment = messages::apply(&Moment::default(), reading).map_err(|malformed| malformed.0)?;
    Ok((messages::facts(header), moment))
}
