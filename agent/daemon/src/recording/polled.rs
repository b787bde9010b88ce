//! What was read of cgroups, as numbers of columns.

use hostler_decide::polled::{CpuAmounts, MemoryAmounts, PolledSignal};

use super::{columns::Numbers, host, rows::Malformed, schema};

/// Numbers of a reading of a cgroup: whether there is one, its age when the host was read, in ns,
/// whether there is pressure, pressure, CPU amounts, whether there is memory, its amounts, and pages.
const NUMBERS: usize = 3 + host::PRESSURE + 3 + 1 + 4 + host::RECLAIM;

/// Both readings as numbers, the second of which was taken before the host was read at `at_ns`.
pub(super) fn numbers(
    before: Option<&PolledSignal>,
    now: Option<&PolledSignal>,
    at_ns: u64,
) -> ([u64; NUMBERS], [u64; NUMBERS]) {
    // An age does not follow from the one before it.
    let age_ns = now.map_or(0, |now| at_ns.wrapping_sub(now.at_ns));
    (flat(before, 0), flat(now, age_ns))
}

fn flat(signal: Option<&PolledSignal>, age_ns: u64) -> [u64; NUMBERS] {
    let mut numbers = [0; NUMBERS];
    let Some(signal) = signal else {
        return numbers;
    };
    let (amounts, reclaim) = signal.memory.unwrap_or_default();
    let each = [1, age_ns, signal.pressure.is_some().into()]
        .into_iter()
        .chain(host::pressure_numbers(signal.pressure.unwrap_or_default()))
        .chain([
            signal.cpu.usage_us,
            signal.cpu.throttled_us,
            signal.cpu.throttled_periods,
            signal.memory.is_some().into(),
            amounts.current_bytes,
            amounts.anon_bytes,
            amounts.file_bytes,
            amounts.swap_bytes,
        ])
        .chain(host::reclaim_numbers(reclaim));
    for (number, value) in numbers.iter_mut().zip(each) {
        *number = value;
    }
    numbers
}

/// Readings of cgroups that are being read.
pub(super) struct Polls<'a>(Numbers<'a, NUMBERS>);

impl<'a> Polls<'a> {
    /// Of so many rows.
    pub(super) fn of(columns: &'a [schema::Column], rows: usize) -> Result<Self, Malformed> {
        Numbers::of(columns, rows).map(Self)
    }

    /// The reading that came to row `row`, whose reading before is given.
    pub(super) fn row(
        &self,
        row: usize,
        before: Option<&PolledSignal>,
        at_ns: u64,
    ) -> Option<PolledSignal> {
        let numbers = self.0.row(row, flat(before, 0));
        let mut numbers = numbers.into_iter();
        let mut next = || numbers.next().unwrap_or(0);
        let (is_there, age_ns, has_pressure) = (next() != 0, next(), next() != 0);
        let pressure = host::pressure(&mut next);
        let cpu = CpuAmounts {
            usage_us: next(),
            throttled_us: next(),
            throttled_periods: next(),
        };
        let has_memory = next() != 0;
        let amounts = MemoryAmounts {
            current_bytes: next(),
            anon_bytes: next(),
            file_bytes: next(),
            swap_bytes: next(),
        };
        let reclaim = host::reclaim(&mut next);
        is_there.then(|| PolledSignal {
            at_ns: at_ns.wrapping_sub(age_ns),
            pressure: has_pressure.then_some(pressure),
            cpu,
            memory: has_memory.then_some((amounts, reclaim)),
        })
    }
}
