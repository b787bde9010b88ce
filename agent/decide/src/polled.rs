//! What is read of an agent's cgroup from time to time, since reading it of all agents at each tick
//! would cost too much: each agent's window lies between its own last two readings.

use std::sync::Arc;

use crate::{pressure::Pressure, reclaim::Reclaim};

/// Amounts of a cgroup's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryAmounts {
    /// In all.
    pub current_bytes: u64,
    /// Of that, anonymous memory.
    pub anon_bytes: u64,
    /// Of that, pages of files.
    pub file_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
}

impl MemoryAmounts {
    /// Reads `anon` and `file` out of `memory.stat`.
    #[must_use]
    pub fn parse(statistics: &str, current_bytes: u64, swap_bytes: u64) -> Self {
        let number = |name: &str| {
            let mut lines = statistics.lines();
            lines
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
                .unwrap_or(0)
        };
        Self {
            current_bytes,
            anon_bytes: number("anon"),
            file_bytes: number("file"),
            swap_bytes,
        }
    }
}

/// CPU time of a cgroup, cumulative or in a window, as its `cpu.stat` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuAmounts {
    /// On CPUs, in µs.
    pub usage_us: u64,
    /// Held back by its own quota, all CPUs added up, in µs.
    pub throttled_us: u64,
    /// Periods in which it was.
    pub throttled_periods: u64,
}

impl CpuAmounts {
    /// Reads `cpu.stat`; a cgroup without a quota has no word of throttling.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let number = |name: &str| {
            let mut lines = text.lines();
            lines
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
                .unwrap_or(0)
        };
        Self {
            usage_us: number("usage_usec"),
            throttled_us: number("throttled_usec"),
            throttled_periods: number("nr_throttled"),
        }
    }
}

/// One reading of a cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolledSignal {
    /// When, in ns of the monotonic clock.
    pub at_ns: u64,
    /// Time lost; `None` where the kernel does not tell.
    pub pressure: Option<Pressure>,
    /// CPU time.
    pub cpu: CpuAmounts,
    /// Amounts of memory, and pages that it was too small for; `None` without the memory controller.
    pub memory: Option<(MemoryAmounts, Reclaim)>,
}

/// What happened between an agent's own readings. A sum of windows may have less length than they
/// have: its last reading was some time ago.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolledWindow {
    /// From the first reading to the last one, in ns; 0 if there were not two.
    pub length_ns: u64,
    /// Time lost; `None` where the kernel does not tell.
    pub pressure: Option<Pressure>,
    /// CPU time.
    pub cpu: CpuAmounts,
    /// Amounts at the last reading, and pages since the first one.
    pub memory: Option<(MemoryAmounts, Reclaim)>,
}

impl PolledWindow {
    /// What happened between two readings; nothing if they are the same or there is only one.
    #[must_use]
    pub fn between(earlier: Option<&Arc<PolledSignal>>, later: Option<&Arc<PolledSignal>>) -> Self {
        let (Some(before), Some(now)) = (earlier, later) else {
            return Self::default();
        };
        if Arc::ptr_eq(before, now) {
            return Self::default();
        }
        Self {
            length_ns: now.at_ns.saturating_sub(before.at_ns),
            pressure: before
                .pressure
                .zip(now.pressure)
                .map(|(before, now)| now - before),
            cpu: CpuAmounts {
                usage_us: now.cpu.usage_us.saturating_sub(before.cpu.usage_us),
                throttled_us: now.cpu.throttled_us.saturating_sub(before.cpu.throttled_us),
                throttled_periods: now
                    .cpu
                    .throttled_periods
                    .saturating_sub(before.cpu.throttled_periods),
            },
            memory: before
                .memory
                .zip(now.memory)
                .map(|((_, before), (amounts, now))| (amounts, now - before)),
        }
    }

    /// Adds what happened in the window that follows.
    pub fn append(&mut self, next: &Self) {
        if next.length_ns == 0 {
            return;
        }
        self.pressure = match (self.pressure, next.pressure) {
            (Some(sum), Some(more)) => Some(sum + more),
            (sum, more) => more.or(sum),
        };
        for (sum, more) in [
            (&mut self.length_ns, next.length_ns),
            (&mut self.cpu.usage_us, next.cpu.usage_us),
            (&mut self.cpu.throttled_us, next.cpu.throttled_us),
            (&mut self.cpu.throttled_periods, next.cpu.throttled_periods),
        ] {
            *sum = sum.wrapping_add(more);
        }
        self.memory = match (self.memory, next.memory) {
            (Some((_, sum)), Some((amounts, more))) => Some((amounts, sum + more)),
            (sum, more) => more.or(sum),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pressure::Stall;

    fn signal(at_ns: u64, some_us: u64, refaulted_file: u64) -> Arc<PolledSignal> {
        let memory = Reclaim {
            refaulted_file,
            ..Reclaim::default()
        };
        Arc::new(PolledSignal {
            at_ns,
            pressure: Some(Pressure {
                memory: Stall {
                    some_us,
                    full_us: 0,
                },
                ..Pressure::default()
            }),
            cpu: CpuAmounts::parse("usage_usec 500\nnr_periods 4\nnr_throttled 2\n"),
            memory: Some((MemoryAmounts::parse("anon 7\nfile 9\n", 20, 3), memory)),
        })
    }

    #[test]
    fn an_agent_that_was_not_read_again_has_no_window() {
        let once = signal(10, 5, 1);
        assert_eq!(PolledWindow::between(Some(&once), Some(&once)).length_ns, 0);
        assert_eq!(PolledWindow::between(None, Some(&once)).length_ns, 0);
    }

    #[test]
    fn windows_that_follow_each_other_add_up_to_the_one_over_both() {
        let readings = [signal(10, 5, 1), signal(40, 9, 1), signal(90, 30, 8)];
        let between = |from: usize, to: usize| {
            PolledWindow::between(Some(&readings[from]), Some(&readings[to]))
        };
        let mut sum = between(0, 1);
        sum.append(&PolledWindow::default());
        sum.append(&between(1, 2));
        assert_eq!(sum, between(0, 2));
        assert_eq!(sum.length_ns, 80);
        let (amounts, pages) = sum.memory.expect("there is a controller");
        assert_eq!((amounts.anon_bytes, amounts.file_bytes), (7, 9));
        assert_eq!(pages.refaulted(), 7);
    }

    #[test]
    fn the_fields_of_cpu_stat_are_found_by_their_whole_names() {
        let cpu = CpuAmounts::parse(
            "usage_usec 12\nuser_usec 4\nnr_throttled 3\nthrottled_usec 900\nnr_bursts 1\n",
        );
        assert_eq!(
            (cpu.usage_us, cpu.throttled_us, cpu.throttled_periods),
            (12, 900, 3)
        );
    }
}
