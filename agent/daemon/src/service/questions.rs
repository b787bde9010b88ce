//! What the side that serves asks the loop. There is room for a few questions at a time, and the loop
//! answers between two ticks, so that whoever asks often holds up nobody but themselves.

use hostler_observe::AgentPlace;
use tokio::sync::oneshot;

/// Questions that can wait.
pub(super) const ROOM: usize = 4;

/// A question, and where its answer goes; an answer is in words where it can't be had.
pub(super) enum Question {
    /// Who is there.
    Agents(oneshot::Sender<Result<Vec<AgentPlace>, String>>),
    /// To read the configuration again; the answer is what differs.
    Reload(oneshot::Sender<Result<Vec<String>, String>>),
}
