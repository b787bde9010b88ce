//! The one that observes: loads the probes, keeps agents and slots in step with the host, reads.
//!
//! Start-up goes from those who follow to those who measure: probes of threads and cgroups first,
//! then the cgroups and programs that are there already, the scheduler's probes, and at last the
//! records of threads that are older. Whoever comes meanwhile is seen by the first kind, and a
//! thread's state is read when its changes are seen already, so nobody is missed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use hostler_common::{
    event::{CgroupEvent, kind},
    pair::PairKey,
    run_queue::cpu_view,
    slot::{KERNEL, OTHER, ProcessLease, SlotLease},
};
use hostler_decide::signal::{Agent, AgentKind, CpuReading, PairSignal, Reading};

use crate::{
    AgentPlace, ObserveError, ThreadSource,
    agents::{Directory, Entry, Origin},
    cgroups::Hierarchy,
    clock::now_ns,
    names::Names,
    preflight,
    probes::Probes,
    processes::ThreadRow,
    programs::{Changes, ProgramKey, Programs},
    reading,
    slots::SlotBook,
    snapshot::Snapshot,
};

/// What is counted per CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuView {
    /// Nothing.
    #[default]
    Off,
    /// All threads.
    All,
    /// The threads of agents that [`Options::select`] accepts.
    Selected,
}

/// How to observe.
pub struct Options {
    /// What is counted per CPU.
    pub cpu_view: CpuView,
    /// Which agents, by name, [`CpuView::Selected`] counts.
    pub select: Box<dyn Fn(&str) -> bool + Send>,
    /// Whether to read who made whom wait.
    pub pairs: bool,
    /// The shortest wait that counts as long, in ns.
    pub long_wait_ns: u64,
    /// Where the list of threads comes from; the best that this kernel allows if not said.
    pub threads_from: Option<ThreadSource>,
}

/// How long an agent is young, and its name may still change.
const NAMING_NS: u64 = 60_000_000_000;

/// From here on a wait is felt: an order of magnitude above what a free CPU takes, and below a
/// scheduler's time slice.
pub const LONG_WAIT_NS: u64 = 1_000_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            cpu_view: CpuView::Off,
            select: Box::new(|_| true),
            pairs: false,
            long_wait_ns: LONG_WAIT_NS,
            threads_from: None,
        }
    }
}

/// Attached probes and what is known of the host. Dropping it leaves the host as it was.
pub struct Observer {
    probes: Probes,
    snapshot: Snapshot,
    hierarchy: Hierarchy,
    directory: Directory,
    programs: Programs,
    slots: SlotBook,
    names: Names,
    options: Options,
    /// Agents that user space found no slot for.
    agents_without_slot: u64,
    /// `events_not_sent` as of the last rescan.
    events_missed: u64,
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
        let probes = Probes::load(view, options.long_wait_ns)?;
        let snapshot = Snapshot::open(options.threads_from, &probes, &hierarchy)?;
        let mut observer = Self {
            probes,
            snapshot,
            hierarchy,
            directory: Directory::new(),
            programs: Programs::default(),
            slots: SlotBook::new(),
            names: Names::new(Path::new("/")),
            options,
            agents_without_slot: 0,
            events_missed: 0,
            started_in: Duration::ZERO,
            beginning: Reading::default(),
        };
        observer.lend_slots();
        observer.probes.attach_lifecycle()?;
        observer.rescan_cgroups();
        observer.refresh_programs()?;
        observer.probes.attach_scheduler()?;
        observer.snapshot.threads()?;
        observer.beginning = observer.read()?;
        observer.started_in = began.elapsed();
        tracing::info!(agents = observer.directory.len(), elapsed = ?observer.started_in, "measuring");
        Ok(observer)
    }

    /// The reading with which measuring began, when everybody was known.
    pub fn beginning(&self) -> &Reading {
        &self.beginning
    }

    /// Takes in who came and went, and reads all signals.
    pub fn read(&mut self) -> Result<Reading, ObserveError> {
        self.follow_events();
        self.refresh_programs()?;
        self.refresh_names(now_ns());
        self.probes.log_warnings();
        let at_ns = now_ns();
        let agents = reading::agents(&mut self.directory, &self.probes, at_ns);
        let reading = Reading {
            at_ns,
            agents,
            cpus: self.read_cpus(),
            pairs: self.read_pairs(),
            losses: reading::read_losses(self.probes.losses(), self.agents_without_slot),
        };
        self.recycle_slots(reading.at_ns);
        Ok(reading)
    }

    /// The agents that have threads now, with how many.
    pub fn agents(&mut self) -> Result<Vec<AgentPlace>, ObserveError> {
        self.follow_events();
        self.refresh_programs()?;
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
                agent: entry.agent.clone(),
                place: place(entry),
                threads: *threads,
                processes: u32::try_from(processes.len()).unwrap_or(u32::MAX),
            })
        });
        Ok(places.collect())
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

    /// How many agents are known.
    pub fn known_agents(&self) -> usize {
        self.directory.len()
    }

    /// The name of who holds a slot, or held it last; `None` for what is no slot.
    pub fn name_of_slot(&self, slot: u32) -> Option<&str> {
        self.directory.name_of_slot(slot)
    }

    /// The names of all known agents.
    pub fn agent_names(&self) -> impl Iterator<Item = &str> {
        self.directory.entries().map(|entry| &*entry.agent.name)
    }

    /// How long loading, attaching and finding everybody took.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    fn read_cpus(&self) -> Vec<CpuReading> {
        match self.options.cpu_view {
            CpuView::Off => Vec::new(),
            CpuView::All | CpuView::Selected => reading::cpus(&self.probes),
        }
    }

    fn read_pairs(&mut self) -> BTreeMap<PairKey, PairSignal> {
        if self.options.pairs {
            self.probes.pairs()
        } else {
            BTreeMap::new()
        }
    }

    // === cgroups ===

    /// Takes in the cgroups that came and went, and fills the kernel's queue of slots up.
    fn follow_events(&mut self) {
        let events: Vec<CgroupEvent> = std::iter::from_fn(|| self.probes.next_event()).collect();
        let is_nameless =
            |event: &CgroupEvent| event.kind == kind::CGROUP_MADE && event.path().is_none();
        let found: BTreeMap<u64, String> = if events.iter().any(is_nameless) {
            self.hierarchy
                .scan()
                .into_iter()
                .map(|found| (found.id, found.path))
                .collect()
        } else {
            BTreeMap::new()
        };
        for event in &events {
            self.follow_event(event, &found);
        }
        let missed = self.probes.losses().events_not_sent.load();
        if missed != self.events_missed {
            tracing::warn!(
                lost = missed - self.events_missed,
                "events were lost: rescanning"
            );
            self.events_missed = missed;
            self.make_up_for_lost_events();
        }
        self.lend_slots();
    }

    fn lend_slots(&mut self) {
        for slot in self.slots.lend() {
            if let Err(error) = self.probes.push_free_slot(slot) {
                tracing::debug!(slot, %error, "the kernel's queue of slots is full");
                self.slots.free(slot);
            }
        }
    }

    /// `found` are the paths of cgroups by id, for events that could not carry theirs.
    fn follow_event(&mut self, event: &CgroupEvent, found: &BTreeMap<u64, String>) {
        let origin = Origin::Cgroup(event.cgroup_id);
        match event.kind {
            kind::CGROUP_MADE => {
                let path = event
                    .path()
                    .map(|path| String::from_utf8_lossy(path).into_owned());
                let name = path
                    .or_else(|| found.get(&event.cgroup_id).cloned())
                    .unwrap_or_else(|| format!("cgroup {}", event.cgroup_id));
                let name = name.trim_start_matches('/');
                if event.lease.slot != OTHER {
                    self.slots.given(event.lease.slot);
                    self.enter(event.lease, name, AgentKind::Cgroup, origin);
                } else if self.hierarchy.id_at(name) == Some(event.cgroup_id) {
                    // The kernel's queue was empty; its threads look again until they find this.
                    self.lease_to_cgroup(event.cgroup_id, name);
                }
            }
            kind::CGROUP_REMOVED => {
                self.probes.forget_cgroup(event.cgroup_id);
                // The event knows no lease that came after the cgroup was made, and the directory
                // none whose event was lost.
                let lease = self.directory.lease_of(&origin).unwrap_or(event.lease);
                let holder = self.directory.lease_of_slot(lease.slot);
                if holder.is_none_or(|holder| holder == lease) {
                    self.slots.rest(lease.slot, event.at_ns);
                }
            }
            _ => {}
        }
    }

    /// Finds out by looking what events did not tell.
    fn make_up_for_lost_events(&mut self) {
        let unused = std::iter::from_fn(|| self.probes.pop_free_slot()).collect();
        self.slots.reclaim(&unused);
        self.rescan_cgroups();
        // What is held, but neither by a cgroup that the kernel knows nor by anybody we know, was
        // given and left again unheard of.
        let leased = self.probes.leased_slots();
        for slot in self.slots.held() {
            if !leased.contains(&slot) && self.directory.lease_of_slot(slot).is_none() {
                self.slots.rest(slot, now_ns());
            }
        }
    }

    /// Finds cgroups that no event told of, and those that are gone without one.
    fn rescan_cgroups(&mut self) {
        let found = self.hierarchy.scan();
        let present: BTreeSet<u64> = found.iter().map(|cgroup| cgroup.id).collect();
        for cgroup in found {
            if self
                .directory
                .lease_of(&Origin::Cgroup(cgroup.id))
                .is_none()
            {
                self.lease_to_cgroup(cgroup.id, &cgroup.path);
            }
        }
        let gone: Vec<(u64, u32)> = self
            .directory
            .entries()
            .filter_map(|entry| match entry.origin {
                Origin::Cgroup(id) if !present.contains(&id) => Some((id, entry.agent.id.slot)),
                _ => None,
            })
            .collect();
        for (cgroup_id, slot) in gone {
            self.probes.forget_cgroup(cgroup_id);
            self.slots.rest(slot, now_ns());
        }
    }

    fn lease_to_cgroup(&mut self, cgroup_id: u64, path: &str) {
        if let Some(lease) = self.probes.lease_of_cgroup(cgroup_id) {
            // The kernel side was first, and its event was lost or is still to come.
            self.slots.given(lease.slot);
            self.enter(lease, path, AgentKind::Cgroup, Origin::Cgroup(cgroup_id));
            return;
        }
        let Some(lease) = self.new_lease(path) else {
            return;
        };
        match self.probes.lease_to_cgroup(cgroup_id, lease) {
            Ok(true) => {
                self.enter(lease, path, AgentKind::Cgroup, Origin::Cgroup(cgroup_id));
            }
            Ok(false) => self.slots.free(lease.slot),
            Err(error) => {
                tracing::debug!(cgroup_id, %error, "a cgroup's slot could not be stored");
                self.agents_without_slot += 1;
                self.slots.free(lease.slot);
            }
        }
    }

    // === programs in the root cgroup ===

    /// Takes in which programs run in the root cgroup, and charges their threads to them.
    fn refresh_programs(&mut self) -> Result<(), ObserveError> {
        let rows = self.snapshot.root_processes()?;
        let Changes {
            appeared,
            departed,
            found,
            gone,
        } = self.programs.update(&rows);
        for key in appeared {
            self.lease_to_program(key);
        }
        for tgid in gone {
            self.probes.forget_process(tgid);
        }
        let any_found = !found.is_empty();
        for process in found {
            let lease = self
                .directory
                .lease_of(&Origin::Program(process.key))
                .unwrap_or_default();
            let lease = ProcessLease {
                lease,
                started_ticks: process.started_ticks,
            };
            if let Err(error) = self.probes.lease_to_process(process.tgid, lease) {
                // The table is full: the process stays with its parent's agent or with nobody.
                tracing::debug!(tgid = process.tgid, %error, "a process was not told apart");
                self.agents_without_slot += 1;
            }
        }
        for key in departed {
            if let Some(lease) = self.directory.lease_of(&Origin::Program(key)) {
                self.slots.rest(lease.slot, now_ns());
            }
        }
        if any_found {
            // Once more, so that the threads take on what was just said.
            self.snapshot.root_processes()?;
        }
        Ok(())
    }

    fn lease_to_program(&mut self, key: ProgramKey) {
        let origin = Origin::Program(key);
        if let Some(lease) = self.directory.lease_of(&origin) {
            // It was here a moment ago, and its slot still rests.
            self.slots.wake(lease.slot);
            return;
        }
        let Origin::Program(key) = &origin else {
            return;
        };
        let name = key.to_string();
        if let Some(lease) = self.new_lease(&name) {
            self.enter(lease, &name, AgentKind::Program, origin);
        }
    }

    // === slots ===

    /// A slot, under a new generation, for an agent that user space has found.
    fn new_lease(&mut self, name: &str) -> Option<SlotLease> {
        let slot = self.slots.take().or_else(|| {
            let slot = self.probes.pop_free_slot()?;
            self.slots.take_lent(slot);
            Some(slot)
        });
        let Some(slot) = slot else {
            self.agents_without_slot += 1;
            tracing::warn!(
                agent = name,
                "no free slot: its threads are counted as other"
            );
            return None;
        };
        let record = self.probes.agents().get(slot as usize)?;
        let generation = record.generation.load().wrapping_add(1).max(1);
        record.generation.store(generation);
        Some(SlotLease { slot, generation })
    }

    /// `what` is a cgroup's path, or a program with its session.
    fn enter(&mut self, lease: SlotLease, what: &str, kind: AgentKind, origin: Origin) {
        if let Some(older) = self
            .directory
            .lease_of(&origin)
            .filter(|&older| older != lease)
        {
            // Kernel and user space gave it a slot each; the kernel's is the one in use.
            self.slots.rest(older.slot, now_ns());
        }
        let now_ns = now_ns();
        let (name, path) = match kind {
            AgentKind::Cgroup => (self.names.of_cgroup(what, now_ns).display, what),
            _ => (what.to_owned(), ""),
        };
        if let Some(record) = self.probes.agents().get(lease.slot as usize) {
            record
                .selected
                .store(u32::from((self.options.select)(&name)));
        }
        let agent = Agent {
            id: lease,
            name: name.into(),
            kind,
        };
        self.directory.add(agent, origin, path, now_ns);
    }

    /// Container runtimes write down what a container is called a moment after they have made its
    /// cgroup: the names of young agents are looked up again.
    fn refresh_names(&mut self, now_ns: u64) {
        for entry in self.directory.entries_mut() {
            let is_young = now_ns.saturating_sub(entry.entered_ns) < NAMING_NS;
            if entry.path.is_empty() || !is_young {
                continue;
            }
            let name = self.names.of_cgroup(&entry.path, now_ns).display;
            if *entry.agent.name != *name {
                entry.agent.name = name.into();
            }
        }
    }

    /// Clears and frees the slots whose rest is over. Their last reading has been taken.
    fn recycle_slots(&mut self, now_ns: u64) {
        let rested: BTreeSet<u32> = std::iter::from_fn(|| self.slots.rested(now_ns)).collect();
        if rested.is_empty() {
            return;
        }
        self.probes.forget_pairs_of(&rested);
        for slot in rested {
            self.directory.remove(slot);
            if let Some(record) = self.probes.agents().get(slot as usize) {
                // Who still holds the old lease must look again from now on.
                record
                    .generation
                    .store(record.generation.load().wrapping_add(1));
                record.selected.store(0);
                reading::clear(&record.ledger, &record.run_queue);
            }
            self.slots.free(slot);
        }
    }

    fn lease_of(&self, row: &ThreadRow) -> SlotLease {
        let slot = |slot| SlotLease {
            slot,
            generation: 0,
        };
        if row.cgroup_id != self.hierarchy.root_id() {
            let origin = Origin::Cgroup(row.cgroup_id);
            return self
                .directory
                .lease_of(&origin)
                .unwrap_or_else(|| slot(OTHER));
        }
        if row.kernel_thread {
            return slot(KERNEL);
        }
        let key = self.programs.of_process(row.tgid).cloned();
        key.and_then(|key| self.directory.lease_of(&Origin::Program(key)))
            .unwrap_or_else(|| slot(OTHER))
    }
}

fn place(entry: &Entry) -> String {
    match &entry.origin {
        Origin::Cgroup(_) => format!("/{}", entry.path),
        Origin::Program(key) if key.session == 0 => {
            format!("{} in the root cgroup, no session", key.program)
        }
        Origin::Program(key) => {
            format!(
                "{} in the root cgroup, session {}",
                key.program, key.session
            )
        }
        Origin::Slot(KERNEL) => "kernel threads".to_owned(),
        Origin::Slot(_) => "not attributed".to_owned(),
    }
}
