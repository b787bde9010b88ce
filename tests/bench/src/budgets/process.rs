//! A `hostler` of its own, as the kernel accounts for it.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result};
use nix::unistd::{SysconfVar, sysconf};
use serde::Serialize;

use super::fleet::{Hostler, TRACE};
use crate::interrupt::Interrupt;

const SECOND: Duration = Duration::from_secs(1);

/// Seconds after the start that don't count.
const SETTLE: u32 = 5;

/// What one process took.
#[derive(Debug, Serialize)]
pub(super) struct Process {
    /// CPU time of user and kernel by wall time, in percent of one core.
    pub(super) cpu_percent: f64,
    /// The most anonymous memory that it had, in MiB.
    pub(super) anonymous_mib: f64,
}

/// Runs a `hostler` that ticks once a second for as many seconds.
pub(super) fn measure(seconds: u32, interrupt: &Interrupt) -> Result<Process> {
    eprintln!("a hostler of its own, for {seconds} s");
    let hostler = Hostler::start(TRACE, interrupt)?;
    let pid = hostler.child.pid();
    interrupt.sleep(SETTLE * SECOND)?;
    let began = std::time::Instant::now();
    let before = cpu_seconds(pid)?;
    let mut most_kib = 0;
    for _ in 0..seconds {
        interrupt.sleep(SECOND)?;
        most_kib = most_kib.max(anonymous_kib(pid)?);
    }
    let cpu = cpu_seconds(pid)? - before;
    let took = began.elapsed().as_secs_f64();
    hostler.stop()?;
    Ok(Process {
        cpu_percent: 100.0 * cpu / took,
        anonymous_mib: f64::from(most_kib) / 1024.0,
    })
}

pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("reading its stat")?;
    let (_, rest) = stat.rsplit_once(") ").context("a name in brackets")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |index: usize| -> Result<f64> {
        let field = fields.get(index).context("a field of stat")?;
        field.parse().context("a number of ticks")
    };
    let hertz = sysconf(SysconfVar::CLK_TCK)?.context("ticks have a length")?;
    Ok((ticks(11)? + ticks(12)?) / hertz as f64)
}

/// CPU time of the threads that are there, in s, by name: the same name stands for all that have it.
pub(super) fn cpu_seconds_by_thread(pid: u32) -> Result<BTreeMap<String, f64>> {
    let mut seconds = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).context("listing its threads")? {
        let task = task?.path();
        let read = |file: &str| fs::read_to_string(task.join(file));
        // A thread may end meanwhile.
        let (Ok(name), Ok(stat)) = (read("comm"), read("schedstat")) else {
            continue;
        };
        let ns = stat.split(' ').next().and_then(|ns| ns.parse::<u64>().ok());
        let ns = ns.context("a thread's time on CPUs")?;
        *seconds.entry(name.trim().to_owned()).or_default() += ns as f64 / 1e9;
    }
    Ok(seconds)
}

pub(super) fn anonymous_kib(pid: u32) -> Result<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading its status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let line = line.context("the kernel tells of anonymous memory")?;
    let number = line.trim().trim_end_matches(" kB").parse();
    number.context("an amount of memory")
}
