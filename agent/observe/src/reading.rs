//! Copies what the kernel side has counted into signals.

use std::sync::Arc;

use hostler_common::{
    histogram::Histogram,
    losses::Losses,
    run_queue::RunQueue,
    slot::{SHARDED_SLOTS, SHARDS, record_index},
};
use hostler_decide::{
    durations::BucketReadings,
    signal::{LossSignal, RunQueueSignal},
};

use crate::{agents::Directory, probes::Probes};

/// Reads every known agent's record that has changed since it was last read.
pub(crate) fn refresh(directory: &mut Directory, probes: &Probes) {
    let records = probes.agents();
    for entry in directory.entries_mut() {
        let slot = entry.agent.id.slot;
        if slot < SHARDED_SLOTS {
            entry.last = Arc::new(sum_of_shards(probes, slot));
            continue;
        }
        let Some(record) = records.get(slot as usize) else {
            continue;
        };
        if has_changed(&record.run_queue, &entry.last) {
            entry.last = Arc::new(read(&record.run_queue));
        }
    }
}

/// Sets a record to zero between two agents.
pub(crate) fn clear(run_queue: &RunQueue) {
    for sum in [
        &run_queue.wake_wait_ns,
        &run_queue.preempt_wait_ns,
        &run_queue.on_cpu_ns,
        &run_queue.voluntary_switches,
        &run_queue.involuntary_switches,
    ] {
        sum.store(0);
    }
    for histogram in [
        &run_queue.wake_wait,
        &run_queue.preempt_wait,
        &run_queue.on_cpu,
    ] {
        for bucket in &histogram.buckets {
            bucket.store(0);
        }
    }
}

/// All of a record's counters.
pub(crate) fn read(run_queue: &RunQueue) -> RunQueueSignal {
    // The kernel side counts a duration in its bucket first and adds it to the sum then. Reading
    // in the other order, a sum that is up to date means buckets that are, too.
    RunQueueSignal {
        wake_wait_ns: run_queue.wake_wait_ns.load(),
        preempt_wait_ns: run_queue.preempt_wait_ns.load(),
        on_cpu_ns: run_queue.on_cpu_ns.load(),
        voluntary_switches: run_queue.voluntary_switches.load(),
        involuntary_switches: run_queue.involuntary_switches.load(),
        wake_wait: buckets(&run_queue.wake_wait),
        preempt_wait: buckets(&run_queue.preempt_wait),
        on_cpu: buckets(&run_queue.on_cpu),
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
    }
}

fn has_changed(run_queue: &RunQueue, last: &RunQueueSignal) -> bool {
    run_queue.voluntary_switches.load() != last.voluntary_switches
        || run_queue.involuntary_switches.load() != last.involuntary_switches
        || run_queue.wake_wait_ns.load() != last.wake_wait_ns
        || run_queue.preempt_wait_ns.load() != last.preempt_wait_ns
        || run_queue.on_cpu_ns.load() != last.on_cpu_ns
}

fn buckets(histogram: &Histogram) -> BucketReadings {
    let mut readings = BucketReadings::default();
    for (reading, bucket) in readings.0.iter_mut().zip(&histogram.buckets) {
        *reading = bucket.load();
    }
    readings
}

fn sum_of_shards(probes: &Probes, slot: u32) -> RunQueueSignal {
    let shards = SHARDS.min(u32::try_from(probes.cpus().len()).unwrap_or(SHARDS));
    let mut sum = RunQueueSignal::default();
    for shard in 0..shards {
        let Some(record) = probes.agents().get(record_index(slot, shard) as usize) else {
            continue;
        };
        let one = read(&record.run_queue);
        sum.wake_wait_ns += one.wake_wait_ns;
        sum.preempt_wait_ns += one.preempt_wait_ns;
        sum.on_cpu_ns += one.on_cpu_ns;
        sum.voluntary_switches += one.voluntary_switches;
        sum.involuntary_switches += one.involuntary_switches;
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
