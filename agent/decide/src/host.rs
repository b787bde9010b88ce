//! The host as a whole: pressure, reclaim, and pools of memory.

use crate::{pressure::Pressure, reclaim::Reclaim};

/// A pool of huge pages on one node, in pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct HugepagePool {
    /// The NUMA node.
    pub node: u32,
    /// Size of a page in bytes.
    pub page_bytes: u64,
    /// Pages in the pool.
    pub total: u64,
    /// Of these, pages that nobody uses.
    pub free: u64,
    /// Pages beyond the pool's size that were made on demand.
    pub surplus: u64,
}

/// A compressed device in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ZramDevice {
    /// Its name, such as `zram0`.
    pub name: String,
    /// Bytes stored, before compression.
    pub stored_bytes: u64,
    /// The same, compressed.
    pub compressed_bytes: u64,
    /// Memory that it takes in all.
    pub memory_bytes: u64,
}

/// Amounts of the host's pools at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pools {
    /// Huge pages, by node and size.
    pub hugepages: Vec<HugepagePool>,
    /// Compressed devices.
    pub zram: Vec<ZramDevice>,
    /// Memory that zswap takes, in bytes; `None` without zswap.
    pub zswap_bytes: Option<u64>,
    /// What it stores, before compression, in bytes.
    pub zswapped_bytes: Option<u64>,
    /// Memory that nobody uses, in bytes.
    pub free_bytes: u64,
    /// What could be had without swapping, in bytes.
    pub available_bytes: u64,
    /// Memory in all, in bytes.
    pub total_bytes: u64,
    /// Cgroups that were removed and still hold memory.
    pub dying_cgroups: u64,
}

/// The host's signals at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSignal {
    /// Time lost; `None` where the kernel does not tell.
    pub pressure: Option<Pressure>,
    /// Pages that memory was too small for.
    pub reclaim: Reclaim,
    /// Pools.
    pub pools: Pools,
    /// How often the kernel told of pressure above a threshold, cumulative, by whom it concerned.
    pub alarms: Vec<(String, u64)>,
}

/// What happened to the host in a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostWindow {
    /// Time lost; `None` where the kernel does not tell.
    pub pressure: Option<Pressure>,
    /// Pages that memory was too small for.
    pub reclaim: Reclaim,
    /// Pools at the window's end.
    pub pools: Pools,
    /// How often the kernel told of pressure above a threshold, by whom it concerned.
    pub alarms: Vec<(String, u64)>,
}

impl HostWindow {
    /// What happened between two readings; `None` where nobody asks.
    #[must_use]
    pub fn between(earlier: Option<&HostSignal>, later: Option<&HostSignal>) -> Option<Self> {
        let now = later?;
        let nothing = HostSignal {
            pressure: now.pressure,
            reclaim: now.reclaim,
            ..HostSignal::default()
        };
        let before = earlier.unwrap_or(&nothing);
        Some(Self {
            pressure: before
                .pressure
                .zip(now.pressure)
                .map(|(before, now)| now - before),
            reclaim: now.reclaim - before.reclaim,
            pools: now.pools.clone(),
            alarms: added(&before.alarms, &now.alarms, u64::saturating_sub),
        })
    }

    /// Adds what happened in the window that follows.
    pub fn append(&mut self, next: Self) {
        self.pressure = match (self.pressure, next.pressure) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => more.or(sum),
        };
        self.reclaim = self.reclaim + next.reclaim;
        self.pools = next.pools;
        self.alarms = added(&self.alarms, &next.alarms, u64::wrapping_add);
    }
}

/// The later counts, each combined with the earlier one of the same name.
fn added(
    earlier: &[(String, u64)],
    later: &[(String, u64)],
    combine: impl Fn(u64, u64) -> u64,
) -> Vec<(String, u64)> {
    let before = |name: &str| earlier.iter().find(|(other, _)| other == name);
    later
        .iter()
        .map(|(name, now)| {
            let before = before(name).map_or(0, |(_, count)| *count);
            let (larger, other) = (*now, before);
            (name.clone(), combine(larger, other))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signal(alarms: u64, refaulted_anon: u64, free_bytes: u64) -> HostSignal {
        HostSignal {
            pressure: None,
            reclaim: Reclaim {
                refaulted_anon,
                ..Reclaim::default()
            },
            pools: Pools {
                free_bytes,
                ..Pools::default()
            },
            alarms: vec![("memory".to_owned(), alarms)],
        }
    }

    #[test]
    fn counts_are_differences_and_pools_what_they_are_at_the_end() {
        let readings = [signal(1, 10, 7), signal(2, 30, 6), signal(5, 31, 5)];
        let between = |from: usize, to: usize| {
            HostWindow::between(Some(&readings[from]), Some(&readings[to])).expect("both are there")
        };
        let mut sum = between(0, 1);
        sum.append(between(1, 2));
        assert_eq!(sum, between(0, 2));
        assert_eq!(sum.alarms, [("memory".to_owned(), 4)]);
        assert_eq!(sum.reclaim.refaulted_anon, 21);
        assert_eq!(sum.pools.free_bytes, 5);
    }

    #[test]
    fn a_first_reading_tells_of_pools_but_of_no_past() {
        let window = HostWindow::between(None, Some(&signal(0, 10, 7))).expect("one is there");
        assert_eq!(window.reclaim, Reclaim::default());
        assert_eq!(window.pools.free_bytes, 7);
        assert_eq!(HostWindow::between(None, None), None);
    }
}
