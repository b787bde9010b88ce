//! Where readings come from: the daemon of this host, probes of the command's own, or a recording. Whoever
//! reports sees no difference.

mod daemon;

use std::{io, path::Path, time::Duration};

use hostler_daemon::{
    Replay, Schedule, Start,
    control::Watched,
    recording::{RecordingError, Writer, wall_ms_at},
};
use hostler_decide::{
    scene::{Availability, CpuView, HostFacts, Scene},
    signal::Reading,
    window::Window,
};
use hostler_observe::{ObserveError, Observer, Options, ProbeClock, ThreadSource};

use super::{no_match, rules};
use crate::{
    args::{AgentPattern, Clock, GlobalArgs, SourceArgs, ThreadsFrom},
    failure::Failure,
};

/// A signal without which there is nothing to report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// There is always something.
    Nothing,
    /// Whom sockets talk to.
    Sockets,
    /// Pressure.
    Pressure,
    /// What is counted per CPU.
    Cpus,
    /// Who made whom wait.
    Causes,
    /// And each of these waits.
    SingleWaits,
    /// Who wakes whom.
    Wakes,
    /// On which nodes threads run.
    Placement,
}

impl Need {
    /// What is missing, and the option of `hostler record` that would have recorded it.
    fn missing(self, facts: &HostFacts) -> Option<(&'static str, &'static str)> {
        let signals = &facts.signals;
        let (is_there, what, option) = match self {
            Self::Nothing => return None,
            Self::Sockets => (signals.sockets == Availability::Measured, "TCP sockets", ""),
            Self::Pressure => (signals.pressure, "pressure", ""),
            Self::Cpus => (signals.cpus == CpuView::All, "waits by CPU", " --cpus"),
            Self::Causes => (signals.long_wait_ns.is_some(), "who made whom wait", ""),
            Self::Wakes => (signals.wakes, "who wakes whom", " --wakes"),
            Self::Placement => (
                signals.placement || !facts.topology.has_several_nodes(),
                "where threads run",
                "",
            ),
            Self::SingleWaits => (signals.wait_events, "single waits", " --events"),
        };
        (!is_there).then_some((what, option))
    }
}

/// Where readings come from.
pub(super) enum Source {
    /// This host, and the recording that is made meanwhile.
    Host(Box<Observer>, Option<Kept>),
    /// The daemon of this host, likewise.
    Daemon(Box<Watched>, Option<Kept>),
    /// A recording.
    Recording(Box<Replay>),
}

/// A recording that is being made.
pub(super) struct Kept {
    pub(super) writer: Box<Writer>,
    /// Whether there is nothing else to do: without it, reading ends.
    pub(super) is_all: bool,
}

/// Which kind of source it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Host,
    Recording,
}

impl Source {
    /// Begins to read. A pattern that selects none of the agents that are there is refused, and so is
    /// a source without the signal that is needed. `schedule` is what will be asked for, as far as it is
    /// known.
    pub(super) fn open(
        args: &SourceArgs,
        patterns: &[AgentPattern],
        need: Need,
        schedule: Schedule,
        global: &GlobalArgs,
        options: Options,
    ) -> Result<Self, Failure> {
        let source = match &args.from {
            Some(path) => {
                let start = args.part.at.unwrap_or_default();
                Self::recording(path, start, args.part.lenient, need)?
            }
            None => match daemon::watch(need, schedule, global, &options) {
                Some(watched) => Self::Daemon(Box::new(watched), None),
                None if args.record.is_some() && options.cpu_view != CpuView::Selected => {
                    // Whoever reads the recording may ask for other agents.
                    let select = Box::new(|_: &str| true);
                    Self::host(need, global, Options { select, ..options })?
                }
                None => Self::host(need, global, options)?,
            },
        };
        let names = || source.beginning().agents.iter().map(|row| &*row.agent.name);
        for pattern in patterns {
            if !names().any(|name| pattern.matches(name)) {
                return Err(no_match(pattern, source.origin()));
            }
        }
        match &args.record {
            Some(path) => source.kept_in(path),
            None => Ok(source),
        }
    }

    /// Also writes all that is read into a recording.
    fn kept_in(mut self, path: &Path) -> Result<Self, Failure> {
        let (facts, beginning) = (self.facts(), self.beginning().clone());
        if let Self::Host(_, kept) | Self::Daemon(_, kept) = &mut self {
            *kept = Some(Kept {
                writer: Box::new(begin_recording(path, false, &facts, &beginning)?),
                is_all: false,
            });
        }
        Ok(self)
    }

    fn recording(path: &Path, start: Start, is_lenient: bool, need: Need) -> Result<Self, Failure> {
        let replay = Replay::open::<Failure>(path, start, is_lenient)?;
        match need.missing(replay.facts()) {
            None => Ok(Self::Recording(Box::new(replay))),
            Some((what, option)) => Err(Failure::NotRecorded {
                recording: path.display().to_string(),
                what,
                option,
            }),
        }
    }

    fn host(need: Need, global: &GlobalArgs, options: Options) -> Result<Self, Failure> {
        let observer = observe(global, options)?;
        if let (Need::Sockets, Availability::Refused(reason)) = (need, observer.sockets()) {
            return Err(ObserveError::Refused {
                what: "following sockets".to_owned(),
                reason: reason.clone(),
            }
            .into());
        }
        Ok(Self::Host(Box::new(observer), None))
    }

    /// Which of both it is.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Host(..) | Self::Daemon(..) => Origin::Host,
            Self::Recording(_) => Origin::Recording,
        }
    }

    /// How long to read: what was asked for, or else a host for `of_host`, and a recording to its end.
    pub(super) fn duration(&self, wanted: Option<Duration>, of_host: Duration) -> Option<Duration> {
        wanted.or(match self {
            Self::Host(..) | Self::Daemon(..) => Some(of_host),
            Self::Recording(_) => None,
        })
    }

    /// What stays as it is.
    pub(super) fn facts(&self) -> HostFacts {
        match self {
            Self::Host(observer, _) => observer.facts(),
            Self::Daemon(watched, _) => watched.facts().clone(),
            Self::Recording(replay) => replay.facts().clone(),
        }
    }

    /// When it begins, as a time of day in ms since 1970.
    pub(super) fn wall_ms(&self) -> u64 {
        match self {
            Self::Host(..) | Self::Daemon(..) => wall_ms_at(self.beginning().at_ns),
            Self::Recording(replay) => replay.beginning().wall_ms,
        }
    }

    /// The reading with which it begins.
    pub(super) fn beginning(&self) -> &Reading {
        match self {
            Self::Host(observer, _) => observer.beginning(),
            Self::Daemon(watched, _) => &watched.beginning().reading,
            Self::Recording(replay) => &replay.beginning().reading,
        }
    }

    /// The time of day at which it begins, in ms since 1970, in UTC; of this host it is not told.
    pub(super) fn began_ms(&self) -> Option<u64> {
        match self {
            Self::Host(..) | Self::Daemon(..) => None,
            Self::Recording(replay) => Some(replay.beginning().wall_ms),
        }
    }

    /// Reads to the schedule's end, or to whatever ends it sooner. Both who looks at readings and who
    /// takes windows say with `Ok(false)` that they want no more.
    pub(super) fn run(
        self,
        schedule: Schedule,
        mut look: impl FnMut(&Reading, &Scene) -> io::Result<bool>,
        mut report: impl FnMut(&Window, &Scene) -> io::Result<bool>,
    ) -> Result<(), Failure> {
        let writing = |source| Failure::System {
            what: "writing the report",
            source,
        };
        let mut look = |reading: &Reading, scene: &Scene| look(reading, scene).map_err(writing);
        match self {
            Self::Recording(replay) => {
                let mut is_said = false;
                let report = |window: &Window, scene: &Scene| {
                    if !is_said && is_much_longer(window, schedule) {
                        is_said = true;
                        tracing::warn!(
                            "readings in the recording are further apart than --interval"
                        );
                    }
                    report(window, scene).map_err(writing)
                };
                Ok(replay.run(schedule, look, report)?)
            }
            Self::Daemon(watched, kept) => {
                let report =
                    |window: &Window, scene: &Scene| report(window, scene).map_err(writing);
                let mut keeping = Keeping::new(kept);
                let look = |reading: &Reading, scene: &Scene| {
                    keeping.add(reading)?;
                    look(reading, scene)
                };
                watched.run(schedule, look, report)?;
                keeping.finish()
            }
            Self::Host(mut observer, kept) => {
                let report =
                    |window: &Window, scene: &Scene| report(window, scene).map_err(writing);
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|source| Failure::System {
                        what: "starting the event loop",
                        source,
                    })?;
                let mut keeping = Keeping::new(kept);
                let look = |reading: &Reading, scene: &Scene| {
                    keeping.add(reading)?;
                    look(reading, scene)
                };
                runtime.block_on(hostler_daemon::watch(&mut observer, schedule, look, report))?;
                keeping.finish()
            }
        }
    }
}

/// Writes a recording beside what is reported.
struct Keeping {
    kept: Option<Kept>,
    failed: Option<RecordingError>,
}

impl Keeping {
    fn new(kept: Option<Kept>) -> Self {
        Self { kept, failed: None }
    }

    fn add(&mut self, reading: &Reading) -> Result<(), Failure> {
        let Some(recording) = &mut self.kept else {
            return Ok(());
        };
        let Err(error) = add(&mut recording.writer, reading) else {
            return Ok(());
        };
        if recording.is_all {
            return Err(error.into());
        }
        // What is reported is not lost with what can't be kept.
        tracing::warn!("{error}; nothing more is recorded");
        self.failed = Some(error);
        self.kept = None;
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        if let Some(recording) = self.kept {
            recording.writer.finish()?;
        }
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Whether a window is longer than two of those that were asked for.
fn is_much_longer(window: &Window, schedule: Schedule) -> bool {
    let interval = schedule.interval.map(|interval| 2 * interval.as_nanos());
    interval.is_some_and(|longest| u128::from(window.length_ns()) > longest)
}

/// Begins a recording with the reading with which measuring began.
pub(super) fn begin_recording(
    path: &Path,
    may_replace: bool,
    facts: &HostFacts,
    beginning: &Reading,
) -> Result<Writer, RecordingError> {
    let mut writer = Writer::create(path, may_replace, facts)?;
    add(&mut writer, beginning)?;
    Ok(writer)
}

/// Adds a reading with the time of day at which it was taken.
pub(super) fn add(writer: &mut Writer, reading: &Reading) -> Result<(), RecordingError> {
    writer.add(reading, wall_ms_at(reading.at_ns))
}

/// Starts to observe this host.
pub(super) fn observe(global: &GlobalArgs, mut options: Options) -> Result<Observer, Failure> {
    options.threads_from = global.threads_from.map(|source| match source {
        ThreadsFrom::Iterator => ThreadSource::Iterator,
        ThreadsFrom::Procfs => ThreadSource::Procfs,
    });
    options.clock = global.clock.map(|clock| match clock {
        Clock::RunQueue => ProbeClock::RunQueue,
        Clock::Monotonic => ProbeClock::Monotonic,
    });
    options.rules = rules::read(global)?;
    Ok(Observer::start(options)?)
}
