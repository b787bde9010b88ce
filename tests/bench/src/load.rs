//! The loads: this binary runs them in processes of their own, or `stress-ng` does.

mod ping_pong;
mod storm;

use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde::Serialize;

pub(crate) use ping_pong::RoundTrips;

/// What makes threads wait and switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Load {
    /// Two threads on one CPU that pass a byte to and fro through pipes
    PingPong,
    /// `stress-ng --switch`, two pairs of processes a CPU
    Switch,
    /// One thread that wakes eight sleepers on each CPU at once, again and again
    Storm,
}

/// One of the own loads, for a time.
#[derive(clap::Args)]
pub(crate) struct LoadArgs {
    /// Which one
    load: Load,
    /// For how long, in ms
    milliseconds: u64,
}

impl Load {
    pub(crate) const ALL: [Self; 3] = [Self::PingPong, Self::Switch, Self::Storm];

    /// What a report calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::PingPong => "ping-pong on one CPU",
            Self::Switch => "stress-ng --switch",
            Self::Storm => "wake-up storm over all CPUs",
        }
    }

    /// The command that runs it for a time.
    pub(crate) fn words(self, time: Duration) -> Result<Vec<String>> {
        if self == Self::Switch {
            let pairs = (2 * allowed_cpus()?.len()).to_string();
            let seconds = format!("{}s", time.as_secs() + 1);
            let words = [
                "stress-ng",
                "--quiet",
                "--switch",
                &pairs,
                "--timeout",
                &seconds,
            ];
            return Ok(words.map(str::to_owned).to_vec());
        }
        let own = std::env::current_exe().context("finding this program")?;
        let word = if self == Self::Storm {
            "storm"
        } else {
            "ping-pong"
        };
        Ok(vec![
            own.display().to_string(),
            "load".to_owned(),
            word.to_owned(),
            time.as_millis().to_string(),
        ])
    }
}

/// Runs a load in this process.
pub(crate) fn run(args: &LoadArgs) -> Result<()> {
    let time = Duration::from_millis(args.milliseconds);
    match args.load {
        Load::PingPong => println!("{}", ping_pong::run(time)?),
        Load::Storm => storm::run(time)?,
        Load::Switch => anyhow::bail!("stress-ng runs this one"),
    }
    Ok(())
}

fn allowed_cpus() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).context("asking for the allowed CPUs")?;
    Ok((0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu).unwrap_or(false))
        .collect())
}

/// Keeps this thread, and those that it starts, on one CPU.
fn pin(cpu: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &only).with_context(|| format!("pinning to CPU {cpu}"))
}
