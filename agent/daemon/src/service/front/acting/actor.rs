//! What the thread does that acts.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use hostler_act::{ActError, Cause, CpuList, Executor, Kernel, Members, Order, Restored};
use hostler_decide::{
    plan::{Action, Step, Undo, conduct::Outcome, verdict::Verdict},
    signal::AgentSource,
};

use super::{
    ActCounts, Report, Told,
    bringing::{Bringing, TURN},
};
use crate::changes::{ChangesError, now_ms, open_changes};

/// How often it is looked whether somebody else has set what was set here.
const LOOK: Duration = Duration::from_secs(1);

/// How often what is over is looked for: agents that have gone, and steps that could not be taken back.
const TIDY: Duration = Duration::from_mins(1);

/// Why a step is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("nothing is changed now")]
    NotActing,
    #[error("an agent that has no cgroup of its own is not moved")]
    NoCgroup,
    #[error("another agent of this name was moved")]
    SameName,
    #[error("its threads may run there alone already")]
    IsThere,
    #[error("its cgroup {}: {source}", path.display())]
    Cgroup { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Act(#[from] ActError),
}

/// Acts, where it is to.
pub(super) struct Actor {
    counts: Arc<ActCounts>,
    reports: Sender<Report>,
    acts: bool,
    /// The journal, as it was configured.
    journal: PathBuf,
    /// `None` while there is nothing to do and nothing to take back.
    open: Option<Open>,
    /// What it has carried out, by the names of agents.
    placed: BTreeMap<Arc<str>, Placed>,
    bringing: Bringing,
    looked: Instant,
    tidied: Instant,
}

/// With the journal open.
struct Open {
    executor: Executor<Kernel>,
    /// Where the v2 hierarchy is mounted.
    cgroups: PathBuf,
}

struct Placed {
    number: u64,
    step: Arc<Step>,
}

impl Actor {
    pub(super) fn new(counts: Arc<ActCounts>, reports: Sender<Report>) -> Self {
        let now = Instant::now();
        Self {
            counts,
            reports,
            acts: false,
            journal: PathBuf::new(),
            open: None,
            placed: BTreeMap::new(),
            bringing: Bringing::default(),
            looked: now,
            tidied: now,
        }
    }

    /// Does what it is told, until it is told to end. Then all is taken back.
    pub(super) fn run(mut self, told: &Receiver<Told>) {
        loop {
            let pause = if self.bringing.is_under_way() {
                TURN
            } else {
                LOOK
            };
            match told.recv_timeout(pause) {
                Ok(Told::End) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(told) => self.take(told),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let pages = self.bringing.go_on();
            self.counts.pages_moved.fetch_add(pages, Relaxed);
            if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                self.look();
            }
            if self.tidied.elapsed() >= TIDY {
                self.tidied = Instant::now();
                self.tidy();
            }
            self.count_in_force();
        }
        self.restore_all(&Cause::Exit);
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Configure { journal, acts } => self.configure(journal, acts),
            Told::Place(step) => self.place(&step),
            Told::Judged(outcome) => self.judged(&outcome),
            Told::RestoreAll => self.restore_all(&Cause::Asked),
            Told::End => {}
        }
    }

    fn configure(&mut self, journal: PathBuf, acts: bool) {
        let is_other = self.journal != journal;
        if is_other || !acts {
            self.restore_all(&Cause::Asked);
        }
        if is_other {
            self.open = None;
            self.journal = journal;
        }
        self.acts = acts;
        // What one that was killed has left is taken back whether or not anything else is to be done.
        if self.open.is_none() && (acts || self.journal.exists()) {
            match open(&self.journal) {
                Ok(open) => {
                    self.open = Some(open);
                    self.restore_all(&Cause::Found);
                }
                Err(error) => tracing::error!(%error, "nothing is changed on this host"),
            }
        }
        self.close_if_idle();
    }

    /// Others may take the journal where nothing is to be done with it.
    fn close_if_idle(&mut self) {
        let in_force = self.open.as_ref().map(in_force);
        if !self.acts && in_force == Some(0) {
            self.open = None;
        }
    }

    fn count_in_force(&self) {
        let in_force = self.open.as_ref().map_or(0, in_force);
        self.counts.in_force.store(in_force, Relaxed);
    }

    fn place(&mut self, step: &Arc<Step>) {
        let agent = &step.agent;
        match self.carry_out(step) {
            Ok(()) => drop(self.counts.begun.fetch_add(1, Relaxed)),
            Err(refusal) => {
                self.counts.refused.fetch_add(1, Relaxed);
                tracing::info!(agent = &*agent.name, because = %refusal, "a step is not taken");
                self.report(Report::Refused(agent.id));
            }
        }
    }

    fn report(&self, report: Report) {
        // Whoever plans may have ended.
        let _is_heard = self.reports.send(report);
    }

    fn carry_out(&mut self, step: &Arc<Step>) -> Result<(), Refusal> {
        let Some(open) = self.open.as_mut().filter(|_| self.acts) else {
            return Err(Refusal::NotActing);
        };
        let order = order(step, &open.cgroups)?;
        let agent = &step.agent;
        if let Some(before) = self.placed.get(&agent.name) {
            if before.step.agent.id != agent.id && before.step.agent.place != agent.place {
                return Err(Refusal::SameName);
            }
            if before.step.action == step.action {
                return Err(Refusal::IsThere);
            }
            let undone = open.executor.undo(before.number, Cause::Replaced, now_ms());
            say_undone(before.number, undone.as_ref());
            undone?;
            self.placed.remove(&agent.name);
        }
        let members = order.members.clone();
        let (number, receipt) = open.executor.place(order, now_ms())?;
        tracing::info!(
            step = number,
            agent = &*agent.name,
            nodes = ?step.nodes(),
            threads = receipt.set,
            pinned = receipt.pinned,
            realtime = receipt.realtime,
            because = %step.why,
            "placed"
        );
        let placed = Placed {
            number,
            step: Arc::clone(step),
        };
        self.placed.insert(Arc::clone(&agent.name), placed);
        if let [node] = *step.nodes() {
            self.bring(&agent.name, &members, node);
        }
        Ok(())
    }

    /// Has an agent's memory follow. Where that can't be, its threads are still where they are to be.
    fn bring(&mut self, agent: &Arc<str>, members: &Members, node: u32) {
        let Some(open) = &mut self.open else {
            return;
        };
        match open.executor.processes(members) {
            Ok(processes) => self.bringing.begin(agent, processes, node),
            Err(error) => tracing::warn!(agent = &**agent, %error, "memory stays where it is"),
        }
    }

    fn judged(&mut self, outcome: &Outcome) {
        let agent = &outcome.step.agent;
        let Some(placed) = self.placed.get(&agent.name) else {
            return;
        };
        let number = placed.number;
        match outcome.verdict {
            Verdict::Worse { percent } => self.revert(&agent.name, percent),
            verdict => {
                self.counts.kept.fetch_add(1, Relaxed);
                tracing::info!(
                    step = number,
                    agent = &*agent.name,
                    ?verdict,
                    "a step is kept"
                );
            }
        }
    }

    fn revert(&mut self, agent: &Arc<str>, percent: u32) {
        let (Some(open), Some(placed)) = (&mut self.open, self.placed.get(agent)) else {
            return;
        };
        let how = format!("turns take {percent} % longer than they would have");
        let undone = open
            .executor
            .undo(placed.number, Cause::Worse { how }, now_ms());
        say_undone(placed.number, undone.as_ref());
        self.bringing.leave(agent);
        if undone.is_err() {
            return;
        }
        self.counts.reverted.fetch_add(1, Relaxed);
        let order = order(&placed.step, &open.cgroups);
        let node = lay_on(&placed.step.undo);
        self.placed.remove(agent);
        if let (Ok(order), Some(node)) = (order, node) {
            self.bring(agent, &order.members, node);
        }
    }

    fn restore_all(&mut self, cause: &Cause) {
        self.placed.clear();
        self.bringing.leave_all();
        let Some(open) = &mut self.open else {
            return;
        };
        for (step, undone) in open.executor.undo_all(cause, now_ms()) {
            say_undone(step, undone.as_ref());
        }
    }

    fn look(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        let looked = open.executor.look(now_ms());
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
                self.report(Report::Yielded(agent.id, Arc::clone(&agent.name)));
            }
        }
    }

    /// Closes the books on agents that have gone, and tries again what could not be taken back.
    fn tidy(&mut self) {
        let Some(open) = &mut self.open else {
            return;
        };
        if !self.acts {
            self.restore_all(&Cause::Found);
            self.close_if_idle();
            return;
        }
        match open.executor.undo_departed(now_ms()) {
            Ok(departed) => self
                .placed
                .retain(|_, placed| !departed.contains(&placed.number)),
            Err(error) => tracing::warn!(%error, "whether agents have gone can't be told"),
        }
    }
}

fn in_force(open: &Open) -> u64 {
    open.executor.past().in_force().count() as u64
}

/// The node on which most of the memory lay before a step.
fn lay_on(undo: &Undo) -> Option<u32> {
    let Undo::Release { memory_bytes } = undo;
    let nodes = (0_u32..).zip(memory_bytes).filter(|(_, bytes)| **bytes > 0);
    nodes.max_by_key(|(_, bytes)| **bytes).map(|(node, _)| node)
}

fn order(step: &Step, cgroups: &Path) -> Result<Order, Refusal> {
    let agent = &step.agent;
    if agent.source != AgentSource::Cgroup {
        return Err(Refusal::NoCgroup);
    }
    let path = PathBuf::from(agent.place.trim_start_matches('/'));
    let folder = cgroups.join(&path);
    let id = match fs::metadata(&folder) {
        Ok(folder) => folder.ino(),
        Err(source) => return Err(Refusal::Cgroup { path, source }),
    };
    let Action::Place { cpus, .. } = &step.action;
    let nodes: Vec<String> = step.nodes().iter().map(ToString::to_string).collect();
    Ok(Order {
        agent: agent.name.to_string(),
        what: format!("run on node {} alone, with its memory", nodes.join(" and ")),
        why: step.why.to_string(),
        members: Members::Cgroup { path, id },
        cpus: cpus.iter().copied().collect::<CpuList>(),
    })
}

fn open(journal: &Path) -> Result<Open, ChangesError> {
    Ok(Open {
        executor: open_changes(journal)?,
        cgroups: hostler_observe::cgroup_root()?,
    })
}

fn say_undone(step: u64, undone: Result<&Restored, &ActError>) {
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
