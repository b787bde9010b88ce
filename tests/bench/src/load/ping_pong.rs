//! Two threads on one CPU that pass a byte to and fro: two switches and two wake-ups a round trip,
//! and hardly anything else.

use std::{
    fmt,
    io::{Read, Write},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::{allowed_cpus, pin};
use crate::spread::tenth;

/// Round trips between two looks at the clocks: well below a millisecond, so that most batches are
/// over before the scheduler lets somebody else on the CPU.
const BATCH: u32 = 64;

/// What it took to pass the byte there and back, in the slowest of the fastest tenth of batches: what
/// disturbs a batch only adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct RoundTrips {
    pub(crate) count: u64,
    /// CPU time of both threads for one round trip, to which the kernel adds what programs take at their switches.
    pub(crate) cpu_ns: f64,
    /// Wall time of one round trip.
    pub(crate) wall_ns: f64,
}

impl fmt::Display for RoundTrips {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.count, self.cpu_ns, self.wall_ns)
    }
}

impl FromStr for RoundTrips {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let [count, cpu_ns, wall_ns] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            bail!("three numbers were expected, not {text:?}");
        };
        Ok(Self {
            count: count.parse()?,
            cpu_ns: cpu_ns.parse()?,
            wall_ns: wall_ns.parse()?,
        })
    }
}

/// Passes the byte for some time; the first tenth warms up and does not count.
pub(super) fn run(time: Duration) -> Result<RoundTrips> {
    pin(*allowed_cpus()?.first().context("no CPU is allowed")?)?;
    let (mut there_read, there_write) = std::io::pipe()?;
    let (back_read, mut back_write) = std::io::pipe()?;
    let partner = thread::spawn(move || -> std::io::Result<()> {
        let mut byte = [0];
        // The end of the pipe is the end of the game.
        while there_read.read(&mut byte)? == 1 {
            back_write.write_all(&byte)?;
        }
        Ok(())
    });
    let mut pipes = (there_write, back_read);
    pass(&mut pipes, time / 10)?;
    let round_trips = pass(&mut pipes, time.saturating_sub(time / 10))?;
    drop(pipes);
    partner.join().expect("it only passes bytes")?;
    Ok(round_trips)
}

fn pass(pipes: &mut (impl Write, impl Read), time: Duration) -> Result<RoundTrips> {
    let end = Instant::now() + time;
    let (mut cpu_ns, mut wall_ns) = (Vec::new(), Vec::new());
    let mut byte = [0];
    while Instant::now() < end {
        let (start, cpu_start) = (Instant::now(), cpu_time()?);
        for _ in 0..BATCH {
            pipes.0.write_all(&byte)?;
            pipes.1.read_exact(&mut byte)?;
        }
        cpu_ns.push(each_ns(cpu_time()?.saturating_sub(cpu_start)));
        wall_ns.push(each_ns(start.elapsed()));
    }
    let count = u64::from(BATCH) * cpu_ns.len() as u64;
    Ok(RoundTrips {
        count,
        cpu_ns: tenth(cpu_ns).context("there was no time for a single batch")?,
        wall_ns: tenth(wall_ns).context("there was no time for a single batch")?,
    })
}

fn cpu_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("reading the CPU time")?;
    Ok(time.into())
}

fn each_ns(batch: Duration) -> f64 {
    batch.as_nanos() as f64 / f64::from(BATCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_load_prints_is_what_the_bench_reads() {
        let trips = RoundTrips {
            count: 7,
            cpu_ns: 8.25,
            wall_ns: 9.5,
        };
        assert_eq!(trips.to_string().parse::<RoundTrips>().ok(), Some(trips));
        assert!("7 8".parse::<RoundTrips>().is_err());
        assert!("7 8 x".parse::<RoundTrips>().is_err());
    }

    #[test]
    fn a_short_game_counts_its_round_trips() {
        let trips = run(Duration::from_millis(50)).expect("it can be played");
        assert!(trips.count > 0 && trips.cpu_ns > 0.0 && trips.wall_ns > 0.0);
    }
}
