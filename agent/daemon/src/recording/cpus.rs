//! CPUs: what came to their counts.

use std::sync::Arc;

use hostler_decide::signal::CpuReading;

use super::{
    columns::{Changes, ColumnOut, RunQueuesIn, RunQueuesOut},
    rows::{Gaps, Malformed, Step, follow, rows_of, steps},
    schema,
};

/// CPUs that a reading can tell of: the most that Linux can be built for.
const MAX_CPUS: usize = 8192;

fn key(reading: &CpuReading) -> u32 {
    reading.cpu
}

fn nothing_of(cpu: u32) -> CpuReading {
    CpuReading {
        cpu,
        wake_wait_ns: 0,
        preempt_wait_ns: 0,
        on_cpu_ns: 0,
        run_queue: Arc::default(),
    }
}

/// What makes `now` of `before`.
pub(super) fn changes(before: &[CpuReading], now: &[CpuReading]) -> schema::Cpus {
    let (mut gone, mut changed) = <(Gaps, Gaps)>::default();
    let mut came = Vec::new();
    let mut columns: [ColumnOut; 3] = Default::default();
    let mut run_queues = RunQueuesOut::default();
    for step in steps(before, now, key) {
        let nothing;
        let (row, old, new) = match step {
            Step::Gone(row) => {
                gone.push(row);
                continue;
            }
            Step::Stayed(row, old, new) => (row, old, new),
            Step::Came(row, new) => {
                came.push(new.cpu);
                nothing = nothing_of(new.cpu);
                (row, &nothing, new)
            }
        };
        if old == new {
            continue;
        }
        changed.push(row);
        columns[0].push(old.wake_wait_ns, new.wake_wait_ns);
        columns[1].push(old.preempt_wait_ns, new.preempt_wait_ns);
        columns[2].push(old.on_cpu_ns, new.on_cpu_ns);
        run_queues.push(&old.run_queue, &new.run_queue);
    }
    let [wake_wait_ns, preempt_wait_ns, on_cpu_ns] = columns.map(Into::into);
    schema::Cpus {
        gone: gone.gaps,
        came,
        changed: changed.gaps,
        wake_wait_ns,
        preempt_wait_ns,
        on_cpu_ns,
        run_queues: Some(run_queues.into()),
    }
}

/// The table that follows `before`.
pub(super) fn apply(
    before: &[CpuReading],
    message: &schema::Cpus,
) -> Result<Vec<CpuReading>, Malformed> {
    let came = message.came.iter().map(|&cpu| nothing_of(cpu)).collect();
    let mut now = follow(before, &message.gone, came, MAX_CPUS, key)?;
    let changed = rows_of(&message.changed, now.len())?;
    let rows = changed.len();
    let wake_wait_ns = Changes::of(message.wake_wait_ns.as_ref(), rows)?;
    let preempt_wait_ns = Changes::of(message.preempt_wait_ns.as_ref(), rows)?;
    let on_cpu_ns = Changes::of(message.on_cpu_ns.as_ref(), rows)?;
    let mut run_queues = RunQueuesIn::of(message.run_queues.as_ref(), rows)?;
    for (number, &row) in changed.iter().enumerate() {
        let cpu = &mut now[row];
        cpu.wake_wait_ns = wake_wait_ns.apply(number, cpu.wake_wait_ns);
        cpu.preempt_wait_ns = preempt_wait_ns.apply(number, cpu.preempt_wait_ns);
        cpu.on_cpu_ns = on_cpu_ns.apply(number, cpu.on_cpu_ns);
        run_queues.apply(number, Arc::make_mut(&mut cpu.run_queue));
    }
    Ok(now)
}
