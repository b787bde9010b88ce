//! What those who serve and those who act ask the loop. There is room for a few questions at a time, and the loop
//! answers between two ticks, so that whoever asks often holds up nobody but themselves.

use std::sync::Arc;

use hostler_decide::signal::Agent;
use hostler_observe::{AgentPlace, AgentProcesses};
use tokio::sync::oneshot;

/// Questions that can wait.
pub(super) const ROOM: usize = 4;

/// A question, and where its answer goes; an answer is in words where it can't be had.
pub(super) enum Question {
    /// To read the configuration again; the answer is what differs.
    Reload(oneshot::Sender<Result<Vec<String>, String>>),
    /// One that whoever measures can answer.
    OfHost(HostQuestion),
}

/// Who is there, and what of it is to be looked at.
pub(super) enum HostQuestion {
    /// Who is there.
    Agents(oneshot::Sender<Result<Vec<AgentPlace>, String>>),
    /// Which agents are no cgroups, and which processes they are.
    Processes(oneshot::Sender<Result<AgentProcesses, String>>),
    /// To look again where the memory of an agent lies, which has been moved. These are its processes; there
    /// is no answer.
    LookAgain(Arc<Agent>, Vec<u32>),
}
