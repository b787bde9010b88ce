//! Copies what the kernel side has counted into signals.

use std::sync::Arc;

use hostler_common::{
    agent_record::AgentRecord,
    block_io::BlockIo,
    fault_latency::FaultLatencies,
    faults::Faults,
    histogram::Histogram,
    ledger::{Ledger, STATES},
    losses::Losses,
    placement::PlacementRecord,
    run_queue::{CpuRecord, RunQueue},
    slot::{self, record_index},
};
use hostler_decide::{
    durations::BucketReadings,
    faults::FaultLatencySignal,
    placement::Placement,
    signal::{AgentReading, BlockIoSignal, CpuReading, FaultSignal, LossSignal, RunQueueSignal},
};

use crate::{
    agents::{Directory, Entry},
    probes::Probes,
};

/// Reads every known agent's records. Ledgers tell of any instant near the reading: a thread counts
/// in one state at any time, so the sum of its states is exact however long the reading takes, and
/// only its share of a state that changes meanwhile is off by that.
pub(crate) fn agents(directory: &mut Directory, probes: &Probes) -> Vec<Arc<AgentReading>> {
    // All ledgers first, without looking at anything else: a cache then fetches many at a time.
    let slots = directory.entries().map(|entry| entry.agent.id.slot);
    let words: Vec<_> = slots.map(|slot| sum_of_words(probes, slot)).collect();
    let entries = directory.entries_mut().zip(words);
    entries
        .map(|(entry, words)| Arc::clone(refresh(entry, words, probes)))
        .collect()
}

/// Reads all of an agent if the words of its ledger have changed, which the kernel side changes last
/// whatever else it counts.
fn refresh<'a>(
    entry: &'a mut Entry,
    words: [u64; STATES],
    probes: &Probes,
) -> &'a Arc<AgentReading> {
    let slot = entry.agent.id.slot;
    let did_something = words != entry.last.ledger_words;
    if did_something || entry.is_changed {
        let mut reading = AgentReading {
            agent: Arc::clone(&entry.agent),
            ledger_words: words,
            polled: entry.polled.clone(),
            node_memory: entry.node_memory.clone(),
            ..(*entry.last).clone()
        };
        if did_something {
            entry.is_busy = true;
            reading.run_queue = Arc::new(sum_of_run_queues(probes, slot));
            reading.block_io = sum_of_block_io(probes, slot);
            reading.faults = sum_of_faults(probes, slot);
            reading.fault_latency = probes.fault_latencies(slot).map(read_fault_latencies);
            reading.oom_kills = sum_of_oom_kills(probes, slot);
            reading.placement = probes.placement(slot).map(read_placement);
        }
        entry.last = Arc::new(reading);
        entry.is_changed = false;
    }
    &entry.last
}

/// Reads every CPU's record.
pub(crate) fn cpus(probes: &Probes) -> Vec<CpuReading> {
    let reading = |(cpu, record): (u32, &CpuRecord)| CpuReading {
        cpu,
        wake_wait_ns: record.wake_wait_ns.load(),
        preempt_wait_ns: record.preempt_wait_ns.load(),
        on_cpu_ns: record.on_cpu_ns.load(),
        run_queue: Arc::new(read(&record.run_queue)),
    };
    (0..).zip(probes.cpus()).map(reading).collect()
}

/// Sets a slot's records to zero between two agents.
pub(crate) fn clear(probes: &Probes, slot: u32) {
    if let Some(latencies) = probes.fault_latencies(slot) {
        clear_histogram(&latencies.minor);
        clear_histogram(&latencies.major);
    }
    if let Some(record) = probes.placement(slot) {
        for ns in &record.on_cpu_ns {
            ns.store(0);
        }
        record.migrations.store(0);
        record.node_migrations.store(0);
    }
    for record in shards(probes, slot) {
        clear_one(record);
    }
}

fn clear_one(record: &AgentRecord) {
    let run_queue = &record.run_queue;
    record.block_io.read_bytes.store(0);
    record.block_io.written_bytes.store(0);
    record.faults.minor.store(0);
    record.faults.major.store(0);
    record.oom_kills.store(0);
    for word in &record.ledger.words {
        word.store(0);
    }
    run_queue.unmeasured_stretches.store(0);
    run_queue.involuntary_switches.store(0);
    for histogram in [
        &run_queue.wake_wait,
        &run_queue.preempt_wait,
        &run_queue.on_cpu,
    ] {
        clear_histogram(histogram);
    }
}

/// Sets a histogram to zero between two agents.
pub(crate) fn clear_histogram(histogram: &Histogram) {
    for bucket in &histogram.buckets {
        bucket.store(0);
    }
}

/// What was lost; `agents_without_slot` counts those that user space found no slot for.
pub(crate) fn read_losses(losses: &Losses, agents_without_slot: u64) -> LossSignal {
    LossSignal {
        threads_without_record: losses.threads_without_record.load(),
        records_not_made: losses.records_not_made.load(),
        negative_durations: losses.negative_durations.load(),
        agents_without_slot: losses.cgroups_without_slot.load() + agents_without_slot,
        events_not_sent: losses.events_not_sent.load(),
        provisional_ns: losses.provisional_ns.load(),
        pairs_not_counted: losses.pairs_not_counted.load(),
        waits_held_back: losses.waits_held_back.load(),
        waits_not_sent: losses.waits_not_sent.load(),
        pairs_folded: 0,
        peers_not_counted: losses.peers_not_counted.load(),
        sockets_without_record: losses.sockets_without_record.load(),
        wakes_not_counted: losses.wakes_not_counted.load(),
    }
}

fn read(run_queue: &RunQueue) -> RunQueueSignal {
    // The kernel side counts a duration in its bucket before anything else shows it. Read in the
    // other order, counters that are up to date mean buckets that are, too.
    RunQueueSignal {
        involuntary_switches: run_queue.involuntary_switches.load(),
        unmeasured_stretches: run_queue.unmeasured_stretches.load(),
        wake_wait: buckets(&run_queue.wake_wait),
        preempt_wait: buckets(&run_queue.preempt_wait),
        on_cpu: buckets(&run_queue.on_cpu),
    }
}

fn read_block_io(block_io: &BlockIo) -> BlockIoSignal {
    BlockIoSignal {
        read_bytes: block_io.read_bytes.load(),
        written_bytes: block_io.written_bytes.load(),
    }
}

fn read_faults(faults: &Faults) -> FaultSignal {
    FaultSignal {
        minor: faults.minor.load(),
        major: faults.major.load(),
    }
}

fn read_fault_latencies(latencies: &FaultLatencies) -> Arc<FaultLatencySignal> {
    Arc::new(FaultLatencySignal {
        minor: buckets(&latencies.minor),
        major: buckets(&latencies.major),
    })
}

fn read_placement(record: &PlacementRecord) -> Arc<Placement> {
    Arc::new(Placement {
        on_cpu_ns: std::array::from_fn(|node| record.on_cpu_ns[node].load()),
        migrations: record.migrations.load(),
        node_migrations: record.node_migrations.load(),
    })
}

fn words(ledger: &Ledger) -> [u64; STATES] {
    std::array::from_fn(|index| ledger.words[index].load())
}

pub(crate) fn buckets(histogram: &Histogram) -> BucketReadings {
    let mut readings = BucketReadings::default();
    for (reading, bucket) in readings.0.iter_mut().zip(&histogram.buckets) {
        *reading = bucket.load();
    }
    readings
}

/// The records of a slot that a CPU can write to.
fn shards(probes: &Probes, slot: u32) -> impl Iterator<Item = &AgentRecord> {
    let cpus = u32::try_from(probes.cpus().len()).unwrap_or(u32::MAX);
    (0..slot::shards(slot).min(cpus))
        .filter_map(move |shard| probes.agents().get(record_index(slot, shard) as usize))
}

/// A thread may enter a state on one CPU and leave it on another: only the sum has a meaning.
fn sum_of_words(probes: &Probes, slot: u32) -> [u64; STATES] {
    let mut sum = [0_u64; STATES];
    for record in shards(probes, slot) {
        for (total, word) in sum.iter_mut().zip(words(&record.ledger)) {
            *total = total.wrapping_add(word);
        }
    }
    sum
}

fn sum_of_run_queues(probes: &Probes, slot: u32) -> RunQueueSignal {
    let mut sum = RunQueueSignal::default();
    for record in shards(probes, slot) {
        let one = read(&record.run_queue);
        sum.involuntary_switches += one.involuntary_switches;
        sum.unmeasured_stretches += one.unmeasured_stretches;
        for (total, part) in [
            (&mut sum.wake_wait, &one.wake_wait),
            (&mut sum.preempt_wait, &one.preempt_wait),
            (&mut sum.on_cpu, &one.on_cpu),
        ] {
            for (total, part) in total.0.iter_mut().zip(part.0.iter()) {
                *total = total.wrapping_add(*part);
            }
        }
    }
    sum
}

fn sum_of_block_io(probes: &Probes, slot: u32) -> BlockIoSignal {
    let mut sum = BlockIoSignal::default();
    for record in shards(probes, slot) {
        let one = read_block_io(&record.block_io);
        sum.read_bytes = sum.read_bytes.wrapping_add(one.read_bytes);
        sum.written_bytes = sum.written_bytes.wrapping_add(one.written_bytes);
    }
    sum
}

fn sum_of_faults(probes: &Probes, slot: u32) -> FaultSignal {
    let mut sum = FaultSignal::default();
    for record in shards(probes, slot) {
        let one = read_faults(&record.faults);
        sum.minor = sum.minor.wrapping_add(one.minor);
        sum.major = sum.major.wrapping_add(one.major);
    }
    sum
}

fn sum_of_oom_kills(probes: &Probes, slot: u32) -> u64 {
    shards(probes, slot)
        .map(|record| record.oom_kills.load())
        .fold(0, u64::wrapping_add)
}
