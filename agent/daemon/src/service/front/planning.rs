//! Plans from time to time who had better run where, and says so in the log and in metrics. Where that is
//! wanted, it chooses the steps to take, for the thread that acts, and judges what came of them.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hostler_common::slot::SlotLease;
use hostler_decide::{
    plan::{Lately, LeftAlone, Owners, Plan, Policy, conduct::Conduct, plan},
    topology::Topology,
    window::Window,
};
use hostler_observe::owners;
use tokio::sync::oneshot;

use super::{
    acting::{Acting, Report, Told, Undone},
    state::thread_cpu_time,
};
use crate::{
    config::{Config, PlanConfig},
    metrics::PlanCost,
};

/// Steps of a plan that the log names.
const NAMED: usize = 5;

/// Where plans are made.
#[derive(Default)]
pub(in crate::service) struct PlanDesk(Mutex<Planning>);

#[derive(Default)]
struct Planning {
    /// `None` if nothing is to be planned.
    config: Option<PlanConfig>,
    topology: Topology,
    lately: Lately,
    conduct: Conduct,
    /// `None` where nothing can be changed.
    acting: Option<Acting>,
    /// Who else decides where threads run, as it was last looked at.
    owners: Owners,
    /// When the last plan was made, or measuring began, in ns of the monotonic clock.
    planned_ns: Option<u64>,
    /// Who was to go where, by the last plan.
    said: BTreeSet<(SlotLease, Vec<u32>)>,
    is_left_alone_said: bool,
    cost: PlanCost,
}

impl PlanDesk {
    /// What is chosen is carried out.
    pub(super) fn acting(acting: Acting) -> Self {
        Self(Mutex::new(Planning {
            acting: Some(acting),
            ..Planning::default()
        }))
    }

    fn planning(&self) -> MutexGuard<'_, Planning> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plans as this configuration wants it.
    pub(super) fn configure(&self, config: &Config) {
        let mut planning = self.planning();
        if config.plan.is_some() && !config.raw.signals.wakes {
            tracing::warn!(
                "plans know nothing of agents that work together: `signals.wakes` is off"
            );
        }
        if config.plan != planning.config {
            planning.config.clone_from(&config.plan);
            planning.is_left_alone_said = false;
            planning.said.clear();
            planning.conduct.begin_anew();
        }
        if planning.config.is_none() {
            planning.forget();
        }
        planning.pause(false);
        planning.tell(Told::Configure {
            journal: config.journal.clone(),
            acts: planning.acts(),
            policy: planning.policy(),
        });
    }

    /// Takes back all that was changed, and changes nothing until that is resumed, or it is configured again.
    pub(super) fn restore(&self) {
        let mut planning = self.planning();
        planning.stop();
        planning.tell(Told::RestoreAll);
    }

    /// Begins nothing more to be changed, or lets that begin again; `None` where nothing is changed anyway.
    pub(super) fn pause(&self, is_paused: bool) -> Option<()> {
        let planning = self.planning();
        planning.acts().then(|| planning.pause(is_paused))
    }

    /// Takes back these steps, or all: what comes of it is told later. `None` where nothing is changed anyway.
    pub(super) fn undo(&self, steps: Option<Vec<u64>>) -> Option<oneshot::Receiver<Vec<Undone>>> {
        let mut planning = self.planning();
        if !planning.acts() {
            return None;
        }
        if steps.is_none() {
            planning.stop();
        }
        let (answer, answered) = oneshot::channel();
        planning.tell(Told::Undo(steps, answer));
        Some(answered)
    }

    /// In words, whether the host is changed.
    pub(super) fn changes(&self) -> String {
        let planning = self.planning();
        let Some(acting) = planning.acting.as_ref().filter(|_| planning.acts()) else {
            return "none: plan.mode is not act".to_owned();
        };
        let cost = acting.cost();
        let now = if acting.is_paused() {
            "paused"
        } else {
            "made as plans want it"
        };
        format!("{now}; {} in force, {} so far", cost.in_force, cost.begun)
    }

    /// Measuring begins, also anew.
    pub(super) fn begin(&self, topology: &Topology) {
        let mut planning = self.planning();
        planning.forget();
        planning.topology.clone_from(topology);
    }

    /// Takes in a window, and plans if it is time.
    pub(super) fn add(&self, window: &Window) {
        let mut planning = self.planning();
        let Some(config) = planning.config.clone() else {
            return;
        };
        let began = thread_cpu_time();
        planning.lately.follow(window);
        planning.look_at_owners();
        planning.judge(window);
        let planned_ns = *planning.planned_ns.get_or_insert(window.from_ns);
        let passed = Duration::from_nanos(window.to_ns.saturating_sub(planned_ns));
        if passed >= config.interval {
            planning.planned_ns = Some(window.to_ns);
            planning.plan(&config);
        }
        let took = thread_cpu_time().saturating_sub(began);
        planning.cost.cpu_ns += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    }

    /// What is told of it; `None` if nothing is planned.
    pub(in crate::service) fn cost(&self) -> Option<PlanCost> {
        let planning = self.planning();
        planning.config.as_ref()?;
        let act = planning.acting.as_ref().filter(|_| planning.acts());
        Some(PlanCost {
            act: act.map(Acting::cost),
            ..planning.cost
        })
    }
}

impl Planning {
    fn forget(&mut self) {
        self.lately = Lately::default();
        self.conduct.begin_anew();
        self.planned_ns = None;
        self.said.clear();
    }

    /// No more is begun, and of what is on trial nothing is expected any more.
    fn stop(&mut self) {
        self.pause(true);
        self.conduct.begin_anew();
    }

    fn pause(&self, is_paused: bool) {
        self.acting
            .iter()
            .for_each(|acting| acting.pause(is_paused));
    }

    /// Who may be moved.
    fn policy(&self) -> Policy {
        let policy = self.config.as_ref().map(|config| config.policy.clone());
        Policy {
            owners: self.owners.clone(),
            ..policy.unwrap_or_default()
        }
    }

    /// Looks who else decides where threads run, and steps aside for them.
    fn look_at_owners(&mut self) {
        if self.acting.is_none() {
            return;
        }
        let owners = owners();
        if owners == self.owners {
            return;
        }
        self.owners = owners;
        self.conduct.begin_anew();
        self.tell(Told::Allow(self.policy()));
    }

    /// Whether steps are carried out.
    fn acts(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.acts)
    }

    /// `false` if nobody hears it.
    fn tell(&self, told: Told) -> bool {
        let acting = self.acting.as_ref();
        acting.is_some_and(|acting| acting.tell(told))
    }

    /// Hears what came of steps, and says which of them have helped.
    fn judge(&mut self, window: &Window) {
        if !self.acts() {
            return;
        }
        let reports = self.acting.iter().flat_map(Acting::reports);
        for report in reports {
            match report {
                Report::Placed(step) => self.lately.place(step.agent.id, step.nodes()),
                Report::Refused(id) => self.conduct.withdraw(id),
                Report::LeaveAlone(id, agent) => self.conduct.leave_alone(id, &agent),
            }
        }
        for outcome in self.conduct.follow(window) {
            self.tell(Told::Judged(outcome));
        }
    }

    fn act(&mut self, plan: &Plan) {
        let is_paused = self.acting.as_ref().is_none_or(Acting::is_paused);
        if is_paused || !self.acts() {
            return;
        }
        for step in self.conduct.choose(plan) {
            let id = step.agent.id;
            if !self.tell(Told::Place(step)) {
                self.conduct.withdraw(id);
            }
        }
    }

    fn plan(&mut self, config: &PlanConfig) {
        let policy = Policy {
            resting: self.conduct.resting(self.lately.at_ns()),
            ..self.policy()
        };
        let plan = plan(&self.lately, &self.topology, &policy);
        self.cost.plans += 1;
        self.cost.steps = plan.steps.len() as u64;
        self.cost.lost = plan.now;
        if let Some(reason) = &plan.left_alone {
            if !std::mem::replace(&mut self.is_left_alone_said, true) {
                tracing::info!(reason = why_not(reason), "there is nothing to plan");
            }
            return;
        }
        self.is_left_alone_said = false;
        let steps = plan.steps.iter();
        let said = steps.map(|step| (step.agent.id, step.nodes().to_vec()));
        let said: BTreeSet<_> = said.collect();
        if said != self.said {
            say(&plan, config.acts);
        }
        self.said = said;
        self.act(&plan);
    }
}

fn say(plan: &Plan, acts: bool) {
    let ms = |ns: u64| ns / 1_000_000;
    tracing::info!(
        steps = plan.steps.len(),
        lost_ms_a_second = ms(plan.now.total_ns()),
        then_ms_a_second = ms(plan.then.total_ns()),
        "a plan; {}",
        if acts {
            "it is carried out a few steps at a time"
        } else {
            "nothing is changed"
        }
    );
    for step in plan.steps.iter().take(NAMED) {
        tracing::info!(
            agent = &*step.agent.name,
            to = ?step.nodes(),
            gains_us_a_second = step.gain_ns / 1_000,
            because = %step.why,
            "a step"
        );
    }
}

fn why_not(reason: &LeftAlone) -> &'static str {
    match reason {
        LeftAlone::OneNode => "the host has one NUMA node",
        LeftAlone::TooManyNodes { .. } => "the host has nodes that are not told apart",
        LeftAlone::OtherScheduler { .. } => "a scheduler was loaded into the kernel (sched_ext)",
        LeftAlone::NothingSeen => "nothing was seen",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hostler_common::{ledger::state, placement::MAX_NODES};
    use hostler_decide::{
        identity::Kind,
        node_memory::{NodeBytes, NodeMemory},
        placement::Placement,
        signal::{Agent, AgentSource},
        window::RunQueueWindow,
    };

    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    /// A second in which an agent runs on node 0, and its memory lies on node 1.
    fn window(second: u64) -> Window {
        let id = SlotLease {
            slot: 70,
            generation: 1,
        };
        let agent = Agent {
            id,
            name: "agent".into(),
            group: "/".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/".into(),
        };
        let on_node = |node: usize, amount: u64| {
            let mut amounts = [0; MAX_NODES];
            amounts[node] = amount;
            amounts
        };
        let mut row = RunQueueWindow::default();
        row.ledger.ns[state::ON_CPU as usize] = (SECOND_NS / 2).cast_signed();
        row.placement = Some(Box::new(Placement {
            on_cpu_ns: on_node(0, SECOND_NS / 2),
            ..Placement::default()
        }));
        row.node_memory = Some(Arc::new(NodeMemory {
            at_ns: 0,
            bytes: NodeBytes {
                anon: on_node(1, 1 << 20),
                ..NodeBytes::default()
            },
        }));
        Window {
            from_ns: second * SECOND_NS,
            to_ns: (second + 1) * SECOND_NS,
            agents: [(id, (Arc::new(agent), row))].into(),
            ..Window::default()
        }
    }

    fn config(text: &str) -> Config {
        Config::parse("a test", text).expect("it makes sense")
    }

    #[test]
    fn nothing_is_planned_unless_it_is_wanted() {
        let desk = PlanDesk::default();
        desk.configure(&config(""));
        desk.begin(&crate::simulated::facts().topology);
        (0..100).for_each(|second| desk.add(&window(second)));
        assert!(desk.cost().is_none());
    }

    /// Recordings hold whatever somebody has written into them.
    #[test]
    fn whatever_was_read_it_can_be_planned_by() {
        for seed in 0..200 {
            let mut host = crate::simulated::Host::new(seed);
            let mut topology = crate::simulated::facts().topology;
            if seed % 4 == 0 {
                topology.cpus.entry(0).or_default().node = u32::MAX;
            }
            let mut lately = Lately::default();
            let mut before = host.read().reading;
            for _ in 0..5 {
                let now = host.read().reading;
                lately.follow(&Window::between(&before, &now));
                before = now;
            }
            let plan = plan(&lately, &topology, &Policy::default());
            let (now, then) = (plan.now.total_ns(), plan.then.total_ns());
            assert!(
                then <= now.saturating_add(1_000 + now / 1_000_000),
                "{now} {then}"
            );
        }
    }

    #[test]
    fn a_plan_is_made_each_interval_and_its_figures_are_told() {
        let desk = PlanDesk::default();
        desk.configure(&config("[plan]\nmode = 'advise'\ninterval = '20s'"));
        desk.begin(&crate::simulated::facts().topology);
        (0..19).for_each(|second| desk.add(&window(second)));
        let cost = desk.cost().expect("it is wanted");
        assert_eq!((cost.plans, cost.steps), (0, 0));
        (19..60).for_each(|second| desk.add(&window(second)));
        let cost = desk.cost().expect("it is wanted");
        assert_eq!((cost.plans, cost.steps), (3, 1));
        assert!(cost.lost.remote_ns > 0);
        desk.configure(&config(
            "[plan]\nmode = 'advise'\ninterval = '20s'\nleave = ['agent']",
        ));
        (60..80).for_each(|second| desk.add(&window(second)));
        let cost = desk.cost().expect("it is wanted");
        assert_eq!((cost.plans, cost.steps), (4, 0));
    }
}
