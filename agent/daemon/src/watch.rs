//! Watching a host for a while: readings at each tick, windows at each report, until the time is
//! over or somebody says stop.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use hostler_decide::{scene::Scene, signal::Reading, window::Window};
use hostler_observe::{ObserveError, Observer};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};

use crate::reports::{Next, Reports, Schedule};

/// The longest time between two readings. Shorter than the rest of a slot, so that the last
/// moments of an agent that has left are always read, however long a report's window is.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// The least time between two readings for the sake of alarms: there are dozens of them, and a host
/// that is short of CPUs must not be read all the time.
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
    /// Can be read when the kernel tells of pressure.
    alarms: Option<AsyncFd<OwnedFd>>,
    /// What the kernel tells before that is read then.
    quiet_until: Instant,
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
            alarms: alarms.map(readable).transpose()?,
            quiet_until: began,
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
            quiet_until,
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
            () = told(alarms.as_ref(), *quiet_until) => {
                *quiet_until = Instant::now() + QUIET;
                Event::Tick
            }
        }
    }
}

async fn reach(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

#[expect(
    deprecated,
    reason = "an owned descriptor stays open for as long as it is registered, which is what the \
              unsafe successor asks for"
)]
fn readable(descriptor: OwnedFd) -> std::io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// The kernel tells of pressure: who reads takes that in.
async fn told(alarms: Option<&AsyncFd<OwnedFd>>, quiet_until: Instant) {
    let Some(alarms) = alarms else {
        return std::future::pending().await;
    };
    match alarms.readable().await {
        Ok(mut ready) => {
            ready.clear_ready();
            sleep_until(quiet_until).await;
        }
        // The runtime is ending.
        Err(_) => std::future::pending().await,
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

/// The first signal ends the watch, with a report. If nobody reads that, the second one ends the
/// process.
fn end_at_second_signal() -> std::io::Result<()> {
    let seen = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag not set yet.
        flag::register_conditional_default(signal, Arc::clone(&seen))?;
        flag::register(signal, Arc::clone(&seen))?;
    }
    Ok(())
}
