//! Watching a host for a while: readings at each tick, windows at each report, until the time is
//! over or somebody says stop.

use std::{os::fd::OwnedFd, time::Duration};

use hostler_decide::{scene::Scene, signal::Reading, window::Window};
use hostler_observe::{ObserveError, Observer};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};

use crate::{
    reports::{Next, Reports, Schedule},
    wakeups::{Alarms, end_at_second_signal},
};

/// The longest time between two readings. Shorter than the rest of a slot, so that the last
/// moments of an agent that has left are always read, however long a report's window is.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// The least time between two readings for the sake of alarms.
const QUIET: Duration = Duration::from_millis(500);

/// Why watching ended early.
#[derive(Debug, thiserror::Error)]
pub enum WatchError<E> {
    /// The host could not be read any more.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// Signals can't be waited for.
    #[error("waiting for signals failed: {0}")]
    Signals(std::io::Error),
    /// Whoever looks on failed.
    #[error(transparent)]
    Follower(E),
}

/// All that can happen while watching.
enum Event {
    Tick,
    End,
}

/// Watches until the schedule's end, Ctrl-C or SIGTERM. Hands each reading to `look`, and each window
/// to `report`, the last of them at the end even if it is not full; a window comes after the reading
/// that ends it. Both say with `Ok(false)` that they want no more.
pub async fn watch<E>(
    observer: &mut Observer,
    schedule: Schedule,
    look: impl FnMut(&Reading, &Scene) -> Result<bool, E>,
    report: impl FnMut(&Window, &Scene) -> Result<bool, E>,
) -> Result<(), WatchError<E>> {
    let began = Instant::now()
        .checked_sub(observer.since_beginning())
        .unwrap_or_else(Instant::now);
    let alarms = schedule.on_alarm.then(|| observer.alarms()).flatten();
    let mut timers = Timers::start(began, schedule, alarms).map_err(WatchError::Signals)?;
    // From here on a signal brings a report.
    tracing::info!("measuring");
    let beginning = observer.beginning().clone();
    let mut reports = Reports::begin(observer.facts(), beginning, schedule, look, report);
    loop {
        let event = timers.next().await;
        let reading = match observer.read() {
            Ok(reading) => reading,
            Err(error) => {
                // What was gathered until now is not lost with what could not be read.
                reports.end().map_err(WatchError::Follower)?;
                return Err(error.into());
            }
        };
        let next = match event {
            Event::Tick => reports.take(reading),
            Event::End => reports.end_with(reading).map(|()| Next::Nothing),
        };
        if next.map_err(WatchError::Follower)? == Next::Nothing {
            return Ok(());
        }
    }
}

struct Timers {
    ticks: Interval,
    reports: Option<Interval>,
    end: Option<Instant>,
    alarms: Alarms,
    interrupt: Signal,
    terminate: Signal,
}

impl Timers {
    /// Times are those of the grid that begins with the first reading.
    fn start(began: Instant, schedule: Schedule, alarms: Option<OwnedFd>) -> std::io::Result<Self> {
        // Before whatever else takes signals: one that comes in between would be lost.
        let (interrupt, terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        end_at_second_signal()?;
        let every = |period: Duration| {
            let mut interval = interval_at(began + period, period);
            // After a stop (a suspended machine, a debugger) one reading covers it all.
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
            interval
        };
        let interval = schedule.interval.unwrap_or(LONGEST_TICK);
        Ok(Self {
            ticks: every(interval.min(LONGEST_TICK)),
            reports: schedule.interval.map(every),
            end: schedule.duration.map(|duration| began + duration),
            alarms: Alarms::new(alarms, QUIET)?,
            interrupt,
            terminate,
        })
    }

    async fn next(&mut self) -> Event {
        let Self {
            ticks,
            reports,
            end,
            alarms,
            interrupt,
            terminate,
        } = self;
        tokio::select! {
            // In this order: an end that is due is not put off by a tick that is due as well, and
            // the reading of a report covers the tick.
            biased;
            _ = interrupt.recv() => Event::End,
            _ = terminate.recv() => Event::End,
            () = reach(*end) => Event::End,
            () = due(reports.as_mut()) => {
                ticks.reset();
                Event::Tick
            }
            _ = ticks.tick() => Event::Tick,
            () = alarms.next() => Event::Tick,
        }
    }
}

async fn reach(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

async fn due(interval: Option<&mut Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}
