//! A host that does all that a reading can tell of, by chance.

use std::sync::Arc;

use hostler_common::{
    pair::PairKey, peer::PeerKey, slot::SlotLease, wait_event::WaitEvent, wake::WakeKey,
};
use hostler_decide::{
    faults::FaultLatencySignal,
    host::{HostSignal, HugepagePool, Pools, ZramDevice},
    identity::Kind,
    node_memory::NodeMemory,
    peers::{PeerHistograms, PeerSignal},
    polled::{CpuAmounts, MemoryAmounts, PolledSignal},
    pressure::{Pressure, Stall},
    reclaim::Reclaim,
    scene::{Availability, CpuView, HostFacts, Signals},
    signal::{Agent, AgentReading, AgentSource, CpuReading, PairSignal, Reading, RunQueueSignal},
    topology::{CpuPlace, Node, Topology},
    wakes::WakeSignal,
};

use crate::recording::Moment;

pub(crate) fn facts() -> HostFacts {
    HostFacts {
        host: "host".to_owned(),
        kernel: "6.1.0".to_owned(),
        online_cpus: 4,
        topology: topology(),
        named_peers: vec!["model".to_owned()],
        signals: Signals {
            block_io: true,
            oom_kills: true,
            pressure: true,
            wait_events: true,
            wakes: true,
            placement: true,
            fault_latency: Availability::Measured,
            sockets: Availability::Refused("for a test".to_owned()),
            cpus: CpuView::All,
            long_wait_ns: Some(1_000_000),
        },
    }
}

fn topology() -> Topology {
    let place = |cpu: u32| CpuPlace {
        package: cpu / 2,
        l3: (cpu < 2).then_some(0),
        core: cpu,
        node: cpu / 2,
    };
    let node = |node: u32| Node {
        memory_bytes: 1 << 30,
        distances: [(node, 10), (1 - node, 21)].into(),
    };
    Topology {
        cpus: (0..4).map(|cpu| (cpu, place(cpu))).collect(),
        nodes: (0..2).map(|number| (number, node(number))).collect(),
        l3_bytes: vec![8 << 20],
    }
}

pub(crate) struct Host {
    chance: fastrand::Rng,
    reading: Reading,
}

impl Host {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: fastrand::Rng::with_seed(seed),
            reading: Reading::default(),
        }
    }

    /// Something happens, and is read.
    pub(crate) fn read(&mut self) -> Moment {
        self.reading.at_ns += self.chance.u64(1..5_000_000_000);
        self.reading.ledger_ns = self.reading.at_ns.wrapping_add(self.number());
        self.agents();
        self.cpus();
        self.pairs();
        self.wakes();
        self.peers();
        self.reading.host = self.chance.bool().then(|| self.host());
        self.reading.waits = (0..self.chance.usize(..4)).map(|_| self.wait()).collect();
        self.reading.losses.threads_without_record += self.chance.u64(..3);
        self.reading.losses.pairs_folded += self.chance.u64(..3);
        self.reading.losses.sockets_without_record += self.chance.u64(..3);
        self.reading.losses.wakes_not_counted += self.chance.u64(..3);
        Moment {
            reading: self.reading.clone(),
            wall_ms: self.chance.u64(..),
        }
    }

    /// Small, or of any size at all.
    fn number(&mut self) -> u64 {
        match self.chance.u32(..4) {
            0 => self.chance.u64(..),
            1 => 0,
            _ => self.chance.u64(..1_000),
        }
    }

    fn agents(&mut self) {
        self.reading.agents.retain(|_| self.chance.u32(..8) > 0);
        for _ in 0..self.chance.usize(..4) {
            let id = SlotLease {
                slot: self.chance.u32(..20),
                generation: self.chance.u32(..3),
            };
            let agent = self.agent(id);
            let new = Arc::new(AgentReading::nothing_of(Arc::new(agent)));
            let rows = &mut self.reading.agents;
            if let Err(row) = rows.binary_search_by_key(&id, |row| row.agent.id) {
                rows.insert(row, new);
            }
        }
        for row in 0..self.reading.agents.len() {
            let mut reading = (*self.reading.agents[row]).clone();
            match self.chance.u32(..6) {
                0 => reading.agent = Arc::new(self.agent(reading.agent.id)),
                1 => reading.polled = Some(Arc::new(self.polled())),
                4 => reading.node_memory = Some(Arc::new(self.node_memory())),
                2 | 3 => self.act(&mut reading),
                _ => continue,
            }
            self.reading.agents[row] = Arc::new(reading);
        }
    }

    fn agent(&mut self, id: SlotLease) -> Agent {
        let sources = [
            AgentSource::Cgroup,
            AgentSource::Program,
            AgentSource::Rule,
            AgentSource::Kernel,
            AgentSource::Other,
        ];
        Agent {
            id,
            name: format!("agent {}", self.chance.char(..)).into(),
            group: "group".into(),
            kind: self
                .chance
                .choice([Kind::Agent, Kind::System])
                .expect("two"),
            source: self.chance.choice(sources).expect("five"),
            place: "/a/b".into(),
        }
    }

    fn act(&mut self, reading: &mut AgentReading) {
        for word in &mut reading.ledger_words {
            *word = word.wrapping_add(self.number());
        }
        self.run(Arc::make_mut(&mut reading.run_queue));
        for count in [
            &mut reading.block_io.read_bytes,
            &mut reading.block_io.written_bytes,
            &mut reading.faults.minor,
            &mut reading.faults.major,
            &mut reading.oom_kills,
        ] {
            *count = count.wrapping_add(self.number());
        }
        if self.chance.bool() {
            let placement = reading.placement.get_or_insert_default();
            let placement = Arc::make_mut(placement);
            placement.on_cpu_ns[self.chance.usize(..16)] = self.number();
            placement.node_migrations = self.number();
        }
        if self.chance.bool() {
            let latency = reading
                .fault_latency
                .get_or_insert_with(|| Arc::new(FaultLatencySignal::default()));
            let bucket = self.chance.usize(..256);
            Arc::make_mut(latency).major.0[bucket] = self.chance.u32(..);
        }
    }

    fn run(&mut self, run_queue: &mut RunQueueSignal) {
        let count = &mut run_queue.involuntary_switches;
        *count = count.wrapping_add(self.chance.u64(..5));
        for histogram in [
            &mut run_queue.wake_wait,
            &mut run_queue.preempt_wait,
            &mut run_queue.on_cpu,
        ] {
            for _ in 0..self.chance.usize(..5) {
                let bucket = &mut histogram.0[self.chance.usize(..256)];
                *bucket = bucket.wrapping_add(self.chance.u32(..));
            }
        }
    }

    fn cpus(&mut self) {
        self.reading.cpus.retain(|_| self.chance.u32(..8) > 0);
        for cpu in 0..4 {
            let cpus = &mut self.reading.cpus;
            if let Err(row) = cpus.binary_search_by_key(&cpu, |row| row.cpu) {
                let new = CpuReading {
                    cpu,
                    wake_wait_ns: self.chance.u64(..100),
                    preempt_wait_ns: self.chance.u64(..),
                    on_cpu_ns: 0,
                    run_queue: Arc::default(),
                };
                cpus.insert(row, new);
            }
        }
        for row in 0..self.reading.cpus.len() {
            let mut run_queue = (*self.reading.cpus[row].run_queue).clone();
            self.run(&mut run_queue);
            self.reading.cpus[row].run_queue = Arc::new(run_queue);
        }
    }

    fn pairs(&mut self) {
        self.reading.pairs.retain(|_, _| self.chance.u32(..4) > 0);
        for _ in 0..self.chance.usize(..5) {
            let key = PairKey {
                waiter: SlotLease {
                    slot: self.chance.u32(..10),
                    generation: 1,
                },
                cause: self.chance.u32(..),
                relation: self.chance.u32(1..3),
            };
            let signal = PairSignal {
                waits: self.number(),
                wait_ns: self.number(),
            };
            self.reading.pairs.insert(key, signal);
        }
        for signal in self.reading.pairs.values_mut() {
            signal.waits = signal.waits.wrapping_add(self.chance.u64(..3));
        }
    }

    fn wakes(&mut self) {
        self.reading.wakes.retain(|_, _| self.chance.u32(..4) > 0);
        for _ in 0..self.chance.usize(..5) {
            let key = WakeKey {
                woken: SlotLease {
                    slot: self.chance.u32(..10),
                    generation: 1,
                },
                waker: self.chance.u32(..),
                reserved: 0,
            };
            let signal = WakeSignal {
                wakes: self.number(),
                node_wakes: self.number(),
            };
            self.reading.wakes.insert(key, signal);
        }
    }

    fn peers(&mut self) {
        self.reading.peers.retain(|_| self.chance.u32(..8) > 0);
        let key = PeerKey {
            agent: SlotLease {
                slot: self.chance.u32(..10),
                generation: 1,
            },
            peer: self.chance.u32(..10),
            reserved: 0,
        };
        let signal = PeerSignal {
            smoothed_rtt_us: self.chance.u32(..),
            min_rtt_us: self.chance.u32(..),
            ..PeerSignal::default()
        };
        let rows = &mut self.reading.peers;
        if let Err(row) = rows.binary_search_by_key(&key, |(key, _)| *key) {
            rows.insert(row, (key, Arc::new(signal)));
        }
        for row in 0..self.reading.peers.len() {
            if self.chance.bool() {
                continue;
            }
            let mut signal = (*self.reading.peers[row].1).clone();
            signal.counts.rtt_us = self.number();
            signal.counts.closed += 1;
            let mut histograms = PeerHistograms::default();
            histograms.connect.0[self.chance.usize(..256)] = self.chance.u32(..);
            signal.histograms = Arc::new(histograms);
            self.reading.peers[row].1 = Arc::new(signal);
        }
    }

    fn node_memory(&mut self) -> NodeMemory {
        let mut memory = NodeMemory {
            at_ns: self.reading.at_ns.wrapping_sub(self.chance.u64(..9_999)),
            ..NodeMemory::default()
        };
        for node in 0..self.chance.usize(..16) {
            memory.bytes.anon[node] = self.number();
            memory.bytes.file[node] = self.number();
        }
        memory
    }

    fn polled(&mut self) -> PolledSignal {
        let memory = MemoryAmounts {
            current_bytes: self.number(),
            anon_bytes: self.number(),
            file_bytes: self.number(),
            swap_bytes: self.number(),
        };
        PolledSignal {
            at_ns: self.reading.at_ns.wrapping_sub(self.chance.u64(..9_999)),
            pressure: self.chance.bool().then(|| self.pressure()),
            cpu: CpuAmounts {
                usage_us: self.number(),
                throttled_us: self.number(),
                throttled_periods: self.number(),
            },
            memory: self.chance.bool().then(|| (memory, self.reclaim())),
        }
    }

    fn pressure(&mut self) -> Pressure {
        let mut stall = || Stall {
            some_us: self.number(),
            full_us: self.number(),
        };
        Pressure {
            cpu: stall(),
            memory: stall(),
            io: stall(),
        }
    }

    fn reclaim(&mut self) -> Reclaim {
        Reclaim {
            refaulted_anon: self.number(),
            refaulted_file: self.number(),
            swapped_in: self.number(),
            direct_scanned: self.number(),
            direct_reclaimed: self.number(),
            numa_hint_faults: self.number(),
            numa_migrated: self.number(),
        }
    }

    fn host(&mut self) -> HostSignal {
        HostSignal {
            pressure: self.chance.bool().then(|| self.pressure()),
            reclaim: self.reclaim(),
            pools: Pools {
                hugepages: vec![HugepagePool {
                    node: 1,
                    page_bytes: 2 << 20,
                    total: self.number(),
                    free: self.number(),
                    surplus: self.number(),
                }],
                zram: vec![ZramDevice {
                    name: "zram0".to_owned(),
                    stored_bytes: self.number(),
                    compressed_bytes: self.number(),
                    memory_bytes: self.number(),
                }],
                zswap_bytes: self.chance.bool().then(|| self.number()),
                zswapped_bytes: self.chance.bool().then(|| self.number()),
                free_bytes: self.number(),
                available_bytes: self.number(),
                total_bytes: self.number(),
                dying_cgroups: self.number(),
            },
            alarms: vec![("the host".to_owned(), self.number())],
        }
    }

    fn wait(&mut self) -> WaitEvent {
        WaitEvent {
            at_ns: self.number(),
            wait_ns: self.number(),
            waiter: SlotLease {
                slot: self.chance.u32(..),
                generation: self.chance.u32(..),
            },
            waiter_tid: self.chance.u32(..),
            cause: self.chance.u32(..),
            cause_tid: self.chance.u32(..),
            relation: 1,
            cpu: self.chance.u32(..),
            reserved: 0,
            waiter_name: *b"a thread\0\0\0\0\0\0\0\0",
            cause_name: [self.chance.u8(..); 16],
        }
    }
}
