//! The side that asks.

use std::{
    io,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use hostler_act::Restored;
use hostler_decide::signal::Agent;
use hyper_util::rt::TokioIo;
use nix::{
    sys::socket::{getsockopt, sockopt::PeerCredentials},
    unistd::Uid,
};
use tokio::runtime::{Builder, Runtime};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use super::{
    ControlError, Status, Watched,
    error::did,
    schema::{
        ListAgentsRequest, PauseRequest, ReloadRequest, ResumeRequest, StatusRequest, UndoRequest,
        WatchRequest, control_client::ControlClient,
    },
};
use crate::recording::{MAX_READING_BYTES, messages};

/// An answer takes no longer, also where programs are loaded anew.
const PATIENCE: Duration = Duration::from_mins(1);

/// A daemon that says nothing for so long, twice, is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A running daemon.
pub struct Client {
    pub(super) socket: PathBuf,
    pub(super) runtime: Runtime,
    asked: ControlClient<Channel>,
}

/// A step that was to be taken back, by its number, and what came of it, or why it is still in force.
pub type UndoneStep = (u64, Result<Restored, String>);

/// An agent that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentPlaces {
    /// The agent.
    pub agent: std::sync::Arc<Agent>,
    /// Its threads.
    pub threads: u32,
    /// Its processes.
    pub processes: u32,
}

impl Client {
    /// Connects to the daemon at a socket; `None` where nobody listens, as at the empty path.
    pub fn connect(socket: &Path) -> Result<Option<Self>, ControlError> {
        if socket.as_os_str().is_empty() {
            return Ok(None);
        }
        let stream = match UnixStream::connect(socket) {
            Ok(stream) => stream,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(source) => {
                return Err(ControlError::Connect {
                    socket: socket.to_owned(),
                    source,
                });
            }
        };
        check_listener(socket, &stream)?;
        stream.set_nonblocking(true).map_err(ControlError::System)?;
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ControlError::System)?;
        let channel = {
            let _inside = runtime.enter();
            channel(stream)
        };
        Ok(Some(Self {
            socket: socket.to_owned(),
            runtime,
            asked: ControlClient::new(channel).max_decoding_message_size(MAX_READING_BYTES),
        }))
    }

    /// What the daemon is, and how it does.
    pub fn status(&self) -> Result<Status, ControlError> {
        let mut asked = self.asked.clone();
        self.answer(asked.status(StatusRequest {}))
    }

    /// Who is there.
    pub fn agents(&self) -> Result<Vec<AgentPlaces>, ControlError> {
        let mut asked = self.asked.clone();
        let answer = self.answer(asked.list_agents(ListAgentsRequest {}))?;
        let place = |place: super::schema::AgentPlace| {
            let agent = messages::agent(&place.agent.unwrap_or_default());
            agent.map(|agent| AgentPlaces {
                agent,
                threads: place.threads,
                processes: place.processes,
            })
        };
        let places: Result<Vec<_>, _> = answer.agents.into_iter().map(place).collect();
        places.map_err(|malformed| self.malformed(malformed.0))
    }

    /// Makes the daemon read its configuration again. Tells what is different now.
    pub fn reload(&self) -> Result<Vec<String>, ControlError> {
        let mut asked = self.asked.clone();
        let answer = self.answer(asked.reload(ReloadRequest {}))?;
        Ok(answer.differences)
    }

    /// Makes the daemon begin no more changes. Tells in words what is in force.
    pub fn pause(&self) -> Result<String, ControlError> {
        let mut asked = self.asked.clone();
        Ok(self.answer(asked.pause(PauseRequest {}))?.changes)
    }

    /// Lets the daemon begin changes again. Tells in words what is in force.
    pub fn resume(&self) -> Result<String, ControlError> {
        let mut asked = self.asked.clone();
        Ok(self.answer(asked.resume(ResumeRequest {}))?.changes)
    }

    /// Makes the daemon take steps back, or all if none are named. Tells of each what came of it, or why it
    /// is still in force.
    pub fn undo(&self, steps: Vec<u64>) -> Result<Vec<UndoneStep>, ControlError> {
        let mut asked = self.asked.clone();
        let answer = self.answer(asked.undo(UndoRequest { steps }))?;
        let undone = answer.steps.into_iter().map(|undone| {
            let restored = Restored {
                restored: undone.restored,
                born: undone.born,
                as_was: undone.as_was,
                gone: undone.gone,
                foreign: undone.foreign,
            };
            (undone.step, undone.error.map_or(Ok(restored), Err))
        });
        Ok(undone.collect())
    }

    /// Watches what it reads from now on.
    pub fn watch(self) -> Result<Watched, ControlError> {
        let mut asked = self.asked.clone();
        let told = self.answer(asked.watch(WatchRequest {}))?;
        Watched::begin(self, told)
    }

    fn answer<T>(
        &self,
        asking: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, ControlError> {
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(PATIENCE, asking).await });
        match answer {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.refused(&status)),
            Err(_) => Err(ControlError::Answer {
                socket: self.socket.clone(),
                what: "does not answer",
                message: format!("nothing came for {} s", PATIENCE.as_secs()),
            }),
        }
    }

    pub(super) fn refused(&self, status: &tonic::Status) -> ControlError {
        ControlError::Answer {
            socket: self.socket.clone(),
            what: did(status),
            message: status.message().to_owned(),
        }
    }

    pub(super) fn malformed(&self, message: String) -> ControlError {
        ControlError::Malformed {
            socket: self.socket.clone(),
            message,
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

/// Whoever listens could tell anything: it must be root, or whoever asks.
fn check_listener(socket: &Path, stream: &UnixStream) -> Result<(), ControlError> {
    let credentials =
        getsockopt(stream, PeerCredentials).map_err(|errno| ControlError::System(errno.into()))?;
    let uid = credentials.uid();
    if uid == 0 || uid == Uid::effective().as_raw() {
        return Ok(());
    }
    Err(ControlError::Foreign {
        socket: socket.to_owned(),
        uid,
    })
}

/// A channel over a stream that is there. When it breaks there is no other: whoever asks is told.
fn channel(stream: UnixStream) -> Channel {
    let stream = Mutex::new(Some(stream));
    let connect = service_fn(move |_| {
        let stream = stream.lock().ok().and_then(|mut stream| stream.take());
        async {
            let stream = stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
            tokio::net::UnixStream::from_std(stream).map(TokioIo::new)
        }
    });
    // The address is not used, and there must be one.
    Endpoint::from_static("http://hostler")
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .connect_with_connector_lazy(connect)
}
