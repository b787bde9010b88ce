//! The daemon: reads the host at each tick, for as long as it runs, and hands what it read over to the
//! side that serves it.
//!
//! Two sides, so that whoever is served can't hold up whoever reads. The loop is one thread over one
//! closed [`Event`]; all it does is to read, to take the window, and to hand both over through a channel
//! that it never waits for. The [`Front`] has threads of its own, and whatever is slow: totals, metrics,
//! clients.

mod events;
mod front;
mod measuring;
mod own_cost;
mod supervisor;
mod tick;

use std::{io, path::PathBuf};

use hostler_observe::ObserveError;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use self::{
    events::{Event, Events},
    front::Front,
    measuring::Measuring,
};
use crate::config::{Config, ConfigError, RawLog, difference};

/// Readings that may fail one after the other: then something is wrong for good.
const MOST_FAILURES: u32 = 5;

/// Why the daemon could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The host can't be observed.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The configuration is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address for metrics can't be listened at.
    #[error("metrics can't be served at {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The system does not give what the loop runs on.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The side that serves has ended by itself.
    #[error("the threads that serve metrics have ended; what was said before is why")]
    FrontEnded,
}

impl ServiceError {
    /// What to do about it, in a sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { .. } => {
                Some("another Hostler may run already; else set metrics.listen to another address.")
            }
            Self::Observe(error) => Some(error.hint()),
            Self::Config(_) | Self::System { .. } | Self::FrontEnded => None,
        }
    }
}

/// What the daemon is started with.
pub struct Start<L> {
    /// The file that is read again when it is asked to; the default one if not said.
    pub path: Option<PathBuf>,
    /// What was in it.
    pub config: Config,
    /// Makes the log say as much as a configuration wants.
    pub set_log: L,
}

/// Runs until SIGTERM or Ctrl-C.
pub fn run(start: Start<impl Fn(&RawLog)>) -> Result<(), ServiceError> {
    raise_descriptor_limit();
    // First what can fail at once: a port that is taken must not cost the loading of programs.
    let front = Front::start(&start.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ServiceError::System {
            what: "starting the event loop",
            source,
        })?;
    let mut service = Service {
        start,
        front,
        failures: 0,
    };
    let ended = runtime.block_on(service.run());
    supervisor::stopping();
    service.front.end();
    ended
}

struct Service<L> {
    start: Start<L>,
    front: Front,
    /// Readings that failed since the last one that did not.
    failures: u32,
}

impl<L: Fn(&RawLog)> Service<L> {
    async fn run(&mut self) -> Result<(), ServiceError> {
        let signals = |source| ServiceError::System {
            what: "waiting for signals",
            source,
        };
        let mut events = Events::new(self.start.config.tick).map_err(signals)?;
        let mut measuring = self.begin(&mut events)?;
        supervisor::ready(measuring.agents());
        tracing::info!(agents = measuring.agents(), "measuring");
        loop {
            match events.next().await {
                Event::Tick { is_late } => self.tick(&mut measuring, is_late)?,
                Event::Alarm => self.tick(&mut measuring, false)?,
                Event::Reload => {
                    supervisor::reloading();
                    measuring = self.reload(measuring, &mut events)?;
                    supervisor::ready(measuring.agents());
                }
                Event::Stop => {
                    tracing::info!("stopping");
                    return self.tick(&mut measuring, false);
                }
            }
        }
    }

    fn begin(&mut self, events: &mut Events) -> Result<Measuring, ServiceError> {
        let mut measuring = Measuring::start(&self.start.config)?;
        let alarms = measuring.alarms();
        events
            .listen(alarms)
            .map_err(|source| ServiceError::System {
                what: "listening to pressure alarms",
                source,
            })?;
        self.front.begin(measuring.facts());
        Ok(measuring)
    }

    /// A reading that fails is one that is missing; what happened meanwhile is in the next.
    fn tick(&mut self, measuring: &mut Measuring, is_late: bool) -> Result<(), ServiceError> {
        match measuring.tick(is_late) {
            Ok(tick) => {
                self.failures = 0;
                self.front.hand_over(tick)?;
                supervisor::alive();
                Ok(())
            }
            Err(error) if self.failures < MOST_FAILURES => {
                self.failures += 1;
                tracing::error!(%error, failures = self.failures, "the host could not be read");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the file's settings, or leaves all as it is.
    fn reload(
        &mut self,
        measuring: Measuring,
        events: &mut Events,
    ) -> Result<Measuring, ServiceError> {
        let refused = |error: &dyn std::error::Error| {
            tracing::error!(%error, "the configuration is refused, and all stays as it was");
        };
        let config = match Config::read(self.start.path.as_deref()) {
            Ok(config) => config,
            Err(error) => {
                refused(&error);
                return Ok(measuring);
            }
        };
        let lines = difference(&self.start.config.raw, &config.raw);
        if lines.is_empty() {
            // Files that it names may hold something else by now: tokens, certificates.
            tracing::info!("the configuration was read again and says the same");
        }
        let before = self.start.config.clone();
        if let Err(error) = self.apply(config, events) {
            refused(&error);
            return Ok(measuring);
        }
        for line in lines {
            tracing::info!("configuration: {line}");
        }
        if self.start.config.measures_like(&before) {
            return Ok(measuring);
        }
        // Only one can hold the host's cgroup root, and the memory of two would be twice as much.
        drop(measuring);
        tracing::info!("loading the programs anew; counters begin at zero");
        self.begin(events).or_else(|error| {
            refused(&error);
            self.apply(before, events)?;
            self.begin(events)
        })
    }

    fn apply(&mut self, config: Config, events: &mut Events) -> Result<(), ServiceError> {
        self.front.configure(&config)?;
        events.set_tick(config.tick);
        (self.start.set_log)(&config.raw.log);
        self.start.config = config;
        Ok(())
    }
}

/// Each connection takes a descriptor, and so do programs, maps and alarms: the usual limit of 1,024 is
/// little.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}
