//! What the thread that acts asks whoever measures: only they know which processes an agent is that is no
//! cgroup. It may wait for them; they never wait for it.

use std::sync::Arc;

use hostler_act::{Members, Thread};
use hostler_decide::signal::Agent;
use hostler_observe::{AgentProcess, AgentProcesses};
use tokio::sync::{mpsc::Sender, oneshot};

use crate::service::questions::{HostQuestion, Question};

/// Asks the loop.
pub(super) struct Asking(Sender<Question>);

impl Asking {
    pub(super) fn new(questions: Sender<Question>) -> Self {
        Self(questions)
    }

    /// The agents that are no cgroups, or in words why they can't be told.
    pub(super) fn processes(&self) -> Result<Processes, String> {
        let ends = || "the daemon ends".to_owned();
        let (answer, answered) = oneshot::channel();
        let question = Question::OfHost(HostQuestion::Processes(answer));
        self.0.blocking_send(question).map_err(|_| ends())?;
        answered.blocking_recv().map_err(|_| ends())?.map(Processes)
    }

    /// Has the memory of an agent looked at before that of all others.
    pub(super) fn look_again(&self, agent: Arc<Agent>, processes: Vec<u32>) {
        let question = Question::OfHost(HostQuestion::LookAgain(agent, processes));
        // A loop that has too much to do, or that ends, does it in its turn, or not at all.
        let _is_asked = self.0.try_send(question);
    }
}

/// Which processes agents are that are no cgroups.
#[derive(Default)]
pub(super) struct Processes(AgentProcesses);

impl Processes {
    /// The processes of an agent. It is known by its name: where measuring has begun anew, it has another
    /// slot.
    pub(super) fn of(&self, agent: &Agent) -> Members {
        let is_it = |other: &Agent| {
            (&other.name, other.source, &other.place) == (&agent.name, agent.source, &agent.place)
        };
        let found = self.0.iter().find(|(other, _)| is_it(other));
        let processes = found.into_iter().flat_map(|(_, processes)| processes);
        Members::Processes(processes.map(first_thread).collect())
    }
}

fn first_thread(process: &AgentProcess) -> Thread {
    Thread {
        pid: process.pid,
        tid: process.pid,
        started: process.started_ticks,
    }
}
