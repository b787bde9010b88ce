//! What the thread does that acts: what it is told, step by step. What it takes back stands in
//! [`taking_back`], and what it does by itself meanwhile in [`tending`].

mod taking_back;
mod tending;

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

use hostler_act::{ActError, Cause, CpuList, Executor, Kernel, Members, Order, Receipt};
use hostler_decide::{
    plan::{Action, Policy, Step, conduct::Outcome, verdict::Verdict},
    signal::{Agent, AgentSource},
};

use super::{
    ActCounts, Report, Told,
    asking::Asking,
    bringing::{Bringing, TURN},
};
use crate::changes::{ChangesError, now_ms, open_changes};

/// How often it is looked whether somebody else has set what was set here, a part of it at a time.
const LOOK: Duration = Duration::from_secs(1);

/// Looks until all was looked at: two ticks.
const PARTS: u64 = 2;

/// How often agents are looked after: who has come to them, which have gone, and what could not be taken
/// back.
const TEND: Duration = Duration::from_mins(1);

/// Why a step is not carried out.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("nothing is changed now")]
    NotActing,
    #[error("which processes it is can't be told: {0}")]
    NoProcesses(String),
    #[error("it is to be left alone")]
    LeftAlone,
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
    asking: Asking,
    acts: bool,
    policy: Policy,
    /// The journal, as it was configured.
    journal: PathBuf,
    /// `None` while there is nothing to do and nothing to take back.
    open: Option<Open>,
    /// What it has carried out, by the names of agents.
    placed: BTreeMap<Arc<str>, Placed>,
    /// Steps that could not be taken back, and why they are to be.
    owed: BTreeMap<u64, Cause>,
    bringing: Bringing,
    looked: Instant,
    looks: u64,
    tended: Instant,
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
    pub(super) fn new(counts: Arc<ActCounts>, reports: Sender<Report>, asking: Asking) -> Self {
        let now = Instant::now();
        Self {
            counts,
            reports,
            asking,
            acts: false,
            policy: Policy::default(),
            journal: PathBuf::new(),
            open: None,
            placed: BTreeMap::new(),
            owed: BTreeMap::new(),
            bringing: Bringing::default(),
            looked: now,
            looks: 0,
            tended: now,
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
            self.bring_on();
            if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                self.look();
            }
            if self.tended.elapsed() >= TEND {
                self.tended = Instant::now();
                self.tend();
            }
            self.count_in_force();
        }
        self.restore_all(&Cause::Exit);
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Configure {
                journal,
                acts,
                policy,
            } => {
                self.configure(journal, acts);
                self.allow(policy);
            }
            Told::Allow(policy) => self.allow(policy),
            Told::Place(step) => self.place(&step),
            Told::Judged(outcome) => self.judged(&outcome),
            Told::RestoreAll => drop(self.restore_all(&Cause::Asked)),
            Told::Undo(steps, answer) => {
                let undone = self.undo(steps.as_deref());
                // Whoever asked may have gone.
                let _is_heard = answer.send(undone);
            }
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
            Ok(()) => {
                self.counts.begun.fetch_add(1, Relaxed);
                self.report(Report::Placed(Arc::clone(step)));
            }
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
        let is_paused = self.counts.is_paused.load(Relaxed);
        let Some(open) = self.open.as_mut().filter(|_| self.acts && !is_paused) else {
            return Err(Refusal::NotActing);
        };
        let agent = &step.agent;
        if !self.policy.lets_move(agent) {
            return Err(Refusal::LeftAlone);
        }
        let order = order(step, members(agent, &open.cgroups, &self.asking)?);
        if let Some(before) = self.placed.get(&agent.name) {
            if before.step.agent.id != agent.id && before.step.agent.place != agent.place {
                return Err(Refusal::SameName);
            }
            if before.step.action == step.action {
                return Err(Refusal::IsThere);
            }
            let number = before.number;
            self.take_back(number, &Cause::Replaced)?;
        }
        let members = order.members.clone();
        let (number, receipt) = self.begin(order)?;
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
            self.bring(agent, &members, node);
        }
        Ok(())
    }

    fn begin(&mut self, order: Order) -> Result<(u64, Receipt), Refusal> {
        let open = self.open.as_mut().ok_or(Refusal::NotActing)?;
        let begun = open.executor.place(order, now_ms());
        if let Err(error @ ActError::NotRestored { step, .. }) = &begun {
            let reason = error.to_string();
            self.owed.insert(*step, Cause::Failed { reason });
        }
        Ok(begun?)
    }

    /// Has an agent's memory follow. Where that can't be, its threads are still where they are to be.
    fn bring(&mut self, agent: &Arc<Agent>, members: &Members, node: u32) {
        let Some(open) = &mut self.open else {
            return;
        };
        match open.executor.processes(members) {
            Ok(processes) => self.bringing.begin(agent, members, processes, node),
            Err(error) => {
                tracing::warn!(agent = &*agent.name, %error, "memory stays where it is");
            }
        }
    }

    /// Goes on with that. Plans rest on where memory lies: whose has come is looked at anew.
    fn bring_on(&mut self) {
        let turn = self.bringing.go_on();
        self.counts.pages_moved.fetch_add(turn.pages, Relaxed);
        let (Some((agent, members)), Some(open)) = (turn.arrived, &mut self.open) else {
            return;
        };
        // Where that can't be told, it is its turn within half a minute.
        if let Ok(processes) = open.executor.processes(&members) {
            let processes = processes.iter().map(|process| process.pid);
            self.asking.look_again(agent, processes.collect());
        }
    }

    fn judged(&mut self, outcome: &Outcome) {
        let agent = &outcome.step.agent;
        let Some(placed) = self.placed.get(&agent.name) else {
            return;
        };
        let number = placed.number;
        match outcome.verdict {
            Verdict::Worse { percent } => self.revert(number, percent),
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
}

fn in_force(open: &Open) -> u64 {
    open.executor.past().in_force().count() as u64
}

/// The processes of an agent, so that they can be found again.
fn members(agent: &Agent, cgroups: &Path, asking: &Asking) -> Result<Members, Refusal> {
    if agent.source != AgentSource::Cgroup {
        let processes = asking.processes().map_err(Refusal::NoProcesses)?;
        return Ok(processes.of(agent));
    }
    let path = PathBuf::from(agent.place.trim_start_matches('/'));
    let folder = cgroups.join(&path);
    match fs::metadata(&folder) {
        Ok(folder) => Ok(Members::Cgroup {
            path,
            id: folder.ino(),
        }),
        Err(source) => Err(Refusal::Cgroup { path, source }),
    }
}

fn order(step: &Step, members: Members) -> Order {
    let Action::Place { cpus, .. } = &step.action;
    let nodes: Vec<String> = step.nodes().iter().map(ToString::to_string).collect();
    Order {
        agent: step.agent.name.to_string(),
        what: format!("run on node {} alone, with its memory", nodes.join(" and ")),
        why: step.why.to_string(),
        members,
        cpus: cpus.iter().copied().collect::<CpuList>(),
    }
}

fn open(journal: &Path) -> Result<Open, ChangesError> {
    Ok(Open {
        executor: open_changes(journal)?,
        cgroups: hostler_observe::cgroup_root()?,
    })
}
