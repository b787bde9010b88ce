//! The control API's side in the daemon: a Unix socket, and what is answered there.
//!
//! Who asks is known by the socket's credentials. Places are limited and parted, so that users who may
//! only read can't keep out those who may do more; whoever does not read, or does not keep up, is cut
//! off.

mod api;
mod connections;
mod rights;
mod socket;
#[cfg(test)]
mod tests;
mod watchers;

use std::{path::PathBuf, sync::Arc};

use tokio::{runtime::Handle, sync::mpsc::Sender};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(super) use self::connections::LOOKUP_THREADS;
pub(in crate::service) use self::watchers::Watchers;
use self::{rights::Rights, socket::Socket};
use super::{super::questions::Question, state::State};
use crate::{config::ControlConfig, service::ServiceError};

/// The control API, where it is listened at.
pub(super) struct Control {
    config: ControlConfig,
    socket: Socket,
    rights: Arc<Rights>,
    stop: CancellationToken,
}

/// What is answered from.
pub(super) struct Sources {
    pub(super) state: Arc<State>,
    /// To the loop.
    pub(super) questions: Sender<Question>,
}

impl Control {
    /// Begins to answer.
    pub(super) fn start(
        config: &ControlConfig,
        sources: Sources,
        stop: CancellationToken,
        (runtime, tasks): (&Handle, &TaskTracker),
    ) -> Result<Self, ServiceError> {
        let failed = |source| ServiceError::Control {
            socket: config.socket.clone(),
            source,
        };
        let (socket, listener) = Socket::bind(config).map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::UnixListener::from_std(listener).map_err(failed)?
        };
        let rights = Arc::new(Rights::new(config));
        let refused = Arc::clone(&sources.state.refusals().control);
        let connections = connections::accept(
            listener,
            Arc::clone(&rights),
            refused,
            stop.clone(),
            tasks,
            runtime,
        );
        let served = api::serve(connections, sources, stop.clone());
        tasks.spawn_on(served, runtime);
        tracing::info!(socket = %config.socket.display(), "commands are answered");
        Ok(Self {
            config: config.clone(),
            socket,
            rights,
            stop,
        })
    }

    /// Where it is listened at.
    pub(super) fn socket(&self) -> &PathBuf {
        &self.config.socket
    }

    /// Lets those ask whom this configuration lets, at the same socket.
    pub(super) fn configure(&mut self, config: &ControlConfig) {
        if self.config == *config {
            return;
        }
        // First who may do less, or more, and then who gets as far as to be asked.
        self.rights.set(config);
        if let Err(error) = self.socket.allow(config) {
            let socket = self.config.socket.display();
            tracing::warn!(%socket, %error, "who may connect stays as it was");
        }
        self.config = config.clone();
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
