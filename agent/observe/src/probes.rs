//! The kernel programs of `ebpf/`, loaded and attached, and their maps.

mod batch;
pub(crate) mod faults;
pub(crate) mod sockets;
pub(crate) mod tables;

use std::{
    error::Error,
    os::fd::{AsFd, BorrowedFd},
    time::Duration,
};

use aya::{
    Btf, Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Map, MapData, RingBuf},
    programs::{BtfTracePoint, Program, ProgramError},
};
use aya_log::EbpfLogger;
use hostler_common::{
    agent_record::AgentRecord,
    changes::ProcessChanges,
    clock::ClockDifference,
    event::CgroupEvent,
    fault_latency::FaultLatencies,
    losses::Losses,
    peer::{MAX_PEERS, PeerPool, PeerRecord},
    placement::PlacementRecord,
    run_queue::CpuRecord,
    slot::{RECORDS, SLOTS, SlotState},
    wait_event::{PERIOD_NS, THREAD_NAMES, WAITS_A_PERIOD, WaitEvent},
    wake::MAX_WAKES,
};
use hostler_decide::scene::Availability;

use crate::{
    Available, ObserveError,
    mapped::Mapped,
    offsets, preflight,
    run_queue_clock::{self, ChosenClock, ProbeClock},
    topology::{nodes_of_cpus, possible_cpus},
};

/// The programs as they were compiled.
pub(crate) static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probes.o"));

/// Programs that follow threads and cgroups. They come first, so that whoever is made from then on
/// is known.
const LIFECYCLE: [&str; 6] = [
    "task_newtask",
    "sched_process_exec",
    "cgroup_attach_task",
    "cgroup_mkdir",
    "cgroup_rmdir",
    "sched_process_exit",
];

/// Tell interrupts apart, for who asks who made whom wait. Ends come first: one without a beginning is
/// nothing, and a beginning without an end would seem to last.
const FOR_CAUSES: [&str; 4] = [
    "irq_handler_exit",
    "softirq_exit",
    "irq_handler_entry",
    "softirq_entry",
];

/// Programs without which it is not known who wakes whom, beside [`FOR_CAUSES`]: first those who tell
/// interrupts apart.
const FOR_WAKES: [&str; 4] = [
    "hrtimer_expire_exit",
    "hrtimer_expire_entry",
    "softirq_raise",
    "sched_waking",
];

/// The program that counts how often threads are put on another CPU.
const FOR_PLACEMENT: &str = "sched_migrate_task";

/// Programs that measure. Switches come first: a wake-up whose end is not seen would make a wait
/// out of all that follows it.
const SCHEDULER: [&str; 3] = ["sched_switch", "sched_wakeup", "sched_wakeup_new"];

/// How long and how often to wait until the programs have measured how their clock stands.
const CLOCK_TRY: Duration = Duration::from_millis(1);
const CLOCK_TRIES: u32 = 1_000;

/// How many measurements to take the greatest of: one by itself may be late.
const CLOCK_SAMPLES: usize = 5;

/// What the programs are to do, fixed when they are loaded: the verifier removes the rest.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that is asked for"
)]
pub(crate) struct Settings {
    /// One of [`hostler_common::run_queue::cpu_view`].
    pub(crate) cpu_view: u32,
    /// The shortest wait that counts as long.
    pub(crate) long_wait_ns: u64,
    /// Whether anybody asks who made whom wait.
    pub(crate) causes: bool,
    /// Whether anybody asks who wakes whom.
    pub(crate) wakes: bool,
    /// Whether anybody asks on which nodes threads run.
    pub(crate) placement: bool,
    /// Whether single long waits are to be sent.
    pub(crate) wait_events: bool,
    /// Whether rules may say whose a process is.
    pub(crate) has_rules: bool,
    /// Whether to measure how long page faults take.
    pub(crate) fault_latency: bool,
    /// Whether sockets are to be followed.
    pub(crate) sockets: bool,
    /// Whether the user has given names to peers.
    pub(crate) named_peers: bool,
    /// Id of the root of the v2 hierarchy.
    pub(crate) root_cgroup_id: u64,
    /// The clock to read; the best that this host allows if not said.
    pub(crate) clock: Option<ProbeClock>,
}

impl Settings {
    fn followers(&self) -> Vec<&'static str> {
        let mut names = LIFECYCLE.to_vec();
        if self.causes || self.wakes {
            names.extend(FOR_CAUSES);
        }
        if self.wakes {
            names.extend(FOR_WAKES);
        }
        if self.placement {
            names.push(FOR_PLACEMENT);
        }
        names
    }
}

/// How many elements maps have: those that nobody asks for have one.
struct Sizes {
    cpus: u32,
    wait_ring_bytes: u32,
    thread_names: u32,
    peers: u32,
    latencies: u32,
    placements: u32,
    wakes: u32,
}

impl Sizes {
    fn of(settings: &Settings, cpus: u32) -> Self {
        let if_wanted = |is_wanted, size| if is_wanted { size } else { 1 };
        Self {
            cpus,
            wait_ring_bytes: wait_ring_bytes(settings.wait_events, cpus),
            thread_names: if_wanted(settings.wait_events, THREAD_NAMES),
            peers: if_wanted(settings.sockets, MAX_PEERS),
            latencies: if_wanted(settings.fault_latency, SLOTS),
            placements: if_wanted(settings.placement, SLOTS),
            wakes: if_wanted(settings.wakes, MAX_WAKES),
        }
    }

    fn tell(&self, loader: &mut EbpfLoader<'_>) {
        for (map, size) in [
            ("CPUS", self.cpus),
            ("INTERRUPTS", self.cpus),
            ("CPU_NODES", self.cpus),
            ("WAIT_EVENTS", self.wait_ring_bytes),
            ("THREAD_NAMES", self.thread_names),
            ("PEERS", self.peers),
            ("PEER_RECORDS", self.peers),
            ("FREE_PEERS", self.peers),
            ("FAULT_LATENCIES", self.latencies),
            ("PLACEMENTS", self.placements),
            ("WAKES", self.wakes),
        ] {
            loader.map_max_entries(map, size);
        }
    }
}

/// Loaded programs and their maps. Dropping it detaches and frees everything.
pub(crate) struct Probes {
    agents: Mapped<AgentRecord>,
    leases: Mapped<SlotState>,
    cpus: Mapped<CpuRecord>,
    losses: Mapped<Losses>,
    changes: Mapped<ProcessChanges>,
    peers: Mapped<PeerRecord>,
    peer_pool: Mapped<PeerPool>,
    sockets: Availability,
    fault_latencies: Mapped<FaultLatencies>,
    fault_latency: Availability,
    placements: Mapped<PlacementRecord>,
    has_placement: bool,
    events: RingBuf<MapData>,
    waits: RingBuf<MapData>,
    warnings: EbpfLogger<&'static dyn log::Log>,
    available: Available,
    clock: ChosenClock,
    clock_difference: Mapped<ClockDifference>,
    ebpf: Ebpf,
    /// Those of the programs that follow which are wanted.
    followers: Vec<&'static str>,
}

impl Probes {
    /// Loads all programs; nothing runs yet.
    pub(crate) fn load(settings: &Settings) -> Result<Self, ObserveError> {
        let fields = offsets::resolve()?;
        let btf = Btf::from_sys_fs().map_err(|error| ObserveError::refused("the BTF", error))?;
        let cpus = possible_cpus();
        let mut loader = EbpfLoader::new();
        loader.btf(Some(&btf)).allow_unsupported_maps();
        let sizes = Sizes::of(settings, cpus);
        sizes.tell(&mut loader);
        let available = Available::from_fields(&fields);
        let clock = run_queue_clock::choose(settings.clock, available.run_queue_clock)?;
        let reads_run_queue = clock.clock == ProbeClock::RunQueue;
        let [
            wait_events,
            interrupts,
            wakes,
            placement,
            rules,
            run_queue_clock,
            named_peers,
        ] = [
            settings.wait_events,
            settings.causes || settings.wakes,
            settings.wakes,
            settings.placement,
            settings.has_rules,
            reads_run_queue,
            settings.named_peers,
        ]
        .map(u32::from);
        loader.override_global("INTERRUPTS_WANTED", &interrupts, true);
        loader.override_global("WAKES_WANTED", &wakes, true);
        loader.override_global("PLACEMENT_WANTED", &placement, true);
        loader.override_global("RUN_QUEUE_CLOCK", &run_queue_clock, true);
        loader.override_global("WAIT_EVENTS_WANTED", &wait_events, true);
        loader.override_global("RULES", &rules, true);
        loader.override_global("NAMED_PEERS", &named_peers, true);
        loader.override_global("ROOT_CGROUP_ID", &settings.root_cgroup_id, true);
        loader.override_global("CPU_VIEW", &settings.cpu_view, true);
        loader.override_global("LONG_WAIT_NS", &settings.long_wait_ns, true);
        for (global, offset) in &fields {
            loader.override_global(global, offset, true);
        }
        let mut ebpf = loader
            .load(OBJECT)
            .map_err(|error| ObserveError::refused("the maps", in_full(&error)))?;
        let followers = settings.followers();
        for &name in followers.iter().chain(&SCHEDULER) {
            program(&mut ebpf, name)?
                .load(name, &btf)
                .map_err(|error| refusal(name, error))?;
        }
        let events = ring(&mut ebpf, "EVENTS")?;
        let waits = ring(&mut ebpf, "WAIT_EVENTS")?;
        let mut probes = Self {
            agents: Mapped::new("AGENTS", descriptor(&ebpf, "AGENTS")?, RECORDS)?,
            leases: Mapped::new("LEASES", descriptor(&ebpf, "LEASES")?, SLOTS)?,
            cpus: Mapped::new("CPUS", descriptor(&ebpf, "CPUS")?, cpus)?,
            losses: Mapped::new("LOSSES", descriptor(&ebpf, "LOSSES")?, 1)?,
            changes: Mapped::new("CHANGES", descriptor(&ebpf, "CHANGES")?, 1)?,
            peers: Mapped::new("PEERS", descriptor(&ebpf, "PEERS")?, sizes.peers)?,
            peer_pool: Mapped::new("PEER_POOL", descriptor(&ebpf, "PEER_POOL")?, 1)?,
            sockets: Availability::Unwanted,
            fault_latencies: Mapped::new(
                "FAULT_LATENCIES",
                descriptor(&ebpf, "FAULT_LATENCIES")?,
                sizes.latencies,
            )?,
            fault_latency: Availability::Unwanted,
            placements: Mapped::new(
                "PLACEMENTS",
                descriptor(&ebpf, "PLACEMENTS")?,
                sizes.placements,
            )?,
            has_placement: settings.placement,
            events,
            waits,
            warnings: EbpfLogger::init(&mut ebpf)
                .map_err(|error| ObserveError::refused("the programs' log", in_full(&error)))?,
            available,
            clock,
            clock_difference: Mapped::new("CLOCK", descriptor(&ebpf, "CLOCK")?, 1)?,
            ebpf,
            followers,
        };
        if settings.placement || settings.wakes {
            probes.tell_nodes(&nodes_of_cpus())?;
        }
        if settings.sockets {
            probes.sockets = probes.sockets_of(&btf);
        }
        if settings.fault_latency {
            probes.fault_latency = match probes.load_faults(&btf) {
                Ok(()) => Availability::Measured,
                Err(error) => Availability::Refused(error.to_string()),
            };
        }
        Ok(probes)
    }

    /// Loads what follows sockets. A kernel that refuses it still has all else.
    fn sockets_of(&mut self, btf: &Btf) -> Availability {
        if !self.available.sockets {
            let reason = "this kernel's sockets lack a field that is read".to_owned();
            return Availability::Refused(reason);
        }
        if let Some(capability) = preflight::lacks_for_sockets() {
            return Availability::Refused(format!("Hostler lacks {capability}"));
        }
        match self.load_sockets(btf) {
            Ok(()) => Availability::Measured,
            Err(error) => Availability::Refused(error.to_string()),
        }
    }

    /// Whether sockets are followed.
    pub(crate) fn sockets(&self) -> &Availability {
        &self.sockets
    }

    /// Says why sockets are not followed after all.
    pub(crate) fn give_sockets_up(&mut self, reason: String) {
        self.sockets = Availability::Refused(reason);
    }

    /// Whether it is measured how long faults take.
    pub(crate) fn fault_latency(&self) -> &Availability {
        &self.fault_latency
    }

    /// Says why it is not measured after all.
    pub(crate) fn give_fault_latency_up(&mut self, reason: String) {
        self.fault_latency = Availability::Refused(reason);
    }

    /// How long faults took, by slot; `None` where that is not measured.
    pub(crate) fn fault_latencies(&self, slot: u32) -> Option<&FaultLatencies> {
        if self.fault_latency != Availability::Measured {
            return None;
        }
        self.fault_latencies.records().get(slot as usize)
    }

    /// Where an agent's threads ran, by slot; `None` where that is not counted.
    pub(crate) fn placement(&self, slot: u32) -> Option<&PlacementRecord> {
        let is_counted = self.has_placement;
        let record = self.placements.records().get(slot as usize);
        record.filter(|_| is_counted)
    }

    /// Attaches the programs that follow threads and cgroups.
    pub(crate) fn attach_lifecycle(&mut self) -> Result<(), ObserveError> {
        let followers = self.followers.clone();
        self.attach(&followers)
    }

    /// Attaches the programs that measure, and waits until it is known how their clock stands.
    pub(crate) fn attach_scheduler(&mut self) -> Result<(), ObserveError> {
        self.attach(&SCHEDULER)?;
        if self.clock.clock == ProbeClock::Monotonic {
            return Ok(());
        }
        let difference = &self.clock_difference.records()[0];
        let mut measured = Vec::new();
        for _ in 0..CLOCK_TRIES {
            // To sleep is to be woken, which is when the programs measure it.
            std::thread::sleep(CLOCK_TRY);
            if difference.measured_at_ns.load() == 0 {
                continue;
            }
            measured.push(difference.ahead_ns.load());
            if measured.len() == CLOCK_SAMPLES {
                difference.ahead_ns.store(greatest(&measured));
                return Ok(());
            }
            difference.measured_at_ns.store(0);
        }
        Err(ObserveError::refused(
            "the run queues' clock",
            "too few wake-ups were seen in a second",
        ))
    }

    /// What is to be added to the monotonic clock to get the programs' clock, in ns, wrapping.
    pub(crate) fn clock_ahead_ns(&self) -> u64 {
        self.clock_difference.records()[0].ahead_ns.load()
    }

    /// The clock that the programs read.
    pub(crate) fn clock(&self) -> &ChosenClock {
        &self.clock
    }

    fn attach(&mut self, names: &[&str]) -> Result<(), ObserveError> {
        for name in names {
            program(&mut self.ebpf, name)?.attach().map_err(|error| {
                ObserveError::refused(format!("attaching {name}"), in_full(&error))
            })?;
        }
        Ok(())
    }

    /// The agents' records, by `hostler_common::slot::record_index`.
    pub(crate) fn agents(&self) -> &[AgentRecord] {
        self.agents.records()
    }

    /// Who may count in each slot, by slot.
    pub(crate) fn leases(&self) -> &[SlotState] {
        self.leases.records()
    }

    /// The CPUs' records, by CPU number.
    pub(crate) fn cpus(&self) -> &[CpuRecord] {
        self.cpus.records()
    }

    /// Which of the signals that not every kernel has are counted.
    pub(crate) fn available(&self) -> Available {
        self.available
    }

    /// How often processes came, went or changed of those that user space has a word to say about.
    pub(crate) fn process_changes(&self) -> u64 {
        self.changes.records()[0].count.load()
    }

    /// What was lost.
    pub(crate) fn losses(&self) -> &Losses {
        &self.losses.records()[0]
    }

    /// The next cgroup that came or went, oldest first.
    pub(crate) fn next_event(&mut self) -> Option<CgroupEvent> {
        let record = self.events.next()?;
        CgroupEvent::from_bytes(&record)
    }

    /// The next single long wait, oldest first.
    pub(crate) fn next_wait(&mut self) -> Option<WaitEvent> {
        let record = self.waits.next()?;
        WaitEvent::from_bytes(&record)
    }

    /// Hands the programs' own warnings to the log.
    pub(crate) fn log_warnings(&mut self) {
        self.warnings.flush();
    }

    /// The descriptor of a map that was not taken out of the object.
    pub(crate) fn descriptor(&self, name: &str) -> Result<BorrowedFd<'_>, ObserveError> {
        descriptor(&self.ebpf, name)
    }

    /// Every map with its name and descriptor.
    pub(crate) fn maps(&self) -> Vec<(String, BorrowedFd<'_>)> {
        let mut maps: Vec<_> = self
            .ebpf
            .maps()
            .filter_map(|(name, map)| Some((name.to_owned(), map_descriptor(map)?)))
            .collect();
        maps.push(("EVENTS".to_owned(), self.events.as_fd()));
        maps.push(("WAIT_EVENTS".to_owned(), self.waits.as_fd()));
        maps.push(("AYA_LOGS".to_owned(), self.warnings.as_fd()));
        maps.sort_by(|left, right| left.0.cmp(&right.0));
        maps
    }

    /// Every program with the tracepoint that it is attached to, which is also its name.
    pub(crate) fn programs(&self) -> impl Iterator<Item = (&str, &Program)> {
        self.ebpf.programs()
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, ObserveError> {
    ebpf.program_mut(name)
        .ok_or_else(|| missing(name))?
        .try_into()
        .map_err(|error: ProgramError| ObserveError::refused(name, in_full(&error)))
}

fn descriptor<'a>(ebpf: &'a Ebpf, name: &str) -> Result<BorrowedFd<'a>, ObserveError> {
    ebpf.map(name)
        .and_then(map_descriptor)
        .ok_or_else(|| missing(name))
}

/// The kinds of map that the object holds; aya has no word for task storage.
fn map_descriptor(map: &Map) -> Option<BorrowedFd<'_>> {
    match map {
        Map::Array(data)
        | Map::HashMap(data)
        | Map::LpmTrie(data)
        | Map::PerCpuArray(data)
        | Map::Queue(data)
        | Map::SkStorage(data)
        | Map::Stack(data)
        | Map::Unsupported(data) => Some(data.fd().as_fd()),
        _ => None,
    }
}

fn ring(ebpf: &mut Ebpf, name: &str) -> Result<RingBuf<MapData>, ObserveError> {
    let map = ebpf.take_map(name).ok_or_else(|| missing(name))?;
    RingBuf::try_from(map).map_err(|error| ObserveError::refused(name, error))
}

/// Room for what all CPUs may send of long waits in a second, the longest time between two
/// readings, and no more than some megabytes; a page, the least there is, if nobody asks for them.
fn wait_ring_bytes(is_wanted: bool, cpus: u32) -> u32 {
    const PAGE: u32 = 4096;
    const MOST: u32 = 8 << 20;
    /// An event, with what the ring adds to it, ten periods a second: below 32 KiB.
    const A_CPU: u32 = 32 << 10;
    const SECOND: u64 = 1_000_000_000 / PERIOD_NS * WAITS_A_PERIOD;
    const { assert!(SECOND * (size_of::<WaitEvent>() as u64 + 8) <= A_CPU as u64) };
    if !is_wanted {
        return PAGE;
    }
    cpus.saturating_mul(A_CPU).min(MOST).next_power_of_two()
}

/// The greatest of differences that may have wrapped: the one that is ahead of all others.
fn greatest(differences: &[u64]) -> u64 {
    let first = differences.first().copied().unwrap_or_default();
    differences.iter().fold(first, |greatest, &one| {
        let ahead = one.wrapping_sub(greatest).cast_signed() > 0;
        if ahead { one } else { greatest }
    })
}

fn missing(name: &str) -> ObserveError {
    ObserveError::refused(name, "the object that was built in does not hold it")
}

fn refusal(name: &str, error: ProgramError) -> ObserveError {
    match error {
        ProgramError::LoadError {
            io_error,
            verifier_log,
        } => ObserveError::Unverified {
            program: name.to_owned(),
            reason: io_error,
            log: verifier_log.to_string(),
        },
        other => ObserveError::refused(format!("program {name}"), in_full(&other)),
    }
}

/// An error with all its causes.
fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
