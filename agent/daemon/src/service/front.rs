//! The side that serves: takes what the loop hands over, adds it up, and answers whoever asks. It has
//! threads of its own, so that none of that holds up a tick.

mod acting;
mod alerts;
mod control;
mod history;
mod http;
mod planning;
mod refusals;
mod state;
#[cfg(test)]
mod tests;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use hostler_decide::samples::Sampler;
use tokio::{
    runtime::{Builder, Runtime},
    sync::mpsc::{Receiver, Sender, channel, error::TrySendError},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    acting::ActThread,
    alerts::AlertThread,
    control::Control,
    history::{HistoryThread, ToHistory},
    state::State,
};
pub(super) use self::{
    alerts::AlertDesk, history::HistoryCounts, planning::PlanDesk, refusals::Refusals,
};
use super::{
    ServiceError,
    questions::Question,
    tick::{Beginning, Handed, Tick},
};
use crate::config::{Config, ControlConfig};

/// Threads that serve: one can add up while the other answers.
const THREADS: usize = 2;

/// Threads that write metrics: they share what they have written.
const WRITING_THREADS: usize = 2;

/// Ticks that can lie between the loop and this side.
const ROOM: usize = 8;

/// Ticks that may find no room, one after the other: then this side hangs.
const MOST_WAITING: usize = 300;

/// How long whoever is served may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long taking back what was changed may take: less than a service manager waits.
const RESTORING_GRACE: Duration = Duration::from_secs(15);

/// The side that serves.
pub(super) struct Front {
    runtime: Runtime,
    handed: Sender<Handed>,
    /// A beginning that found no room yet, which goes before any tick.
    beginning: Option<Handed>,
    /// Ticks that found no room yet.
    waiting: Option<Tick>,
    state: Arc<State>,
    /// Ends all that is served.
    stop: CancellationToken,
    tasks: TaskTracker,
    listening: Option<Listening>,
    /// To the loop.
    questions: Sender<Question>,
    control: Option<Control>,
    /// Adds up what is handed over.
    taking: JoinHandle<()>,
    history: HistoryThread,
    alerts: AlertThread,
    acting: ActThread,
}

/// An address that is listened at.
struct Listening {
    /// As it was written.
    address: SocketAddr,
    /// With the port that the system chose, if it was to choose one.
    at: SocketAddr,
    stop: CancellationToken,
}

impl Front {
    /// Begins to serve; there is nothing yet to be had.
    pub(super) fn start(
        config: &Config,
        questions: Sender<Question>,
    ) -> Result<Self, ServiceError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(WRITING_THREADS + control::LOOKUP_THREADS)
            .thread_name("hostler-front")
            // Whoever connects talks to somebody who may do nothing.
            .on_thread_start(hostler_observe::give_up_all)
            .enable_all()
            .build();
        let runtime = runtime.map_err(|source| ServiceError::System {
            what: "starting the threads that serve",
            source,
        })?;
        let (handed, from_loop) = channel(ROOM);
        let (desk, alerts) = AlertDesk::start()?;
        let (acting, planning) = ActThread::start(questions.clone())?;
        let state = Arc::new(State::new(config, desk, PlanDesk::acting(planning)));
        let history = HistoryThread::start(Arc::clone(state.history()))?;
        let to_history = history.sender(Arc::clone(state.history()));
        let taking = runtime.spawn(take(from_loop, Arc::clone(&state), to_history));
        let mut front = Self {
            runtime,
            handed,
            beginning: None,
            waiting: None,
            state,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            listening: None,
            questions,
            control: None,
            taking,
            history,
            alerts,
            acting,
        };
        front.configure(config)?;
        Ok(front)
    }

    /// Serves as this configuration wants it; where that can't be, it stays as it was.
    pub(super) fn configure(&mut self, config: &Config) -> Result<(), ServiceError> {
        if let Some(metrics) = &config.metrics
            && !metrics.listen.ip().is_loopback()
            && !metrics.access.is_restricted()
        {
            let address = metrics.listen;
            tracing::warn!(%address, "whoever reaches this address can read the names of all agents");
        }
        // What can be refused comes first, so that nothing has changed where something is.
        let control = self.wanted_control(config.control.as_ref())?;
        let wanted = config.metrics.as_ref().map(|metrics| metrics.listen);
        let now = self.listening.as_ref().map(|listening| listening.address);
        if wanted != now {
            let listening = wanted.map(|address| self.listen(address)).transpose()?;
            let at = listening.as_ref().map(|listening| listening.at);
            self.state.serve_metrics_at(at);
            if let Some(before) = std::mem::replace(&mut self.listening, listening) {
                before.stop.cancel();
            }
        }
        match (control, &config.control, &mut self.control) {
            (None, Some(wanted), Some(control)) => control.configure(wanted),
            (control, _, _) => self.control = control,
        }
        self.history.configure(config.history.as_ref());
        self.state.configure(config);
        Ok(())
    }

    /// The control API at another socket than now; `None` if it is the same, or if there is to be none.
    fn wanted_control(
        &self,
        wanted: Option<&ControlConfig>,
    ) -> Result<Option<Control>, ServiceError> {
        let Some(wanted) = wanted else {
            return Ok(None);
        };
        let now = self.control.as_ref().map(Control::socket);
        if now == Some(&wanted.socket) {
            return Ok(None);
        }
        let sources = control::Sources {
            state: Arc::clone(&self.state),
            questions: self.questions.clone(),
        };
        let place = (self.runtime.handle(), &self.tasks);
        Control::start(wanted, sources, self.stop.child_token(), place).map(Some)
    }

    fn listen(&self, address: SocketAddr) -> Result<Listening, ServiceError> {
        let refused = |source| ServiceError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        // A port of 0 is one that the system chooses.
        let at = listener.local_addr().map_err(refused)?;
        let listener = {
            let _inside = self.runtime.enter();
            tokio::net::TcpListener::from_std(listener).map_err(refused)?
        };
        let stop = self.stop.child_token();
        let served = http::serve(
            listener,
            Arc::clone(&self.state),
            Arc::clone(&self.state.refusals().http),
            stop.clone(),
            self.tasks.clone(),
        );
        self.tasks.spawn_on(served, self.runtime.handle());
        tracing::info!(address = %at, "metrics are served");
        Ok(Listening { address, at, stop })
    }

    /// Measuring begins, also anew.
    pub(super) fn begin(&mut self, beginning: Beginning) {
        // What was measured before is of no use any more.
        self.waiting = None;
        self.beginning = Some(Handed::Beginning(Box::new(beginning)));
        self.hand_beginning_over();
    }

    /// Hands a tick over. What finds no room waits for the next one and goes with it.
    pub(super) fn hand_over(&mut self, tick: Tick) -> Result<(), ServiceError> {
        self.hand_beginning_over();
        let tick = match self.waiting.take() {
            None => tick,
            Some(mut waiting) => {
                waiting.append(tick);
                waiting
            }
        };
        let refused = if self.beginning.is_some() {
            TrySendError::Full(Handed::Tick(Box::new(tick)))
        } else {
            match self.handed.try_send(Handed::Tick(Box::new(tick))) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            }
        };
        match refused {
            TrySendError::Full(Handed::Tick(tick)) if tick.paces.len() < MOST_WAITING => {
                let ticks = tick.paces.len();
                tracing::warn!(ticks, "what was read has to wait to be added up");
                self.waiting = Some(*tick);
                Ok(())
            }
            _ => Err(ServiceError::FrontEnded),
        }
    }

    fn hand_beginning_over(&mut self) {
        let Some(beginning) = self.beginning.take() else {
            return;
        };
        if let Err(TrySendError::Full(beginning)) = self.handed.try_send(beginning) {
            self.beginning = Some(beginning);
        }
    }

    /// Takes back all that was changed on the host; nothing is changed until it is configured again.
    pub(super) fn restore(&self) {
        self.state.plans().restore();
    }

    /// Ends all that is served, and waits for it for a while.
    pub(super) fn end(mut self) {
        self.control = None;
        {
            let _inside = self.runtime.enter();
            self.state.watchers().end();
        }
        self.stop.cancel();
        self.tasks.close();
        let Self {
            runtime,
            tasks,
            handed,
            taking,
            history,
            alerts,
            acting,
            state,
            ..
        } = self;
        // What was handed over is still taken.
        drop(handed);
        let ended = runtime.block_on(async {
            let taken = async { drop(taking.await) };
            tokio::time::timeout(GRACE, async { tokio::join!(tasks.wait(), taken) }).await
        });
        if ended.is_err() {
            tracing::warn!("some clients did not end in time and are cut off");
        }
        acting.end(RESTORING_GRACE);
        runtime.shutdown_timeout(GRACE);
        drop(state);
        history.end(GRACE);
        alerts.end(GRACE);
    }
}

/// Adds up what is handed over.
async fn take(mut from_loop: Receiver<Handed>, state: Arc<State>, history: ToHistory) {
    let mut sampler = Sampler::default();
    while let Some(handed) = from_loop.recv().await {
        match handed {
            Handed::Beginning(beginning) => {
                // Agents that are found anew have other slots.
                sampler = Sampler::default();
                state.begin(*beginning);
            }
            Handed::Tick(tick) => {
                state.add(&tick);
                if state.needs_samples() {
                    let all = Arc::new(sampler.sample(&tick.window));
                    state.alerts().judge(&all, tick.told.wall_ms);
                    history.hand_over(tick.told.wall_ms, &all);
                }
            }
        }
    }
}
