//! The one that observes: loads the probes, keeps agents and slots in step with the host, reads.
//!
//! Start-up goes from those who follow to those who measure: probes of threads and cgroups first,
//! then what is there already, then the scheduler's probes. Whoever comes meanwhile is seen by the
//! first kind, so nobody is missed and nobody is counted before being known.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use hostler_common::{
    event::{CgroupEvent, kind},
    run_queue::cpu_view,
    slot::{KERNEL, OTHER, ProcessLease, SlotLease},
};
use hostler_decide::signal::{Agent, AgentKind, Reading, RunQueueSignal};
use nix::time::{ClockId, clock_gettime};

use crate::{
    AgentPlace, ObserveError, ThreadSource,
    agents::{Directory, Origin},
    cgroups::Hierarchy,
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
    /// Where the list of threads comes from; the best that this kernel allows if not said.
    pub threads_from: Option<ThreadSource>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cpu_view: CpuView::Off,
            select: Box::new(|_| true),
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
    options: Options,
    /// Agents that user space found no slot for.
    agents_without_slot: u64,
    /// `events_not_sent` as of the last rescan.
    events_missed: u64,
    started_in: Duration,
    /// When the scheduler's programs were attached, in ns of the monotonic clock.
    attached_at_ns: u64,
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
        let mut probes = Probes::load(view)?;
        let mut slots = SlotBook::new();
        for slot in slots.lend() {
            probes
                .push_free_slot(slot)
                .map_err(|error| ObserveError::refused("a slot", error))?;
        }
        probes.attach_lifecycle()?;
        let snapshot = Snapshot::open(options.threads_from, &probes, &hierarchy)?;
        let mut observer = Self {
            probes,
            snapshot,
            hierarchy,
            directory: Directory::new(),
            programs: Programs::default(),
            slots,
            options,
            agents_without_slot: 0,
            events_missed: 0,
            started_in: Duration::ZERO,
            attached_at_ns: 0,
        };
        observer.rescan_cgroups();
        observer.snapshot.threads()?;
        observer.refresh_programs()?;
        observer.attached_at_ns = now_ns();
        observer.probes.attach_scheduler()?;
        observer.started_in = began.elapsed();
        tracing::debug!(agents = observer.directory.len(), elapsed = ?observer.started_in, "started");
        Ok(observer)
    }

    /// The reading at the instant when the scheduler's programs were attached: nothing was counted
    /// yet. What follows it up to the first real reading belongs to the first window.
    pub fn beginning(&self) -> Reading {
        Reading {
            at_ns: self.attached_at_ns,
            ..Reading::default()
        }
    }

    /// Takes in who came and went, and reads all signals.
    pub fn read(&mut self) -> Result<Reading, ObserveError> {
        self.follow_events();
        self.refresh_programs()?;
        self.probes.log_warnings();
        reading::refresh(&mut self.directory, &self.probes);
        let reading = Reading {
            at_ns: now_ns(),
            agents: self
                .directory
                .entries()
                .map(|entry| (entry.agent.clone(), Arc::clone(&entry.last)))
                .collect(),
            cpus: self.read_cpus(),
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
        let mut threads = std::collections::BTreeMap::<SlotLease, (u32, BTreeSet<u32>)>::new();
        for row in &rows {
            let (count, processes) = threads.entry(self.lease_of(row)).or_default();
            *count += 1;
            processes.insert(row.tgid);
        }
        let places = self.directory.entries().filter_map(|entry| {
            let (threads, processes) = threads.get(&entry.agent.id)?;
            Some(AgentPlace {
                agent: entry.agent.clone(),
                place: place(&entry.origin, &entry.agent),
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

    /// The names of all known agents.
    pub fn agent_names(&self) -> impl Iterator<Item = &str> {
        self.directory.entries().map(|entry| &*entry.agent.name)
    }

    /// How long loading, attaching and finding everybody took.
    pub fn started_in(&self) -> Duration {
        self.started_in
    }

    fn read_cpus(&self) -> Vec<(u32, Arc<RunQueueSignal>)> {
        if self.options.cpu_view == CpuView::Off {
            return Vec::new();
        }
        let records = self.probes.cpus().iter().map(|record| &record.run_queue);
        (0..)
            .zip(records.map(|record| Arc::new(reading::read(record))))
            .collect()
    }

    // === cgroups ===

    /// Takes in the cgroups that came and went, and fills the kernel's queue of slots up.
    fn follow_events(&mut self) {
        while let Some(event) = self.probes.next_event() {
            self.follow_event(&event);
        }
        let missed = self.probes.losses().events_not_sent.load();
        if missed != self.events_missed {
            tracing::warn!(
                lost = missed - self.events_missed,
                "events were lost: rescanning"
            );
            self.events_missed = missed;
            self.reclaim_slots();
            self.rescan_cgroups();
        }
        for slot in self.slots.lend() {
            if let Err(error) = self.probes.push_free_slot(slot) {
                tracing::debug!(slot, %error, "the kernel's queue of slots is full");
                self.slots.given(slot);
                self.slots.put_back(slot);
                break;
            }
        }
    }

    fn follow_event(&mut self, event: &CgroupEvent) {
        let origin = Origin::Cgroup(event.cgroup_id);
        match event.kind {
            kind::CGROUP_MADE if event.lease.slot != OTHER => {
                self.slots.given(event.lease.slot);
                let path = event
                    .path()
                    .map(|path| String::from_utf8_lossy(path).into_owned());
                let name = path.or_else(|| self.path_of(event.cgroup_id));
                let name = name.unwrap_or_else(|| format!("cgroup {}", event.cgroup_id));
                self.enter(
                    event.lease,
                    name.trim_start_matches('/'),
                    AgentKind::Cgroup,
                    origin,
                );
            }
            kind::CGROUP_REMOVED => {
                // The lease in the event is empty if the cgroup was found by a scan meanwhile.
                if let Some(lease) = self.directory.lease_of(&origin) {
                    self.probes.forget_cgroup(event.cgroup_id);
                    self.slots.rest(lease.slot, event.at_ns);
                }
            }
            _ => {}
        }
    }

    /// Finds cgroups that no event told of, and those that are gone without one.
    fn rescan_cgroups(&mut self) {
        let found = self.hierarchy.scan();
        let present: BTreeSet<u64> = found.iter().map(|cgroup| cgroup.id).collect();
        for cgroup in found {
            let origin = Origin::Cgroup(cgroup.id);
            if self.directory.lease_of(&origin).is_none() {
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
            // It may rest already, if its event did arrive.
            self.slots.wake(slot);
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
            Ok(false) => self.slots.put_back(lease.slot),
            Err(error) => {
                tracing::debug!(cgroup_id, %error, "a cgroup's slot could not be stored");
                self.agents_without_slot += 1;
                self.slots.put_back(lease.slot);
            }
        }
    }

    /// Empties the kernel's queue; slots that were given without our hearing of it and are held
    /// by nobody rest, all others are found by the rescan that follows.
    fn reclaim_slots(&mut self) {
        let mut unused = BTreeSet::new();
        while let Some(slot) = self.probes.pop_free_slot() {
            unused.insert(slot);
        }
        let held = self.probes.leased_slots();
        for slot in self.slots.reclaim(&unused) {
            if !held.contains(&slot) {
                self.slots.rest(slot, now_ns());
            }
        }
    }

    fn path_of(&self, cgroup_id: u64) -> Option<String> {
        self.hierarchy
            .scan()
            .into_iter()
            .find(|found| found.id == cgroup_id)
            .map(|found| found.path)
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
            self.snapshot.forget(tgid);
        }
        let any_found = !found.is_empty();
        for process in found {
            let lease = self
                .directory
                .lease_of(&Origin::Program(process.key))
                .unwrap_or_default();
            let lease = ProcessLease {
                lease,
                started_ns: process.started_ns,
            };
            if let Err(error) = self.snapshot.assign(process.tgid, lease) {
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
        let Some(slot) = self.slots.take() else {
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

    fn enter(&mut self, lease: SlotLease, name: &str, kind: AgentKind, origin: Origin) {
        if let Some(record) = self.probes.agents().get(lease.slot as usize) {
            record
                .selected
                .store(u32::from((self.options.select)(name)));
        }
        self.directory.add(
            Agent {
                id: lease,
                name: name.into(),
                kind,
            },
            origin,
        );
    }

    /// Clears and frees the slots whose rest is over. Their last reading has been taken.
    fn recycle_slots(&mut self, now_ns: u64) {
        while let Some(slot) = self.slots.rested(now_ns) {
            self.directory.remove(slot);
            if let Some(record) = self.probes.agents().get(slot as usize) {
                // Who still holds the old lease must look again from now on.
                record
                    .generation
                    .store(record.generation.load().wrapping_add(1));
                record.selected.store(0);
                reading::clear(&record.run_queue);
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

fn place(origin: &Origin, agent: &Agent) -> String {
    match origin {
        Origin::Cgroup(_) => format!("/{}", agent.name),
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

/// The monotonic clock in ns, the one that the programs read.
fn now_ns() -> u64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|time| u64::try_from(Duration::from(time).as_nanos()).unwrap_or(u64::MAX))
        .unwrap_or_default()
}
