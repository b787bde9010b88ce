//! `cargo xtask bench fleet`: what Hostler costs beside a fleet of agents, held against its budgets.
//!
//! A fleet of the reference size runs from the beginning to the end. Beside it: how long Hostler takes
//! to start; what a tick takes, on its own thread's CPU clock; what the kernel counts of a `hostler`
//! that ticks once a second; what a round trip's probe takes, by the kernel's run-time statistics; and
//! at last, with Hostler and without in turn, how long the fleet's requests take, as its agents
//! themselves have written it down.

mod daemon;
mod fleet;
mod latency;
mod process;
mod recording;
mod report;
mod ticks;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};

pub(crate) use self::daemon::{DaemonArgs, run as run_daemon};
use self::fleet::Fleet;
pub(crate) use self::recording::{RecordArgs, run as run_recording};
pub(crate) use self::report::{row, spread, write_json};
use crate::interrupt::Interrupt;

const AFTER_HELP: &str = "\
It needs root, and takes about ten minutes and, with all agents, 3 GiB of memory. While it runs, \
nothing else should run. Ctrl-C ends what was started; nothing of it is left.";

/// What Hostler costs beside a fleet of thousands of agents, held against its budgets.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct FleetArgs {
    /// Agents of the fleet
    #[arg(long, default_value_t = 4_462, value_parser = clap::value_parser!(u32).range(10..=8_000))]
    agents: u32,

    /// How long an agent is idle between two turns, on average
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    mean_idle: Duration,

    /// Times that Hostler is started, to see how long it takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    starts: u32,

    /// Ticks, one a second, that are measured
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(3..=600))]
    ticks: u32,

    /// Pairs of windows with Hostler and without
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pairs: u32,

    /// Length of each of these windows, in seconds
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,

    /// Everything that was measured, as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &FleetArgs) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this makes cgroups and loads programs into the kernel: run it as root"
    );
    let interrupt = Interrupt::watch()?;
    let length = Duration::from_secs(args.seconds);
    eprintln!("starting {} agents", args.agents);
    let fleet = Fleet::start(args.agents, args.mean_idle, time_needed(args), &interrupt)?;
    let starts = ticks::starts(args.starts, &interrupt)?;
    let ticks = ticks::measure(args.ticks, &interrupt)?;
    let process = process::measure(args.ticks, &interrupt)?;
    let windows = latency::windows(args.pairs, length, &interrupt)?;
    eprintln!("waiting for the fleet's own account");
    let requests = fleet.requests(&interrupt)?;
    let report = report::Report {
        kernel: hostler_observe::kernel_release(),
        agents: args.agents,
        starts,
        ticks,
        process,
        latency: latency::compare(&windows, &requests).context("comparing requests")?,
    };
    print!("{}", report.text());
    report::write_json(&report, args.json.as_deref())
}

/// How long the fleet has to live: each part, with some room for what comes between.
fn time_needed(args: &FleetArgs) -> Duration {
    let pair = 2 * (Duration::from_secs(args.seconds) + latency::SETTLE + latency::MOST_OF_A_START);
    args.starts * Duration::from_secs(3)
        + args.ticks * Duration::from_secs(2)
        + args.pairs * pair
        + Duration::from_mins(1)
}
