//! What the loop reads, and the windows that it takes of it.

use std::{
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use hostler_decide::{
    scene::CpuView,
    signal::{AgentReading, Reading},
    window::WindowSum,
};
use hostler_observe::{
    ObserveError, Observer, Options, RunTimeStatistics, give_back_free_memory, has_several_nodes,
};

use super::{
    questions::HostQuestion,
    tick::{Beginning, Pace, ProbeCost, Tick, Told},
};
use crate::{config::Config, recording::wall_ms_at};

/// Ticks between two samples of what the programs cost: the statistics cost something themselves, so
/// they are on for one tick of so many.
const TICKS_PER_SAMPLE: u64 = 60;

/// Ticks between two times that memory is given back; not those at which a sample begins or ends.
const TICKS_PER_GIVING_BACK: u64 = 60;
const FIRST_GIVING_BACK: u64 = 5;

/// A host that is being measured.
pub(super) struct Measuring {
    observer: Observer,
    beginning: Arc<Reading>,
    windows: WindowSum,
    ticks: u64,
    /// On while the programs' cost is sampled.
    statistics: Option<RunTimeStatistics>,
    /// That they can't be had is said once.
    refusal_said: bool,
}

impl Measuring {
    /// Loads the programs and finds who is there.
    pub(super) fn start(config: &Config) -> Result<Self, ObserveError> {
        let observer = Observer::start(options(config))?;
        let beginning = Arc::new(observer.beginning().clone());
        Ok(Self {
            observer,
            windows: WindowSum::new(Arc::clone(&beginning)),
            beginning,
            ticks: 0,
            statistics: None,
            refusal_said: false,
        })
    }

    /// Agents that were there at the last reading, with threads.
    pub(super) fn agents(&self) -> usize {
        let agents = &self.windows.last().agents;
        agents.iter().filter(|row| row.thread_count() > 0).count()
    }

    /// What tells of pressure.
    pub(super) fn alarms(&mut self) -> Option<OwnedFd> {
        self.observer.alarms()
    }

    /// Answers; whoever asked may have gone.
    pub(super) fn answer(&mut self, question: HostQuestion) {
        let in_words = |error: ObserveError| error.to_string();
        match question {
            HostQuestion::Agents(answer) => {
                drop(answer.send(self.observer.agents().map_err(in_words)));
            }
            HostQuestion::Processes(answer) => {
                drop(answer.send(self.observer.processes().map_err(in_words)));
            }
            HostQuestion::LookAgain(agent, processes) => {
                self.observer.look_again_at_memory(&agent, processes);
            }
        }
    }

    /// What measuring began with, if it is to be read at each `tick`.
    pub(super) fn beginning(&self, tick: Duration) -> Beginning {
        Beginning {
            facts: self.observer.facts(),
            told: told(Arc::clone(&self.beginning)),
            tick,
        }
    }

    /// Reads the host, and takes the window since the last reading.
    pub(super) fn tick(&mut self, is_late: bool) -> Result<Tick, ObserveError> {
        let began = Instant::now();
        let reading = Arc::new(self.observer.read()?);
        let read = began.elapsed();
        self.windows.add(Arc::clone(&reading));
        let window = self.windows.take();
        let pace = Pace {
            read,
            window: began.elapsed().saturating_sub(read),
            is_late,
        };
        self.ticks += 1;
        let cost = self.sample(&reading.agents);
        Ok(Tick {
            window,
            told: told(reading),
            paces: vec![pace],
            cost,
        })
    }

    /// Gives memory back that was freed since it was last done, when nothing else waits.
    pub(super) fn give_memory_back(&self) {
        if self.ticks % TICKS_PER_GIVING_BACK == FIRST_GIVING_BACK {
            give_back_free_memory();
        }
    }

    /// What the programs and maps cost, at the end of each sample.
    fn sample(&mut self, agents: &[Arc<AgentReading>]) -> Option<ProbeCost> {
        if self.statistics.take().is_some() {
            let threads = agents.iter().map(|row| row.thread_count()).sum();
            return Some(ProbeCost {
                programs: self.observer.program_costs(),
                maps: self.observer.map_costs(threads),
            });
        }
        if self.ticks % TICKS_PER_SAMPLE == 1 {
            match RunTimeStatistics::enable() {
                Ok(statistics) => self.statistics = Some(statistics),
                Err(error) if !self.refusal_said => {
                    self.refusal_said = true;
                    tracing::info!(%error, "what the programs cost is not measured");
                }
                Err(_) => {}
            }
        }
        None
    }
}

fn told(reading: Arc<Reading>) -> Told {
    Told {
        wall_ms: wall_ms_at(reading.at_ns),
        reading,
    }
}

fn options(config: &Config) -> Options {
    let signals = &config.raw.signals;
    Options {
        cpu_view: CpuView::Off,
        pairs: signals.causes,
        wakes: signals.wakes,
        placement: signals.placement && has_several_nodes(),
        long_wait_ns: config.long_wait_ns,
        rules: config.rules.clone(),
        fault_latency: signals.fault_latency,
        sockets: signals.sockets,
        pressure: signals.pressure,
        peers: config.peers.clone(),
        ..Options::default()
    }
}
