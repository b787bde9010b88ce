//! All that can happen to the loop.

use std::{io, os::fd::OwnedFd, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::Receiver,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::questions::Question;
use crate::wakeups::{Alarms, end_at_second_signal};

/// The least time between two readings for the sake of alarms: how often there were any is in each
/// reading anyway, and where a host is short of CPUs for long, more readings make it no less so.
const QUIET: Duration = Duration::from_secs(10);

/// Something that the loop acts on.
pub(super) enum Event {
    /// The host is to be read.
    Tick {
        /// Whether that is half a tick late or more: the loop was held up, or the host is short of CPUs.
        is_late: bool,
    },
    /// The kernel tells of pressure: the host is read at once.
    Alarm,
    /// The configuration is to be read again.
    Reload,
    /// All that was changed on the host is to be taken back at once.
    Restore,
    /// Somebody asks what only the loop knows or does.
    Asked(Question),
    /// The daemon is to end.
    Stop,
}

/// Where events come from.
pub(super) struct Events {
    ticks: Interval,
    alarms: Alarms,
    questions: Receiver<Question>,
    hangup: Signal,
    user: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Events {
    /// From here on a signal is an event.
    pub(super) fn new(tick: Duration, questions: Receiver<Question>) -> io::Result<Self> {
        let events = Self {
            ticks: every(tick),
            alarms: Alarms::new(None, QUIET)?,
            questions,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        };
        end_at_second_signal()?;
        Ok(events)
    }

    /// Ticks begin now, and alarms are listened to.
    pub(super) fn listen(&mut self, alarms: Option<OwnedFd>) -> io::Result<()> {
        self.alarms = Alarms::new(alarms, QUIET)?;
        self.ticks.reset();
        Ok(())
    }

    /// The next tick is so long after now, and so are those that follow apart.
    pub(super) fn set_tick(&mut self, tick: Duration) {
        if self.ticks.period() != tick {
            self.ticks = every(tick);
        }
    }

    /// The next event. One that ends the daemon goes before one that keeps it going.
    pub(super) async fn next(&mut self) -> Event {
        let late = self.ticks.period() / 2;
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Event::Stop,
            _ = self.terminate.recv() => Event::Stop,
            _ = self.user.recv() => Event::Restore,
            _ = self.hangup.recv() => Event::Reload,
            due = self.ticks.tick() => Event::Tick { is_late: due.elapsed() > late },
            () = self.alarms.next() => Event::Alarm,
            Some(question) = self.questions.recv() => Event::Asked(question),
        }
    }
}

fn every(tick: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + tick, tick);
    // After a stop (a suspended machine, a debugger) one reading covers it all.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}
