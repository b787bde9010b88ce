//! From readings to reports: adds readings up, and hands a window over whenever one is due.
//!
//! When one is due depends on the readings alone: their times are those of a grid that begins with the
//! first one. So a recording gives the same windows as the host did when it was recorded.

use std::time::Duration;

use hostler_decide::{
    scene::{HostFacts, Scene},
    signal::Reading,
    window::{Window, WindowSum},
};

/// A last window no longer than this, after others, is a leftover of the timers and not worth a
/// report.
const LEFTOVER_NS: u64 = 5_000_000;

/// When to report, and when to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Time between two reports; one report at the end if not said.
    pub interval: Option<Duration>,
    /// Time until the end; until there is no more to read if not said.
    pub duration: Option<Duration>,
    /// Whether a host is also read at once when its kernel tells of pressure.
    pub on_alarm: bool,
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is.
    Reading,
    /// Whoever looks on wants no more, or the time is over.
    Nothing,
}

/// Readings of one source on their way to reports.
pub(crate) struct Reports<L, R> {
    sum: WindowSum,
    scene: Scene,
    grid: Grid,
    any_reported: bool,
    look: L,
    report: R,
}

impl<L, R, E> Reports<L, R>
where
    L: FnMut(&Reading, &Scene) -> Result<bool, E>,
    R: FnMut(&Window, &Scene) -> Result<bool, E>,
{
    /// Begins with a reading.
    pub(crate) fn begin(
        facts: HostFacts,
        beginning: Reading,
        schedule: Schedule,
        look: L,
        report: R,
    ) -> Self {
        Self {
            scene: Scene::new(facts, &beginning),
            grid: Grid::new(beginning.at_ns, schedule),
            sum: WindowSum::new(beginning),
            any_reported: false,
            look,
            report,
        }
    }

    /// Takes the reading that follows, and reports if a window is due with it.
    pub(crate) fn take(&mut self, reading: Reading) -> Result<Next, E> {
        self.add(reading);
        if !(self.look)(self.sum.last(), &self.scene)? {
            return Ok(Next::Nothing);
        }
        let at_ns = self.sum.last().at_ns;
        if self.grid.is_over(at_ns) {
            return self.end().map(|()| Next::Nothing);
        }
        if !self.grid.is_due(at_ns) {
            return Ok(Next::Reading);
        }
        self.any_reported = true;
        let goes_on = (self.report)(&self.sum.take(), &self.scene)?;
        Ok(if goes_on {
            Next::Reading
        } else {
            Next::Nothing
        })
    }

    /// Takes the last reading, and reports what was not yet.
    pub(crate) fn end_with(&mut self, reading: Reading) -> Result<(), E> {
        self.add(reading);
        if (self.look)(self.sum.last(), &self.scene)? {
            self.end()?;
        }
        Ok(())
    }

    /// Reports what was not yet, as far as it is worth a report.
    pub(crate) fn end(&mut self) -> Result<(), E> {
        let rest = self.sum.take();
        if !self.any_reported || rest.length_ns() > LEFTOVER_NS {
            (self.report)(&rest, &self.scene)?;
        }
        Ok(())
    }

    fn add(&mut self, reading: Reading) {
        self.scene.follow(&reading);
        self.sum.add(reading);
    }
}

/// A reading that comes so little before it is due does for it: where a part of a recording is replayed,
/// the grid begins with a reading that may have been late itself.
const MOST_EARLY_NS: u64 = 50_000_000;

/// The instants at which reports are due, and the end.
#[expect(clippy::struct_field_names, reason = "it is their unit")]
struct Grid {
    due_ns: Option<u64>,
    interval_ns: u64,
    end_ns: Option<u64>,
    early_ns: u64,
}

impl Grid {
    fn new(began_ns: u64, schedule: Schedule) -> Self {
        let after = |time: Duration| began_ns.saturating_add(nanoseconds(time));
        Self {
            due_ns: schedule.interval.map(after),
            interval_ns: schedule.interval.map_or(1, nanoseconds).max(1),
            end_ns: schedule.duration.map(after),
            early_ns: schedule
                .interval
                .or(schedule.duration)
                .map_or(0, |time| (nanoseconds(time) / 10).min(MOST_EARLY_NS)),
        }
    }

    fn is_over(&self, at_ns: u64) -> bool {
        self.end_ns
            .is_some_and(|end_ns| at_ns >= end_ns.saturating_sub(self.early_ns))
    }

    /// Whether a report is due; then the next one is after the reading. After a stop (a suspended
    /// machine, a debugger) one window covers it all.
    fn is_due(&mut self, at_ns: u64) -> bool {
        let at_ns = at_ns.saturating_add(self.early_ns);
        let Some(due_ns) = self.due_ns.filter(|&due_ns| at_ns >= due_ns) else {
            return false;
        };
        let passed = (at_ns - due_ns) / self.interval_ns + 1;
        self.due_ns = Some(due_ns.saturating_add(passed.saturating_mul(self.interval_ns)));
        true
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Reading {
        Reading {
            at_ns: milliseconds * 1_000_000,
            ledger_ns: milliseconds * 1_000_000,
            ..Reading::default()
        }
    }

    fn windows(schedule: Schedule, readings: &[u64]) -> Vec<(u64, u64)> {
        let mut windows = Vec::new();
        let report = |window: &Window, _: &Scene| -> Result<bool, ()> {
            windows.push((window.from_ns / 1_000_000, window.to_ns / 1_000_000));
            Ok(true)
        };
        let look = |_: &Reading, _: &Scene| Ok(true);
        let mut reports = Reports::begin(HostFacts::default(), at(100), schedule, look, report);
        let is_over = readings
            .iter()
            .any(|&milliseconds| reports.take(at(milliseconds)) == Ok(Next::Nothing));
        if !is_over {
            reports.end().expect("it can't fail");
        }
        windows
    }

    fn schedule(interval: Option<u64>, duration: Option<u64>) -> Schedule {
        Schedule {
            interval: interval.map(Duration::from_millis),
            duration: duration.map(Duration::from_millis),
            on_alarm: false,
        }
    }

    #[test]
    fn without_an_interval_there_is_one_report_at_the_end() {
        assert_eq!(windows(schedule(None, None), &[200, 400]), [(100, 400)]);
        assert_eq!(
            windows(schedule(None, Some(150)), &[200, 260, 400]),
            [(100, 260)]
        );
        assert_eq!(windows(schedule(None, None), &[]), [(100, 100)]);
    }

    #[test]
    fn reports_are_due_on_a_grid_that_begins_with_the_first_reading() {
        assert_eq!(
            windows(schedule(Some(100), None), &[150, 203, 301, 340]),
            [(100, 203), (203, 301), (301, 340)]
        );
    }

    #[test]
    fn a_reading_that_is_a_little_early_does_for_the_report() {
        assert_eq!(
            windows(schedule(Some(100), None), &[199, 285, 299, 399]),
            [(100, 199), (199, 299), (299, 399)]
        );
    }

    #[test]
    fn after_a_stop_one_window_covers_it_all_and_the_grid_stays() {
        assert_eq!(
            windows(schedule(Some(100), None), &[200, 555, 560, 601]),
            [(100, 200), (200, 555), (555, 601)]
        );
    }

    #[test]
    fn what_is_left_over_at_the_end_is_reported_unless_it_is_next_to_nothing() {
        assert_eq!(
            windows(schedule(Some(100), Some(250)), &[200, 300, 351]),
            [(100, 200), (200, 300), (300, 351)]
        );
        assert_eq!(
            windows(schedule(Some(100), Some(200)), &[200, 299, 303]),
            [(100, 200), (200, 299)]
        );
        assert_eq!(
            windows(schedule(Some(100), None), &[200, 204]),
            [(100, 200)]
        );
    }
}
