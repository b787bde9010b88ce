//! Pages that memory was too small for: taken away, and fetched again.

use std::ops::{Add, Sub};

/// Pages, cumulative or in a window, of a cgroup (`memory.stat`) or the host (`/proc/vmstat`). What
/// a kernel does not count stays 0: before Linux 6.13, cgroups' swap-ins and NUMA counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reclaim {
    /// Anonymous pages that were needed again soon after they had been swapped out.
    pub refaulted_anon: u64,
    /// Pages of files that were needed again soon after they had been dropped.
    pub refaulted_file: u64,
    /// Pages read back from swap, zswap included.
    pub swapped_in: u64,
    /// Pages looked at by threads that had to make room for themselves.
    pub direct_scanned: u64,
    /// Pages taken away by such threads: each was a stall.
    pub direct_reclaimed: u64,
    /// Faults by which the kernel learns on which node memory is used.
    pub numa_hint_faults: u64,
    /// Pages that it moved to another node for that.
    pub numa_migrated: u64,
}

impl Reclaim {
    /// Reads them out of lines of a name and a number; names that are not known are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut pages = Self::default();
        for line in text.lines() {
            let Some((name, number)) = line.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.trim().parse::<u64>() else {
                continue;
            };
            let count = match name {
                "workingset_refault_anon" => &mut pages.refaulted_anon,
                "workingset_refault_file" => &mut pages.refaulted_file,
                "pswpin" | "zswpin" => &mut pages.swapped_in,
                "pgscan_direct" => &mut pages.direct_scanned,
                "pgsteal_direct" => &mut pages.direct_reclaimed,
                "numa_hint_faults" => &mut pages.numa_hint_faults,
                "numa_pages_migrated" => &mut pages.numa_migrated,
                _ => continue,
            };
            *count = count.saturating_add(number);
        }
        pages
    }

    fn each(self, other: Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            refaulted_anon: combine(self.refaulted_anon, other.refaulted_anon),
            refaulted_file: combine(self.refaulted_file, other.refaulted_file),
            swapped_in: combine(self.swapped_in, other.swapped_in),
            direct_scanned: combine(self.direct_scanned, other.direct_scanned),
            direct_reclaimed: combine(self.direct_reclaimed, other.direct_reclaimed),
            numa_hint_faults: combine(self.numa_hint_faults, other.numa_hint_faults),
            numa_migrated: combine(self.numa_migrated, other.numa_migrated),
        }
    }

    /// Pages that were needed again soon after they had been taken away.
    pub fn refaulted(&self) -> u64 {
        self.refaulted_anon.saturating_add(self.refaulted_file)
    }
}

impl Add for Reclaim {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }
}

/// What came to it since an earlier reading; sums of CPUs may step back by a moment.
impl Sub for Reclaim {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        self.each(earlier, u64::saturating_sub)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_names_are_read_and_others_skipped() {
        let text = "anon 123\nworkingset_refault_anon 5\nworkingset_refault_file 7\npswpin 2\n\
                    zswpin 3\npgscan_direct 11\npgsteal_direct 9\nnuma_hint_faults 1\nnonsense\n\
                    numa_pages_migrated x\n";
        let pages = Reclaim::parse(text);
        assert_eq!(pages.refaulted(), 12);
        assert_eq!(pages.swapped_in, 5);
        assert_eq!((pages.direct_scanned, pages.direct_reclaimed), (11, 9));
        assert_eq!((pages.numa_hint_faults, pages.numa_migrated), (1, 0));
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_without_harm(text in "(\\PC{0,12} ?[0-9]{0,25}\n){0,8}") {
            let _pages = Reclaim::parse(&text);
        }
    }
}
