//! What the loop reads, and the windows that it takes of it.

use std::{os::fd::OwnedFd, sync::Arc, time::Instant};

use hostler_decide::{
    scene::{CpuView, HostFacts},
    signal::AgentReading,
    window::WindowSum,
};
use hostler_observe::{ObserveError, Observer, Options, RunTimeStatistics, has_several_nodes};

use super::tick::{Pace, ProbeCost, Tick};
use crate::config::Config;

/// Ticks between two samples of what the programs cost: the statistics cost something themselves, so
/// they are on for one tick of so many.
const TICKS_PER_SAMPLE: u64 = 60;

/// A host that is being measured.
pub(super) struct Measuring {
    observer: Observer,
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
        let windows = WindowSum::new(observer.beginning().clone());
        Ok(Self {
            observer,
            windows,
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

    /// What stays as it is.
    pub(super) fn facts(&self) -> HostFacts {
        self.observer.facts()
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
            paces: vec![pace],
            cost,
        })
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
