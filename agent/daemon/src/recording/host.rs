//! The host as a whole, and what was lost: few numbers, as they are.

use hostler_decide::{
    host::{HostSignal, HugepagePool, Pools, ZramDevice},
    pressure::{Pressure, Stall},
    reclaim::Reclaim,
    signal::LossSignal,
};

use super::{rows::Malformed, schema};

/// Numbers of [`Pressure`].
pub(super) const PRESSURE: usize = 6;

/// Numbers of [`Reclaim`].
pub(super) const RECLAIM: usize = 7;

/// Pools, devices and alarms of each kind that a host can have.
const MOST: usize = 65_536;

pub(super) fn pressure_numbers(pressure: Pressure) -> [u64; PRESSURE] {
    let Pressure { cpu, memory, io } = pressure;
    [
        cpu.some_us,
        cpu.full_us,
        memory.some_us,
        memory.full_us,
        io.some_us,
        io.full_us,
    ]
}

pub(super) fn pressure(mut next: impl FnMut() -> u64) -> Pressure {
    let mut stall = || Stall {
        some_us: next(),
        full_us: next(),
    };
    Pressure {
        cpu: stall(),
        memory: stall(),
        io: stall(),
    }
}

pub(super) fn reclaim_numbers(reclaim: Reclaim) -> [u64; RECLAIM] {
    [
        reclaim.refaulted_anon,
        reclaim.refaulted_file,
        reclaim.swapped_in,
        reclaim.direct_scanned,
        reclaim.direct_reclaimed,
        reclaim.numa_hint_faults,
        reclaim.numa_migrated,
    ]
}

pub(super) fn reclaim(mut next: impl FnMut() -> u64) -> Reclaim {
    Reclaim {
        refaulted_anon: next(),
        refaulted_file: next(),
        swapped_in: next(),
        direct_scanned: next(),
        direct_reclaimed: next(),
        numa_hint_faults: next(),
        numa_migrated: next(),
    }
}

pub(super) fn message(signal: &HostSignal) -> schema::Host {
    let pools = &signal.pools;
    let hugepages = pools.hugepages.iter().map(|pool| schema::HugepagePool {
        node: pool.node,
        page_bytes: pool.page_bytes,
        total: pool.total,
        free: pool.free,
        surplus: pool.surplus,
    });
    let zram = pools.zram.iter().map(|device| schema::ZramDevice {
        name: device.name.clone(),
        stored_bytes: device.stored_bytes,
        compressed_bytes: device.compressed_bytes,
        memory_bytes: device.memory_bytes,
    });
    let alarms = signal.alarms.iter().map(|(whom, count)| schema::Alarm {
        whom: whom.clone(),
        count: *count,
    });
    schema::Host {
        has_pressure: signal.pressure.is_some(),
        pressure_us: pressure_numbers(signal.pressure.unwrap_or_default()).to_vec(),
        reclaim: reclaim_numbers(signal.reclaim).to_vec(),
        hugepages: hugepages.collect(),
        zram: zram.collect(),
        zswap_bytes: pools.zswap_bytes,
        zswapped_bytes: pools.zswapped_bytes,
        free_bytes: pools.free_bytes,
        available_bytes: pools.available_bytes,
        total_bytes: pools.total_bytes,
        dying_cgroups: pools.dying_cgroups,
        alarms: alarms.collect(),
    }
}

pub(super) fn signal(message: schema::Host) -> Result<HostSignal, Malformed> {
    let lengths = [
        message.hugepages.len(),
        message.zram.len(),
        message.alarms.len(),
    ];
    if lengths.iter().any(|&length| length > MOST) {
        return Err(Malformed::because("a host has not that many pools"));
    }
    let pressure = pressure(numbers(&message.pressure_us));
    let hugepages = message.hugepages.into_iter().map(|pool| HugepagePool {
        node: pool.node,
        page_bytes: pool.page_bytes,
        total: pool.total,
        free: pool.free,
        surplus: pool.surplus,
    });
    let zram = message.zram.into_iter().map(|device| ZramDevice {
        name: device.name,
        stored_bytes: device.stored_bytes,
        compressed_bytes: device.compressed_bytes,
        memory_bytes: device.memory_bytes,
    });
    let alarms = message.alarms.into_iter();
    Ok(HostSignal {
        pressure: message.has_pressure.then_some(pressure),
        reclaim: reclaim(numbers(&message.reclaim)),
        pools: Pools {
            hugepages: hugepages.collect(),
            zram: zram.collect(),
            zswap_bytes: message.zswap_bytes,
            zswapped_bytes: message.zswapped_bytes,
            free_bytes: message.free_bytes,
            available_bytes: message.available_bytes,
            total_bytes: message.total_bytes,
            dying_cgroups: message.dying_cgroups,
        },
        alarms: alarms.map(|alarm| (alarm.whom, alarm.count)).collect(),
    })
}

/// One number after the other; those that are missing are 0, as the kernel that wrote them had it.
fn numbers(numbers: &[u64]) -> impl FnMut() -> u64 {
    let mut numbers = numbers.iter();
    move || numbers.next().copied().unwrap_or(0)
}

pub(super) fn losses_message(losses: &LossSignal) -> schema::Losses {
    schema::Losses {
        threads_without_record: losses.threads_without_record,
        records_not_made: losses.records_not_made,
        negative_durations: losses.negative_durations,
        agents_without_slot: losses.agents_without_slot,
        events_not_sent: losses.events_not_sent,
        provisional_ns: losses.provisional_ns,
        pairs_not_counted: losses.pairs_not_counted,
        waits_held_back: losses.waits_held_back,
        waits_not_sent: losses.waits_not_sent,
        pairs_folded: losses.pairs_folded,
        peers_not_counted: losses.peers_not_counted,
        sockets_without_record: losses.sockets_without_record,
        wakes_not_counted: losses.wakes_not_counted,
    }
}

pub(super) fn losses(message: &schema::Losses) -> LossSignal {
    LossSignal {
        threads_without_record: message.threads_without_record,
        records_not_made: message.records_not_made,
        negative_durations: message.negative_durations,
        agents_without_slot: message.agents_without_slot,
        events_not_sent: message.events_not_sent,
        provisional_ns: message.provisional_ns,
        pairs_not_counted: message.pairs_not_counted,
        waits_held_back: message.waits_held_back,
        waits_not_sent: message.waits_not_sent,
        pairs_folded: message.pairs_folded,
        peers_not_counted: message.peers_not_counted,
        sockets_without_record: message.sockets_without_record,
        wakes_not_counted: message.wakes_not_counted,
    }
}
