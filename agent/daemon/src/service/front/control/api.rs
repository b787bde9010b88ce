//! What is answered.

use std::{io, sync::Arc, time::Duration};

use hostler_act::Restored;
use tokio::sync::{Mutex, mpsc::Receiver, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::Server};

use super::{
    Sources,
    connections::{Connection, Guest, PING_INTERVAL},
    rights::Right,
    watchers::Watching,
};
use crate::{
    control::schema::{
        AgentPlace, ListAgentsRequest, ListAgentsResponse, PauseRequest, PauseResponse,
        ReloadRequest, ReloadResponse, ResumeRequest, ResumeResponse, StatusRequest,
        StatusResponse, UndoRequest, UndoResponse, UndoneStep, WatchRequest,
        control_server::{Control, ControlServer},
    },
    recording::{MAX_READING_BYTES, messages},
    service::questions::{HostQuestion, Question},
};

/// Longest question, in bytes: numbers of steps at the most.
const MAX_QUESTION_BYTES: usize = 16 << 10;

/// Longest head of a question, in bytes.
const MAX_HEAD_BYTES: u32 = 16 << 10;

/// Questions at a time on one connection.
const MAX_STREAMS: u32 = 8;

/// Streams that somebody began and gave up, and that were not looked at yet.
const MAX_RESET_STREAMS: usize = 16;

/// Until whoever was asked whether they live must have answered.
const PING_TIME: Duration = Duration::from_secs(5);

/// An answer takes no longer to make, also where programs are loaded anew.
const ANSWER_TIME: Duration = Duration::from_mins(1);

/// Answers on all connections until `stop`.
pub(super) async fn serve(
    connections: Receiver<io::Result<Connection>>,
    sources: Sources,
    stop: CancellationToken,
) {
    let api = Api {
        sources,
        agents: Mutex::default(),
    };
    let api = ControlServer::new(api)
        .max_decoding_message_size(MAX_QUESTION_BYTES)
        .max_encoding_message_size(MAX_READING_BYTES);
    let served = Server::builder()
        .timeout(ANSWER_TIME)
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_header_list_size(MAX_HEAD_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_RESET_STREAMS))
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIME))
        .add_service(api)
        .serve_with_incoming_shutdown(ReceiverStream::new(connections), stop.cancelled());
    if let Err(error) = served.await {
        tracing::error!(%error, "commands are not answered any more");
    }
}

/// Who is there, and at which tick that was.
type AgentsAtTick = Option<(u64, ListAgentsResponse)>;

struct Api {
    sources: Sources,
    /// All who ask between two ticks share it.
    agents: Mutex<AgentsAtTick>,
}

/// Refuses whoever has not at least this right.
fn check<T>(request: &Request<T>, least: Right) -> Result<Guest, Status> {
    let guest = request.extensions().get::<Guest>();
    let guest = guest.ok_or_else(|| Status::internal("nothing is known of who asks"))?;
    if guest.right >= least {
        return Ok(guest.clone());
    }
    Err(Status::permission_denied(match least {
        Right::Change => "only root and the configured group may do this",
        _ => "only root and the configured group may ask",
    }))
}

impl Api {
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<Result<T, String>>) -> Question,
    ) -> Result<Result<T, String>, Status> {
        let ends = |_| Status::unavailable("the daemon ends");
        let (answer, answered) = oneshot::channel();
        let asked = self.sources.questions.send(question(answer)).await;
        asked.map_err(|_| Status::unavailable("the daemon ends"))?;
        answered.await.map_err(ends)
    }
}

#[tonic::async_trait]
impl Control for Api {
    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        check(&request, Right::Read)?;
        let mut status = self.sources.state.status();
        let watchers = self.sources.state.watchers();
        status.watchers = u32::try_from(watchers.count()).unwrap_or(u32::MAX);
        if let Some((facts, agents)) = watchers.facts() {
            status.host = facts.host;
            status.kernel = facts.kernel;
            status.agents = agents as u64;
        }
        Ok(Response::new(status))
    }

    async fn list_agents(
        &self,
        request: Request<ListAgentsRequest>,
    ) -> Result<Response<ListAgentsResponse>, Status> {
        check(&request, Right::Read)?;
        let tick = self.sources.state.ticks();
        let mut agents = self.agents.lock().await;
        if let Some((at, answer)) = &*agents
            && *at == tick
        {
            return Ok(Response::new(answer.clone()));
        }
        let question = |answer| Question::OfHost(HostQuestion::Agents(answer));
        let places = self.ask(question).await?;
        let places = places.map_err(Status::internal)?;
        let place = |place: &hostler_observe::AgentPlace| AgentPlace {
            agent: Some(messages::described(&place.agent)),
            threads: place.threads,
            processes: place.processes,
        };
        let answer = ListAgentsResponse {
            agents: places.iter().map(place).collect(),
        };
        *agents = Some((tick, answer.clone()));
        Ok(Response::new(answer))
    }

    type WatchStream = Watching;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Watching>, Status> {
        let guest = check(&request, Right::Read)?;
        let watchers = Arc::clone(self.sources.state.watchers());
        Ok(Response::new(watchers.watch(guest.cut)?))
    }

    async fn reload(
        &self,
        request: Request<ReloadRequest>,
    ) -> Result<Response<ReloadResponse>, Status> {
        check(&request, Right::Change)?;
        let differences = self.ask(Question::Reload).await?;
        let differences = differences.map_err(Status::failed_precondition)?;
        Ok(Response::new(ReloadResponse { differences }))
    }

    async fn pause(
        &self,
        request: Request<PauseRequest>,
    ) -> Result<Response<PauseResponse>, Status> {
        check(&request, Right::Change)?;
        let plans = self.sources.state.plans();
        plans.pause(true).ok_or_else(changes_nothing)?;
        tracing::info!("no more is changed on this host until it is resumed");
        let changes = plans.changes();
        Ok(Response::new(PauseResponse { changes }))
    }

    async fn resume(
        &self,
        request: Request<ResumeRequest>,
    ) -> Result<Response<ResumeResponse>, Status> {
        check(&request, Right::Change)?;
        let plans = self.sources.state.plans();
        plans.pause(false).ok_or_else(changes_nothing)?;
        tracing::info!("the host is changed again as plans want it");
        let changes = plans.changes();
        Ok(Response::new(ResumeResponse { changes }))
    }

    async fn undo(&self, request: Request<UndoRequest>) -> Result<Response<UndoResponse>, Status> {
        check(&request, Right::Change)?;
        let UndoRequest { steps } = request.into_inner();
        let steps = (!steps.is_empty()).then_some(steps);
        let answered = self.sources.state.plans().undo(steps);
        let undone = answered.ok_or_else(changes_nothing)?.await;
        let undone = undone.map_err(|_| Status::unavailable("the daemon ends"))?;
        let steps = undone
            .into_iter()
            .map(|(step, undone)| undone_step(step, undone));
        Ok(Response::new(UndoResponse {
            steps: steps.collect(),
        }))
    }
}

fn changes_nothing() -> Status {
    Status::failed_precondition("it changes nothing: `plan.mode` is not `act`")
}

fn undone_step(step: u64, undone: Result<Restored, String>) -> UndoneStep {
    let (restored, error) = match undone {
        Ok(restored) => (restored, None),
        Err(error) => (Restored::default(), Some(error)),
    };
    UndoneStep {
        step,
        error,
        restored: restored.restored,
        born: restored.born,
        as_was: restored.as_was,
        gone: restored.gone,
        foreign: restored.foreign,
    }
}
