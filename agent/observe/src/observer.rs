//! The one that observes: loads the probes, keeps agents and slots in step with the host, reads.
//!
//! Start-up goes from those who follow to those who measure: probes of threads and cgroups first,
//! then the cgroups and programs that are there already, the scheduler's probes, and at last the
//! records of threads that are older. Whoever comes meanwhile is seen by the first kind, and a
//! thread's state is read when its changes are seen already, so nobody is missed.

mod cgroups;
mod claims;
mod leases;
mod node_memory;
mod polls;
mod sockets;
mod totals;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hostler_common::{
    ledger::MAX_THREADS, run_queue::cpu_view, slot::SlotLease, wait_event::WaitEvent,
};
use hostler_decide::{
    identity::Rules,
    scene::{Availability, CpuView, HostFacts, Signals},
    signal::{AgentReading, CpuReading, LossSignal, Reading},
};

use self::{claims::ClaimsSeen, node_memory::NodeMemories, polls::Polls, sockets::Sockets};
use crate::{
    AgentPlace, AgentProcess, AgentProcesses, Available, ObserveError, ProbeClock, ThreadSource,
    agents::Directory,
    cgroups::Hierarchy,
    claims::{Claim, Claims},
    clock::now_ns,
    identities::Identities,
    names::Names,
    preflight,
    probes::{Probes, Settings},
    reading,
    slots::SlotBook,
    snapshot::Snapshot,
    sockets::networks::NamedPeer,
    topology::{has_several_nodes, online_cpus, topology},
};

/// How to observe.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a signal that is asked for"
)]
pub struct Options {
    /// What is counted per CPU.
    pub cpu_view: CpuView,
    /// Which agents, by name, [`CpuView::Selected`] counts, and [`Options::pressure`] and
    /// [`Options::placement`] read.
    pub select: Box<dyn Fn(&str) -> bool + Send>,
    /// Whether to read who made whom wait.
    pub pairs: bool,
    /// Whether to read who wakes whom.
    pub wakes: bool,
    /// Whether to read on which nodes threads run, how often they move, and where memory lies.
    pub placement: bool,
    /// Whether to read each of the long waits, as far as the kernel side sends them.
    pub wait_events: bool,
    /// The shortest wait that counts as long, in ns.
    pub long_wait_ns: u64,
    /// Which processes belong to which agent, before their cgroups say so.
    pub rules: Rules,
    /// Whether to measure how long page faults take.
    pub fault_latency: bool,
    /// Whether to follow sockets and read who they talk to.
    pub sockets: bool,
    /// Whether to read pressure and memory, of the host and of the agents that [`Options::select`]
    /// accepts.
    pub pressure: bool,
    /// Who is at the other end of sockets, by name.
    pub peers: Vec<NamedPeer>,
    /// Where the list of threads comes from; the best that this kernel allows if not said.
    pub threads_from: Option<ThreadSource>,
    /// The clock of the scheduler's programs; the best that this host allows if not said.
    pub clock: Option<ProbeClock>,
}

/// From here on a wait is felt: an order of magnitude above what a free CPU takes, and below a
/// scheduler's time slice.
pub const LONG_WAIT_NS: u64 = 1_000_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            cpu_view: CpuView::Off,
            select: Box::new(|_| true),
            pairs: false,
            wakes: false,
            placement: false,
            wait_events: false,
            long_wait_ns: LONG_WAIT_NS,
            rules: Rules::default(),
            fault_latency: false,
            sockets: false,
            pressure: false,
            peers: Vec::new(),
            threads_from: None,
            clock: None,
        }
    }
}

impl Options {
    /// The shortest wait of which the kernel side notes who made it: none if nobody asks.
    fn counted_wait_ns(&self) -> u64 {
        if self.pairs || self.wait_events {
            self.long_wait_ns
        } else {
            u64::MAX
        }
    }
}

/// Attached probes and what is known of the host. Dropping it leaves the host as it was.
pub struct Observer {
    probes: Probes,
    snapshot: Snapshot,
    hierarchy: Hierarchy,
    directory: Directory,
    claims: Claims,
    /// None without rules.
    identities: Option<Identities>,
    slots: SlotBook,
    names: Names,
    sockets: Sockets,
    polls: Polls,
    node_memories: NodeMemories,
    /// Whether memory can lie elsewhere than where threads run.
    has_several_nodes: bool,
    options: Options,
    /// Agents that user space found no slot for.
    agents_without_slot: u64,
    /// Those of them that are no cgroups and are still there, to be tried again.
    without_slot: BTreeSet<Claim>,
    /// Whether it was said that an agent has nearly as many threads as its ledger can count.
    full_ledger_said: bool,
    /// When processes were last looked at, and how often they had changed by then.
    claims_seen: ClaimsSeen,
    /// `events_not_sent` as of the last rescan.
    events_missed: u64,
    last_pairs: totals::Last,
    last_wakes: totals::Last,
    /// Pairs that made room for others.
    pairs_folded: u64,
    started_in: Duration,
    beginning: Reading,
}

impl Observer {
    /// Checks the host, loads and attaches everything, and finds who is there.
    pub fn start(options: Options) -> Result<Self, ObserveError> {
        let began = Instant::now();
        preflight::check()?;
        let hierarchy = Hierarchy::find()?;
        let view = match options.cpu_view {
            CpuView::Off => cpu_view::OFF,
            CpuView::All => cpu_view::ALL,
            CpuView::Selected => cpu_view::SELECTED,
        };
        let identities = (!options.rules.is_empty()).then(|| Identities::by(options.rules.clone()));
        let has_rules = identities.is_some();
        let probes = Probes::load(&Settings {
            cpu_view: view,
            long_wait_ns: options.counted_wait_ns(),
            causes: options.pairs || options.wait_events,
            wait_events: options.wait_events,
            has_rules,
            wakes: options.wakes,
            placement: options.placement,
            fault_latency: options.fault_latency,
            sockets: options.sockets,
            named_peers: !options.peers.is_empty(),
            root_cgroup_id: hierarchy.root_id(),
            clock: options.clock,
        })?;
        let snapshot = Snapshot::open(options.threads_from, &probes, &hierarchy, has_rules)?;
        let mut observer = Self {
            probes,
            snapshot,
            hierarchy,
            directory: Directory::new(),
            claims: Claims::default(),
            identities,
            slots: SlotBook::new(),
            names: Names::new(Path::new("/")),
            sockets: Sockets::new(options.peers.clone()),
            polls: Polls::default(),
            node_memories: NodeMemories::default(),
            has_several_nodes: has_several_nodes(),
            options,
            agents_without_slot: 0,
            without_slot: BTreeSet::new(),
            full_ledger_said: false,
            claims_seen: ClaimsSeen::default(),
            events_missed: 0,
            last_pairs: totals::Last::new(),
            last_wakes: totals::Last::new(),
            pairs_folded: 0,
            started_in: Duration::ZERO,
            beginning: Reading::default(),
        };
        observer.lend_slots();
        observer.probes.attach_lifecycle()?;
        observer.rescan_cgroups();
        observer.refresh_claims()?;
        observer.probes.attach_scheduler()?;
        observer.snapshot.threads()?;
        observer.start_fault_latency();
        observer.start_sockets();
        observer.start_polls(now_ns());
        observer.start_node_memory()?;
        observer.beginning = observer.read()?;
        observer.started_in = began.elapsed();
        tracing::info!(agents = observer.directory.len(), elapsed = ?observer.started_in, "observing");
        Ok(observer)
    }

    /// The reading with which measuring began, when everybody was known.
    pub fn beginning(&self) -> &Reading {
        &self.beginning
    }

    /// Takes in who came and went, and reads all signals.
    pub fn read(&mut self) -> Result<Reading, ObserveError> {
        self.follow_events();
        self.refresh_claims_if_due(now_ns())?;
        self.refresh_names(now_ns());
        self.probes.log_warnings();
        self.visit_sockets(now_ns());
        self.poll_agents(now_ns());
        self.follow_node_memory(now_ns())?;
        let at_ns = now_ns();
        let agents = reading::agents(&mut self.directory, &self.probes);
        self.warn_of_full_ledger(&agents);
        let reading = Reading {
            at_ns,
            ledger_ns: at_ns.wrapping_add(self.probes.clock_ahead_ns()),
            agents,
            cpus: self.read_cpus(),
            pairs: self.read_pairs(),
            wakes: self.read_wakes(),
            peers: self.read_peers(),
            host: self.read_host(),
            waits: self.read_waits(),
            losses: LossSignal {
                pairs_folded: self.pairs_folded,
                ..reading::read_losses(self.probes.losses(), self.agents_without_slot)
            },
        };
        self.recycle_slots(reading.at_ns);
        Ok(reading)
    }

    /// The agents that have threads now, with how many.
    pub fn agents(&mut self) -> Result<Vec<AgentPlace>, ObserveError> {
        self.follow_events();
        self.refresh_claims()?;
        let rows = self.snapshot.threads()?;
        let mut threads = BTreeMap::<SlotLease, (u32, BTreeSet<u32>)>::new();
        for row in &rows {
            let (count, processes) = threads.entry(self.lease_of(row)).or_default();
            *count += 1;
            processes.insert(row.tgid);
        }
        let places = self.directory.entries().filter_map(|entry| {
            let (threads, processes) = threads.get(&entry.agent.id)?;
            Some(AgentPlace {
                agent: (*entry.agent).clone(),
                threads: *threads,
                processes: u32::try_from(processes.len()).unwrap_or(u32::MAX),
            })
        });
        Ok(places.collect())
    }

    /// Agents that are no cgroups, with their processes.
    pub fn processes(&mut self) -> Result<AgentProcesses, ObserveError> {
        self.follow_events();
        self.refresh_claims()?;
        let mut by_agent = BTreeMap::<SlotLease, Vec<AgentProcess>>::new();
        for row in self.snapshot.processes()? {
            let process = AgentProcess {
                pid: row.tgid,
                started_ticks: row.started_ticks,
            };
            by_agent
                .entry(self.lease_of(&row))
                .or_default()
                .push(process);
        }
        let by_agent = by_agent.into_iter().filter_map(|(lease, processes)| {
            let agent = self.directory.if_no_cgroup(lease)?;
            Some((Arc::clone(agent), processes))
        });
        Ok(by_agent.collect())
    }

    /// The probes, for what they cost.
    pub(crate) fn probes(&self) -> &Probes {
        &self.probes
    }

    /// The source of threads.
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The v2 hierarchy.
    pub(crate) fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Which of the signals that not every kernel has are counted.
    pub fn available(&self) -> Available {
        self.probes.available()
    }

    /// Whether it is measured how long page faults take, and if not, why not.
    pub fn fault_latency(&self) -> &Availability {
        self.probes.fault_latency()
    }

    /// Begins to measure how long page faults take, if that is wanted and allowed.
    fn start_fault_latency(&mut self) {
        if *self.probes.fault_latency() != Availability::Measured {
            return;
        }
        if let Err(error) = self.probes.attach_faults() {
            self.probes.give_fault_latency_up(error.to_string());
        }
    }

    /// What stays as it is while this host is watched.
    pub fn facts(&self) -> HostFacts {
        let available = self.probes.available();
        let options = &self.options;
        HostFacts {
            host: preflight::host_name(),
            kernel: preflight::release(),
            online_cpus: online_cpus(),
            topology: topology(),
            named_peers: options.peers.iter().map(|peer| peer.name.clone()).collect(),
            signals: Signals {
                block_io: available.block_io,
                oom_kills: available.oom_kills,
                pressure: options.pressure,
                wait_events: options.wait_events,
                wakes: options.wakes,
                placement: options.placement,
                fault_latency: self.probes.fault_latency().clone(),
                sockets: self.probes.sockets().clone(),
                cpus: options.cpu_view,
                long_wait_ns: options.pairs.then_some(options.long_wait_ns),
            },
        }
    }

    /// The time since the reading with which measuring began.
    pub fn since_beginning(&self) -> Duration {
        Duration::from_nanos(now_ns().saturating_sub(self.beginning.at_ns))
    }

    /// How long loading, attaching and finding everybody took.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    /// Says so, once, before an agent has more threads than its ledger can count.
    fn warn_of_full_ledger(&mut self, agents: &[Arc<AgentReading>]) {
        let is_full = |reading: &&Arc<AgentReading>| reading.thread_count() > MAX_THREADS / 16 * 15;
        if self.full_ledger_said {
            return;
        }
        if let Some(reading) = agents.iter().find(is_full) {
            self.full_ledger_said = true;
            tracing::warn!(
                agent = &*reading.agent.name,
                threads = reading.thread_count(),
                most = MAX_THREADS,
                "with more threads than that, this agent's times would be wrong"
            );
        }
    }

    fn read_waits(&mut self) -> Vec<WaitEvent> {
        let ahead_ns = self.probes.clock_ahead_ns();
        let on_monotonic_clock = |event: WaitEvent| WaitEvent {
            at_ns: event.at_ns.wrapping_sub(ahead_ns),
            ..event
        };
        std::iter::from_fn(|| self.probes.next_wait())
            .map(on_monotonic_clock)
            .collect()
    }

    fn read_cpus(&self) -> Vec<CpuReading> {
        match self.options.cpu_view {
            CpuView::Off => Vec::new(),
            CpuView::All | CpuView::Selected => reading::cpus(&self.probes),
        }
    }
}
