//! Takes steps back. One that can't be taken back is owed: it is no longer looked after, and tried again.

use std::{collections::BTreeSet, sync::Arc};

use hostler_act::{ActError, Cause, Restored};
use hostler_decide::plan::{Policy, Undo};

use super::{
    super::{Report, Undone},
    Actor, Placed, Relaxed, members, now_ms,
};

impl Actor {
    /// Takes a step back, whoever's it is.
    pub(super) fn take_back(&mut self, step: u64, cause: &Cause) -> Result<Restored, ActError> {
        self.forget(step);
        let open = self.open.as_mut();
        let executor = &mut open.ok_or(ActError::NotInForce { step })?.executor;
        let undone = executor.undo(step, cause.clone(), now_ms());
        say(step, undone.as_ref());
        if let Err(ActError::NotInForce { .. }) | Ok(_) = undone {
            self.owed.remove(&step);
        } else {
            self.owed.insert(step, cause.clone());
        }
        undone
    }

    /// Nothing more is done to the agent of a step. Which step that was, if it was one of ours.
    fn forget(&mut self, step: u64) -> Option<Placed> {
        let mut placed = self.placed.iter();
        let (name, _) = placed.find(|(_, placed)| placed.number == step)?;
        let name = Arc::clone(name);
        self.bringing.leave(&name);
        self.placed.remove(&name)
    }

    /// A step has not helped: its agent's memory goes back as well.
    pub(super) fn revert(&mut self, step: u64, percent: u32) {
        let how = format!("turns take {percent} % longer than they would have");
        let placed = self.placed.values().find(|placed| placed.number == step);
        let begun = placed.map(|placed| Arc::clone(&placed.step));
        let (Some(begun), Ok(_)) = (begun, self.take_back(step, &Cause::Worse { how })) else {
            return;
        };
        self.counts.reverted.fetch_add(1, Relaxed);
        let Some(open) = &self.open else { return };
        let members = members(&begun.agent, &open.cgroups, &self.asking);
        if let (Ok(members), Some(node)) = (members, lay_on(&begun.undo)) {
            self.bring(&begun.agent, &members, node);
        }
    }

    /// Takes all back that is in force.
    pub(super) fn restore_all(&mut self, cause: &Cause) -> Vec<Undone> {
        self.bringing.leave_all();
        let steps = self.in_force().into_iter().rev();
        steps.map(|step| self.undone(step, cause)).collect()
    }

    /// Steps in force: the last one is to be taken back first.
    fn in_force(&self) -> Vec<u64> {
        let open = self.open.iter();
        open.flat_map(|open| open.executor.past().in_force())
            .map(|(step, _)| step)
            .collect()
    }

    fn undone(&mut self, step: u64, cause: &Cause) -> Undone {
        let undone = self.take_back(step, cause);
        (step, undone.map_err(|error| error.to_string()))
    }

    /// Takes back what somebody asked for; without numbers, all. Agents whose steps are named are left alone
    /// from then on.
    pub(super) fn undo(&mut self, steps: Option<&[u64]>) -> Vec<Undone> {
        let Some(steps) = steps else {
            return self.restore_all(&Cause::Asked);
        };
        let mut all = Vec::new();
        for &step in steps {
            let placed = self.placed.values().find(|placed| placed.number == step);
            let agent = placed.map(|placed| Arc::clone(&placed.step.agent));
            if let Some(agent) = agent {
                self.report(Report::LeaveAlone(agent.id, Arc::clone(&agent.name)));
            }
            all.push(self.undone(step, &Cause::Asked));
        }
        all
    }

    /// Only these may be moved from here on: what was done to others is taken back.
    pub(super) fn allow(&mut self, policy: Policy) {
        self.policy = policy;
        let placed = self.placed.values();
        let left = placed.filter(|placed| !self.policy.lets_move(&placed.step.agent));
        for step in left.map(|placed| placed.number).collect::<Vec<_>>() {
            let _tried_again = self.take_back(step, &Cause::LeftAlone);
        }
    }

    /// Tries again what could not be taken back, and what one that was killed has left.
    pub(super) fn pay_owed(&mut self) {
        let ours: BTreeSet<u64> = self.placed.values().map(|placed| placed.number).collect();
        let owed = self.in_force().into_iter().rev();
        for step in owed.filter(|step| !ours.contains(step)) {
            let cause = self.owed.get(&step).cloned().unwrap_or(Cause::Found);
            let _tried_again = self.take_back(step, &cause);
        }
    }
}

/// The node on which most of the memory lay before a step.
fn lay_on(undo: &Undo) -> Option<u32> {
    let Undo::Release { memory_bytes } = undo;
    let nodes = (0_u32..).zip(memory_bytes).filter(|(_, bytes)| **bytes > 0);
    nodes.max_by_key(|(_, bytes)| **bytes).map(|(node, _)| node)
}

fn say(step: u64, undone: Result<&Restored, &ActError>) {
    match undone {
        Ok(restored) => tracing::info!(
            step,
            restored = restored.restored + restored.born,
            gone = restored.gone,
            left_to_others = restored.foreign,
            "taken back"
        ),
        Err(error) => tracing::error!(step, %error, "a step could not be taken back"),
    }
}
