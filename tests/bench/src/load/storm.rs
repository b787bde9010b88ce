//! One thread wakes many sleepers on all CPUs at once, and sleeps until the last has answered.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread::{self, Thread},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{allowed_cpus, pin};

const SLEEPERS_PER_CPU: usize = 8;

/// A sleeper that failed never answers: the waker looks at the clock from time to time.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the waker and its sleepers share.
#[derive(Default)]
struct Storm {
    /// Storms so far.
    number: AtomicUsize,
    /// Sleepers that have not answered the present one.
    missing: AtomicUsize,
    over: AtomicBool,
}

/// Storms for some time.
pub(super) fn run(time: Duration) -> Result<()> {
    let cpus = allowed_cpus()?;
    let storm = Storm::default();
    let waker = thread::current();
    thread::scope(|scope| {
        let sleepers: Vec<_> = (0..cpus.len() * SLEEPERS_PER_CPU)
            .map(|index| {
                let cpu = cpus[index % cpus.len()];
                let (storm, waker) = (&storm, &waker);
                scope.spawn(move || sleep(storm, waker, cpu))
            })
            .collect();
        let end = Instant::now() + time;
        while Instant::now() < end {
            storm.missing.store(sleepers.len(), Ordering::Release);
            storm.number.fetch_add(1, Ordering::Release);
            for sleeper in &sleepers {
                sleeper.thread().unpark();
            }
            while storm.missing.load(Ordering::Acquire) > 0 && Instant::now() < end {
                thread::park_timeout(PATIENCE);
            }
        }
        storm.over.store(true, Ordering::Release);
        for sleeper in sleepers {
            sleeper.thread().unpark();
            sleeper.join().expect("it only sleeps")?;
        }
        Ok(())
    })
}

fn sleep(storm: &Storm, waker: &Thread, cpu: usize) -> Result<()> {
    pin(cpu)?;
    let mut seen = 0;
    while !storm.over.load(Ordering::Acquire) {
        let number = storm.number.load(Ordering::Acquire);
        if number == seen {
            thread::park();
            continue;
        }
        seen = number;
        if storm.missing.fetch_sub(1, Ordering::AcqRel) == 1 {
            waker.unpark();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_storm_ends() {
        run(Duration::from_millis(50)).expect("threads can be pinned");
    }
}
