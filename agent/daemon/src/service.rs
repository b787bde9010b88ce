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
mod privileges;
mod questions;
mod supervisor;
mod tick;

use std::{io, path::PathBuf};

use hostler_observe::ObserveError;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::mpsc::{Receiver, channel};

use self::{
    events::{Event, Events},
    front::Front,
    measuring::Measuring,
    privileges::Privileges,
    questions::Question,
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
    /// The control socket can't be listened at.
    #[error("commands can't be answered at {}: {source}", .socket.display())]
    Control {
        /// The socket.
        socket: PathBuf,
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
            Self::Control { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("another Hostler runs: `hostler status` tells of it.")
            }
            Self::Control { .. } => Some("set control.socket to another path, or to none."),
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
    let privileges = Privileges::begin();
    // First what can fail at once: a port that is taken must not cost the loading of programs.
    let (asked, questions) = channel(questions::ROOM);
    let front = Front::start(&start.config, asked)?;
    privileges.give_up_acting();
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
        privileges,
        failures: 0,
    };
    let ended = runtime.block_on(service.run(questions));
    supervisor::stopping();
    service.front.end();
    ended
}

struct Service<L> {
    start: Start<L>,
    front: Front,
    privileges: Privileges,
    /// Readings that failed since the last one that did not.
    failures: u32,
}

impl<L: Fn(&RawLog)> Service<L> {
    async fn run(&mut self, questions: Receiver<Question>) -> Result<(), ServiceError> {
        let signals = |source| ServiceError::System {
            what: "waiting for signals",
            source,
        };
        let mut events = Events::new(self.start.config.tick, questions).map_err(signals)?;
        let mut measuring = self.begin(&mut events)?;
        supervisor::ready(measuring.agents());
        tracing::info!(agents = measuring.agents(), "measuring");
        loop {
            match events.next().await {
                Event::Tick { is_late } => self.tick(&mut measuring, is_late)?,
                Event::Alarm => self.tick(&mut measuring, false)?,
                Event::Reload => {
                    (measuring, _) = self.reload(measuring, &mut events)?;
                }
                Event::Asked(Question::Reload(answer)) => {
                    let differences;
                    (measuring, differences) = self.reload(measuring, &mut events)?;
                    let _is_gone = answer.send(differences);
                }
                Event::Asked(Question::OfHost(question)) => measuring.answer(question),
                Event::Restore => {
                    tracing::warn!(
                        "taking back all that was changed; the next reload lets changes begin again"
                    );
                    self.front.restore();
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
        self.front
            .begin(measuring.beginning(self.start.config.tick));
        self.privileges.for_measuring();
        Ok(measuring)
    }

    /// A reading that fails is one that is missing; what happened meanwhile is in the next.
    fn tick(&mut self, measuring: &mut Measuring, is_late: bool) -> Result<(), ServiceError> {
        match measuring.tick(is_late) {
            Ok(tick) => {
                self.failures = 0;
                self.front.hand_over(tick)?;
                supervisor::alive();
                measuring.give_memory_back();
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

    /// Takes the file's settings, or leaves all as it is. Tells what differs, or why it is refused.
    fn reload(
        &mut self,
        measuring: Measuring,
        events: &mut Events,
    ) -> Result<(Measuring, Result<Vec<String>, String>), ServiceError> {
        supervisor::reloading();
        self.privileges.for_loading();
        let (measuring, differences) = self.take_settings(measuring, events)?;
        self.privileges.for_measuring();
        supervisor::ready(measuring.agents());
        match &differences {
            // Files that it names may hold something else by now: tokens, certificates.
            Ok(lines) if lines.is_empty() => {
                tracing::info!("the configuration was read again and says the same");
            }
            Ok(lines) => {
                for line in lines {
                    tracing::info!("configuration: {line}");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the configuration is refused, and all stays as it was");
            }
        }
        Ok((measuring, differences))
    }

    fn take_settings(
        &mut self,
        measuring: Measuring,
        events: &mut Events,
    ) -> Result<(Measuring, Result<Vec<String>, String>), ServiceError> {
        let before = self.start.config.clone();
        let applied = Config::read(self.start.path.as_deref())
            .map_err(|error| error.to_string())
            .and_then(|config| {
                let lines = difference(&before.raw, &config.raw);
                let applied = self.apply(config, events);
                applied.map(|()| lines).map_err(|error| error.to_string())
            });
        let lines = match applied {
            Ok(lines) if !self.start.config.measures_like(&before) => lines,
            applied => return Ok((measuring, applied)),
        };
        // Only one can hold the host's cgroup root, and the memory of two would be twice as much.
        drop(measuring);
        tracing::info!("loading the programs anew; counters begin at zero");
        match self.begin(events) {
            Ok(measuring) => Ok((measuring, Ok(lines))),
            Err(error) => {
                self.apply(before, events)?;
                Ok((self.begin(events)?, Err(error.to_string())))
            }
        }
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
