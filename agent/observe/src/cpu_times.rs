//! How much of each CPU was idle, from `/proc/stat`: what a command needs to know that begins an agent and
//! loads no probes.

use std::{collections::BTreeMap, fs};

use crate::ObserveError;

const STAT: &str = "/proc/stat";

/// Time of a CPU since the host was started, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTimes {
    /// Nobody ran on it.
    pub idle: u64,
    /// All of it.
    pub all: u64,
}

impl CpuTimes {
    /// The part of the time since an earlier reading in which nobody ran on it, from 0 to 1.
    pub fn idle_since(&self, earlier: &Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all);
        let idle = self.idle.saturating_sub(earlier.idle);
        if all == 0 {
            return 0.0;
        }
        (idle as f64 / all as f64).min(1.0)
    }
}

/// The times of each CPU that is online, by its number.
pub fn cpu_times() -> Result<BTreeMap<u32, CpuTimes>, ObserveError> {
    let text = fs::read_to_string(STAT).map_err(|error| ObserveError::read(STAT, error))?;
    Ok(parse(&text))
}

/// Free memory of a node and what the kernel can take from files at once, in bytes; 0 if it does not say.
pub fn free_bytes_of_node(node: u32) -> u64 {
    let path = format!("/sys/devices/system/node/node{node}/meminfo");
    fs::read_to_string(path).map_or(0, |text| free_bytes(&text))
}

fn parse(stat: &str) -> BTreeMap<u32, CpuTimes> {
    let times = stat.lines().filter_map(|line| {
        let (name, numbers) = line.split_once(' ')?;
        let cpu: u32 = name.strip_prefix("cpu")?.parse().ok()?;
        let numbers = numbers.split_whitespace().map(|word| word.parse().ok());
        let numbers: Option<Vec<u64>> = numbers.collect();
        let numbers = numbers?;
        // User, nice, system, idle, iowait, irq, softirq, steal; guests' time is in the user's.
        let idle = numbers.get(3)?.saturating_add(*numbers.get(4)?);
        let all = numbers
            .iter()
            .take(8)
            .fold(0, |sum: u64, ticks| sum.saturating_add(*ticks));
        Some((cpu, CpuTimes { idle, all }))
    });
    times.collect()
}

fn free_bytes(meminfo: &str) -> u64 {
    let kib = |what: &str| -> u64 {
        let line = meminfo.lines().find_map(|line| line.split_once(what));
        let number = line.and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        number.unwrap_or(0)
    };
    let kib = kib(" MemFree:").saturating_add(kib(" Inactive(file):"));
    kib.saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "\
cpu  30 0 10 160 0 0 0 0 0 0
cpu0 10 0 5 80 5 0 0 0 3 0
cpu2 20 0 5 75 0 0 0 0 0 0
intr 1 2 3
cpufreq x
";

    #[test]
    fn cpus_are_told_by_their_numbers_and_guests_time_once() {
        let times = parse(STAT);
        assert_eq!(times.keys().copied().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(times[&0], CpuTimes { idle: 85, all: 100 });
    }

    #[test]
    fn what_was_idle_is_a_part_of_the_time_that_passed() {
        let earlier = CpuTimes { idle: 50, all: 100 };
        let later = CpuTimes { idle: 80, all: 140 };
        assert!((later.idle_since(&earlier) - 0.75).abs() < 1e-9);
        assert!((earlier.idle_since(&later)).abs() < 1e-9);
    }

    #[test]
    fn files_that_nobody_used_lately_count_as_free() {
        let text =
            "Node 1 MemTotal:  100 kB\nNode 1 MemFree:  10 kB\nNode 1 Inactive(file):  4 kB\n";
        assert_eq!(free_bytes(text), 14 * 1024);
        assert_eq!(free_bytes(""), 0);
    }

    #[test]
    fn this_host_has_cpus() {
        assert!(!cpu_times().expect("it can be read").is_empty());
    }
}
