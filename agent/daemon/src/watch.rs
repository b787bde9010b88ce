//! Watching a host for a while: readings at each tick, windows at each report, until the time is
//! over or somebody says stop.

use std::{
    os::fd::OwnedFd,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use hostler_decide::{
    signal::Reading,
    window::{Window, WindowSum},
};
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

/// The longest time between two readings. Shorter than the rest of a slot, so that the last
/// moments of an agent that has left are always read, however long a report's window is.
const LONGEST_TICK: Duration = Duration::from_secs(1);

/// A last window no longer than this, after others, is a leftover of the timers and not worth a
/// report.
const LEFTOVER_NS: u64 = 5_000_000;

/// The least time between two readings for the sake of alarms: there are dozens of them, and a host
/// that is short of CPUs must not be read all the time.
const QUIET: Duration = Duration::from_millis(500);

/// When to report, and when to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two reports; one report at the end if not said.
    pub interval: Option<Duration>,
    /// Time until the end; until a signal comes if not said.
    pub duration: Option<Duration>,
}

/// Why watching ended early.
#[derive(Debug, thiserror::Error)]
pub enum WatchError<E> {
    /// The host could not be read any more.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// Signals can't be waited for.
    #[error("waiting for signals failed: {0}")]
    Signals(std::io::Error),
    /// The report could not be delivered.
    #[error("the report could not be written: {0}")]
    Report(E),
}

/// All that can happen while watching.
enum Event {
    Tick,
    Report,
    End,
}

/// Watches until the schedule's end, Ctrl-C or SIGTERM, and hands each window to `report`, the
/// last of them at the end even if it is not full. `report` says with `Ok(false)` that it wants
/// no more.
pub async fn watch<E>(
    observer: &mut Observer,
    schedule: Schedule,
    report: impl FnMut(&Window, &Observer) -> Result<bool, E>,
) -> Result<(), WatchError<E>> {
    watch_closely(observer, schedule, |_, _| Ok(true), report).await
}

/// As [`watch`], and hands each reading to `look`, which says likewise that it wants no more. A
/// window that ends with a reading comes after it.
pub async fn watch_closely<E>(
    observer: &mut Observer,
    schedule: Schedule,
    mut look: impl FnMut(&Reading, &Observer) -> Result<bool, E>,
    mut report: impl FnMut(&Window, &Observer) -> Result<bool, E>,
) -> Result<(), WatchError<E>> {
    let mut timers = Timers::start(schedule, observer.alarms()).map_err(WatchError::Signals)?;
    // From here on a signal brings a report.
    tracing::info!("measuring");
    let mut any_reported = false;
    let mut sum = WindowSum::new(observer.beginning().clone());
    loop {
        let event = timers.next().await;
        match observer.read() {
            Ok(reading) => sum.add(reading),
            Err(error) => {
                // What was gathered until now is not lost with what could not be read.
                report(&sum.take(), observer).map_err(WatchError::Report)?;
                return Err(error.into());
            }
        }
        if !look(sum.last(), observer).map_err(WatchError::Report)? {
            return Ok(());
        }
        match event {
            Event::Tick => {}
            Event::Report => {
                timers.ticks.reset();
                any_reported = true;
                if !report(&sum.take(), observer).map_err(WatchError::Report)? {
                    return Ok(());
                }
            }
            Event::End => {
                let rest = sum.take();
                if !any_reported || rest.length_ns() > LEFTOVER_NS {
                    report(&rest, observer).map_err(WatchError::Report)?;
                }
                return Ok(());
            }
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
    fn start(schedule: Schedule, alarms: Option<OwnedFd>) -> std::io::Result<Self> {
        // Before whatever else takes signals: one that comes in between would be lost.
        let (interrupt, terminate) = (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        );
        end_at_second_signal()?;
        let now = Instant::now();
        let every = |period: Duration| {
            let mut interval = interval_at(now + period, period);
            // After a stop (a suspended machine, a debugger) one window covers it all.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        };
        let interval = schedule.interval.unwrap_or(LONGEST_TICK);
        Ok(Self {
            ticks: every(interval.min(LONGEST_TICK)),
            reports: schedule.interval.map(every),
            end: schedule.duration.map(|duration| now + duration),
            alarms: alarms.map(readable).transpose()?,
            quiet_until: now,
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
            // a report covers the tick.
            biased;
            _ = interrupt.recv() => Event::End,
            _ = terminate.recv() => Event::End,
            () = reach(*end) => Event::End,
            () = due(reports.as_mut()) => Event::Report,
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
