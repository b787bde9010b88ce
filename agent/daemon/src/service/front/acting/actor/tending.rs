//! What is done without being told: whether others have set what was set here, who has come to agents since,
//! which have gone, and what is still owed.

use std::sync::Arc;

use hostler_act::{ActError, Tended};
use hostler_decide::signal::AgentSource;

use super::{
    super::{Report, asking::Processes},
    Actor, PARTS, Placed, Relaxed, now_ms,
};

impl Actor {
    /// Looks whether somebody else has set what a part of the steps had set.
    pub(super) fn look(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        self.looks += 1;
        let turn = self.looks % PARTS;
        let looked = open.executor.look(|step| step % PARTS == turn, now_ms());
        if let Some(error) = looked.failed {
            tracing::warn!(%error, "whether somebody else has changed what was set can't be told");
        }
        for yielded in looked.yielded {
            self.counts.yielded.fetch_add(1, Relaxed);
            tracing::warn!(
                step = yielded.step,
                agent = yielded.agent,
                knob = ?yielded.knob,
                found = ?yielded.found,
                "somebody else has set this: the agent is left to them"
            );
            if let Some(placed) = self.placed.get(&*yielded.agent) {
                let agent = &placed.step.agent;
                self.report(Report::LeaveAlone(agent.id, Arc::clone(&agent.name)));
            }
        }
    }

    /// Looks after agents: who has come to them is set as well, and the books on those that have gone are
    /// closed.
    pub(super) fn tend(&mut self) {
        self.pay_owed();
        self.close_if_idle();
        let Some(open) = &mut self.open else {
            return;
        };
        let is_cgroup = |placed: &Placed| placed.step.agent.source == AgentSource::Cgroup;
        let processes = if self.placed.values().all(is_cgroup) {
            Ok(Processes::default())
        } else {
            self.asking.processes()
        };
        self.placed.retain(|name, placed| {
            let members = match &processes {
                _ if is_cgroup(placed) => None,
                Ok(processes) => Some(processes.of(&placed.step.agent)),
                Err(error) => {
                    tracing::warn!(agent = &**name, error, "which processes it is can't be told");
                    return true;
                }
            };
            match open.executor.tend(placed.number, members, now_ms()) {
                Ok(Tended::Followed(threads)) => {
                    if threads > 0 {
                        tracing::info!(
                            step = placed.number,
                            agent = &**name,
                            threads,
                            "placed as well: they have come since"
                        );
                    }
                    true
                }
                Ok(Tended::Departed) | Err(ActError::TakenBack { .. }) => false,
                Err(error) => {
                    tracing::warn!(step = placed.number, agent = &**name, %error, "not looked after");
                    true
                }
            }
        });
    }
}
