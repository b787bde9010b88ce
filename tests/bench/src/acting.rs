//! `cargo xtask bench act`: what it costs to give threads CPUs, to look whether somebody else has set them
//! since, and to take it back, on threads of this machine.
//!
//! A look is held against reading each knob anew in the same run: that is what it would be without asking
//! first whether anything differs.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};
use hostler_act::{
    Cause, CpuList, Executor, Host as _, Journal, Kernel, Members, Order, Thread, started,
};
use nix::{sched::sched_getaffinity, unistd::Pid};
use serde::Serialize;

use crate::{
    budgets::{row, spread, write_json},
    planning::cpu_ms,
    spread::Spread,
    table::table,
};

/// Part of a core that looks may take beside the reference load, in percent: that of the whole daemon.
const BUDGET_PERCENT: f64 = 2.0;

/// Threads of the reference load: 4,462 agents with 20 each.
const REFERENCE_THREADS: f64 = 4_462.0 * 20.0;

/// Seconds in which all of them are looked at.
const LOOK_SECONDS: f64 = 2.0;

/// What it costs to place threads, to watch them, and to take that back.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ActArgs {
    /// Threads
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    threads: u32,

    /// Times that they are placed, looked at and given back
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,

    /// Everything that was measured, as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A process with threads that wait, for this bench itself.
#[derive(clap::Args)]
pub(crate) struct SleepersArgs {
    /// How many
    threads: u32,
}

/// What was measured; CPU time of one thread, in µs.
#[derive(Debug, Serialize)]
struct Report {
    threads: u32,
    rounds: u32,
    place_us: Spread,
    look_us: Spread,
    /// Reading the knob anew.
    read_us: Spread,
    undo_us: Spread,
    /// What looks take beside the reference load, in percent of a core.
    reference_percent: f64,
}

/// Waits, with threads that wait as well, until its input ends.
pub(crate) fn sleep(args: &SleepersArgs) -> Result<()> {
    for _ in 1..args.threads {
        let waits = || {
            loop {
                thread::park();
            }
        };
        let builder = thread::Builder::new().stack_size(64 << 10);
        builder.spawn(waits).context("starting a thread")?;
    }
    println!("ready");
    std::io::stdout().flush()?;
    std::io::stdin().lines().for_each(drop);
    Ok(())
}

/// The process. It ends when this is dropped.
struct Sleepers(Child);

impl Sleepers {
    fn start(threads: u32) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["sleepers", &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting a process with many threads")?;
        let output = child.stdout.take();
        let sleepers = Self(child);
        let mut line = String::new();
        BufReader::new(output.context("a pipe")?).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "it could not start its threads");
        Ok(sleepers)
    }

    fn members(&self) -> Result<Members> {
        let pid = self.0.id();
        let started = started(pid)?.context("it has ended")?;
        let process = Thread {
            pid,
            tid: pid,
            started,
        };
        Ok(Members::Processes(vec![process]))
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _status = self.0.wait();
    }
}

pub(crate) fn run(args: &ActArgs) -> Result<()> {
    let sleepers = Sleepers::start(args.threads)?;
    let folder = tempfile::tempdir().context("making a folder")?;
    let cgroups = hostler_observe::cgroup_root()?;
    let mut reader = Kernel::new(&cgroups)?;
    let journal = Journal::open(&folder.path().join("journal"), "bench", 0)?;
    let mut executor = Executor::new(Kernel::new(&cgroups)?, journal);
    let order = Order {
        agent: "bench".to_owned(),
        what: "run on one CPU".to_owned(),
        why: "it is measured".to_owned(),
        members: sleepers.members()?,
        cpus: one_cpu()?,
    };
    let mut measured: [Vec<f64>; 4] = Default::default();
    for _ in 0..args.rounds {
        for (values, value) in measured
            .iter_mut()
            .zip(round(&mut executor, &mut reader, &order)?)
        {
            values.push(value);
        }
    }
    let of = |values: &Vec<f64>| Spread::of(values.clone()).context("nothing was measured");
    let [place_us, look_us, read_us, undo_us] = measured.each_ref().map(of);
    let look_us = look_us?;
    let report = Report {
        threads: args.threads,
        rounds: args.rounds,
        place_us: place_us?,
        read_us: read_us?,
        undo_us: undo_us?,
        reference_percent: look_us.median * REFERENCE_THREADS / LOOK_SECONDS / 1e6 * 100.0,
        look_us,
    };
    print!("{}", report.text());
    write_json(&report, args.json.as_deref())
}

/// Places all, looks at them, reads each, and gives back: CPU time of one thread of each, in µs.
fn round(executor: &mut Executor<Kernel>, reader: &mut Kernel, order: &Order) -> Result<[f64; 4]> {
    let began = cpu_ms()?;
    let (step, receipt) = executor.place(order.clone(), 0)?;
    let placed = cpu_ms()?;
    let looked = executor.look(|_| true, 0);
    let seen = cpu_ms()?;
    if let Some(error) = looked.failed {
        bail!(error);
    }
    ensure!(looked.yielded.is_empty(), "somebody else has set a thread");
    for change in &executor.past().steps[&step].begun.changes {
        ensure!(
            reader.read(&change.knob)?.as_ref() == Some(&change.new),
            "not set"
        );
    }
    let read = cpu_ms()?;
    executor.undo(step, Cause::Asked, 0)?;
    let undone = cpu_ms()?;
    let each_us = |from: f64, to: f64| (to - from) * 1e3 / receipt.set.max(1) as f64;
    Ok([
        each_us(began, placed),
        each_us(placed, seen),
        each_us(seen, read),
        each_us(read, undone),
    ])
}

/// The first CPU of those on which this process may run: others have to be left.
fn one_cpu() -> Result<CpuList> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    let cpus: Vec<u32> = (0..u32::try_from(nix::sched::CpuSet::count())?)
        .filter(|&cpu| set.is_set(cpu as usize).unwrap_or(false))
        .collect();
    ensure!(
        cpus.len() > 1,
        "this machine has one CPU: nothing can be placed"
    );
    Ok(cpus.into_iter().take(1).collect())
}

impl Report {
    fn text(&self) -> String {
        let ratio = self.look_us.median / self.read_us.median;
        let measured = format!("{:.2}", self.reference_percent);
        let looks = "looks beside the reference load, % of a core";
        let rows = vec![row(looks, measured, self.reference_percent, BUDGET_PERCENT)];
        format!(
            "{} threads of this machine, {} rounds\n\n{}\n\
             a thread, µs of CPU time: placing {}, a look {}, reading it anew {} (a look is {ratio:.2} \
             of that), taking back {}\n",
            self.threads,
            self.rounds,
            table(["", "MEASURED", "BUDGET", ""], rows),
            spread(self.place_us),
            spread(self.look_us),
            spread(self.read_us),
            spread(self.undo_us),
        )
    }
}
