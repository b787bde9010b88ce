//! Measures: what is asked of a sample, as one number with a unit. Trends plot them, and alerts compare
//! them with thresholds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::samples::{Numbers, Sample};

/// One of the measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// CPUs that were used, on average.
    Cpu,
    /// Threads that waited for a CPU, on average.
    Waiting,
    /// The median wait for a CPU.
    WaitP50,
    /// The wait for a CPU that one in a hundred exceeds.
    WaitP99,
    /// Threads held back by a CPU quota, on average.
    Throttled,
    /// Threads blocked, but not on block I/O, on average.
    Blocked,
    /// Threads blocked on block I/O, on average.
    BlockedIo,
    /// Share of the time in which some thread lacked a CPU.
    CpuPressure,
    /// Share of the time in which some thread lacked memory.
    MemoryPressure,
    /// Share of the time in which some thread lacked I/O.
    IoPressure,
    /// Memory in use.
    Memory,
    /// Minor page faults.
    MinorFaults,
    /// Major page faults.
    MajorFaults,
    /// Bytes read from storage.
    Read,
    /// Bytes written to storage.
    Written,
    /// The median TCP round trip.
    RttP50,
    /// The TCP round trip that one in a hundred exceeds.
    RttP99,
    /// Bytes sent by TCP.
    Sent,
    /// Bytes received by TCP.
    Received,
    /// TCP segments sent again.
    Retransmitted,
    /// Switches by which a thread lost the CPU.
    Preemptions,
    /// Threads.
    Threads,
    /// Processes ended because memory ran out.
    OomKills,
}

/// What a measure's number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// CPUs, or threads.
    Whole,
    /// A share, from 0 to 1.
    Share,
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// Bytes in a second.
    BytesPerSecond,
    /// Times in a second.
    PerSecond,
    /// Times.
    Times,
}

/// All measures, in the order in which they are shown, with their names.
pub const MEASURES: [(Measure, &str); 23] = [
    (Measure::Cpu, "cpu"),
    (Measure::Waiting, "waiting"),
    (Measure::WaitP50, "wait_p50"),
    (Measure::WaitP99, "wait_p99"),
    (Measure::Throttled, "throttled"),
    (Measure::Blocked, "blocked"),
    (Measure::BlockedIo, "blocked_io"),
    (Measure::CpuPressure, "cpu_pressure"),
    (Measure::MemoryPressure, "memory_pressure"),
    (Measure::IoPressure, "io_pressure"),
    (Measure::Memory, "memory"),
    (Measure::MinorFaults, "minor_faults"),
    (Measure::MajorFaults, "major_faults"),
    (Measure::Read, "read"),
    (Measure::Written, "written"),
    (Measure::RttP50, "rtt_p50"),
    (Measure::RttP99, "rtt_p99"),
    (Measure::Sent, "sent"),
    (Measure::Received, "received"),
    (Measure::Retransmitted, "retransmitted"),
    (Measure::Preemptions, "preemptions"),
    (Measure::Threads, "threads"),
    (Measure::OomKills, "oom_kills"),
];

impl Measure {
    /// Its name, as it is written.
    pub fn as_str(self) -> &'static str {
        let named = MEASURES.iter().find(|(measure, _)| *measure == self);
        named.map_or("", |(_, name)| name)
    }

    /// What its number counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Cpu
            | Self::Waiting
            | Self::Throttled
            | Self::Blocked
            | Self::BlockedIo
            | Self::Threads => Unit::Whole,
            Self::CpuPressure | Self::MemoryPressure | Self::IoPressure => Unit::Share,
            Self::WaitP50 | Self::WaitP99 | Self::RttP50 | Self::RttP99 => Unit::Nanoseconds,
            Self::Memory => Unit::Bytes,
            Self::Read | Self::Written | Self::Sent | Self::Received => Unit::BytesPerSecond,
            Self::MinorFaults | Self::MajorFaults | Self::Retransmitted | Self::Preemptions => {
                Unit::PerSecond
            }
            Self::OomKills => Unit::Times,
        }
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Cpu => "CPUs used",
            Self::Waiting => "threads waiting for a CPU",
            Self::WaitP50 => "median wait for a CPU",
            Self::WaitP99 => "99th percentile of waits for a CPU",
            Self::Throttled => "threads held back by a CPU quota",
            Self::Blocked => "threads blocked, not on storage",
            Self::BlockedIo => "threads blocked on storage",
            Self::CpuPressure => "time in which some thread lacked a CPU",
            Self::MemoryPressure => "time in which some thread lacked memory",
            Self::IoPressure => "time in which some thread lacked I/O",
            Self::Memory => "memory in use",
            Self::MinorFaults => "minor page faults",
            Self::MajorFaults => "major page faults",
            Self::Read => "read from storage",
            Self::Written => "written to storage",
            Self::RttP50 => "median TCP round trip",
            Self::RttP99 => "99th percentile of TCP round trips",
            Self::Sent => "sent by TCP",
            Self::Received => "received by TCP",
            Self::Retransmitted => "TCP segments sent again",
            Self::Preemptions => "switches by which a thread lost the CPU",
            Self::Threads => "threads",
            Self::OomKills => "processes ended because memory ran out",
        }
    }

    /// Its number in a sample; `None` where there is none: the sample has no length, nothing waited, or
    /// memory is not known.
    pub fn of(self, sample: &Sample) -> Option<f64> {
        let numbers: &Numbers = &sample.numbers;
        let per_time = |us: u64| us as f64 / numbers.length_us as f64;
        let per_second = |count: u64| per_time(count) * 1e6;
        let quantile = |ns: Option<u64>| ns.map(|ns| ns as f64);
        if numbers.length_us == 0 {
            return None;
        }
        match self {
            Self::Cpu => Some(per_time(numbers.on_cpu_us)),
            Self::Waiting => Some(per_time(numbers.wait_us)),
            Self::WaitP50 => quantile(sample.waits.quantile_ns(0.5)),
            Self::WaitP99 => quantile(sample.waits.quantile_ns(0.99)),
            Self::Throttled => Some(per_time(numbers.throttled_us)),
            Self::Blocked => Some(per_time(numbers.blocked_us)),
            Self::BlockedIo => Some(per_time(numbers.blocked_io_us)),
            Self::CpuPressure => Some(per_time(numbers.cpu_stall_us)),
            Self::MemoryPressure => Some(per_time(numbers.memory_stall_us)),
            Self::IoPressure => Some(per_time(numbers.io_stall_us)),
            Self::Memory => (numbers.memory_bytes > 0).then_some(numbers.memory_bytes as f64),
            Self::MinorFaults => Some(per_second(numbers.minor_faults)),
            Self::MajorFaults => Some(per_second(numbers.major_faults)),
            Self::Read => Some(per_second(numbers.read_bytes)),
            Self::Written => Some(per_second(numbers.written_bytes)),
            Self::RttP50 => quantile(sample.round_trips.quantile_ns(0.5)),
            Self::RttP99 => quantile(sample.round_trips.quantile_ns(0.99)),
            Self::Sent => Some(per_second(numbers.sent_bytes)),
            Self::Received => Some(per_second(numbers.received_bytes)),
            Self::Retransmitted => Some(per_second(numbers.retransmitted)),
            Self::Preemptions => Some(per_second(numbers.preemptions)),
            Self::Threads => Some(numbers.threads as f64),
            Self::OomKills => Some(numbers.oom_kills as f64),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = MEASURES.iter().find(|(_, name)| *name == text);
        found.map(|(measure, _)| *measure).ok_or_else(|| {
            let names: Vec<&str> = MEASURES.iter().map(|(_, name)| *name).collect();
            format!("`{text}` is none of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_measure_is_read_and_written_by_one_name() {
        for (measure, name) in MEASURES {
            assert_eq!(name.parse(), Ok(measure));
            assert_eq!(measure.to_string(), name);
            let value = toml::Value::try_from(measure).expect("it is a name");
            assert_eq!(value.as_str(), Some(name));
        }
        assert!("colour".parse::<Measure>().is_err());
    }

    #[test]
    fn rates_and_shares_are_by_the_samples_length() {
        let mut sample = Sample::default();
        assert_eq!(Measure::Cpu.of(&sample), None);
        sample.numbers = Numbers {
            length_us: 2_000_000,
            on_cpu_us: 3_000_000,
            memory_stall_us: 500_000,
            major_faults: 8,
            oom_kills: 1,
            ..Numbers::default()
        };
        for (measure, expected) in [
            (Measure::Cpu, Some(1.5)),
            (Measure::MemoryPressure, Some(0.25)),
            (Measure::MajorFaults, Some(4.0)),
            (Measure::OomKills, Some(1.0)),
            (Measure::Memory, None),
            (Measure::WaitP99, None),
        ] {
            assert_eq!(measure.of(&sample), expected, "{measure}");
        }
        sample.waits.count(1_000);
        assert_eq!(Measure::WaitP99.of(&sample), Some(1_024.0));
    }
}
