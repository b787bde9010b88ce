//! `cargo xtask bench plan`: what it takes to plan for a host of thousands of agents on many nodes, which is
//! made up: no machine at hand has as many nodes, and planning needs none.
//!
//! Two hosts are planned for: one on which everything runs anywhere, so that there is most to do, and the
//! same after its plan was carried out.

mod host;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use hostler_decide::plan::{Lately, Plan, Policy, plan};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use self::host::Host;
use crate::{
    budgets::{row, spread, write_json},
    spread::Spread,
    table::table,
};

/// CPU time that a plan may take, in ms.
const BUDGET_MS: f64 = 10.0;

/// Windows that a plan rests on.
const WINDOWS: u64 = 30;

/// What it takes to plan who runs where, on a host that is made up.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct PlanArgs {
    /// Agents
    #[arg(long, default_value_t = 4_462, value_parser = clap::value_parser!(u32).range(1..=8_000))]
    agents: u32,

    /// Threads of each
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    threads: u32,

    /// Nodes, with 32 CPUs each
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=16))]
    nodes: u32,

    /// Hosts that are made up, and planned for once each
    #[arg(long, default_value_t = 31, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    hosts: u32,

    /// Everything that was measured, as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    agents: u32,
    threads: u32,
    nodes: u32,
    hosts: u32,
    /// CPU time of taking in a window, in ms.
    window_cpu_ms: Spread,
    /// CPU time of a plan where everything runs anywhere, in ms.
    scattered_cpu_ms: Spread,
    /// Steps of these plans.
    scattered_steps: Spread,
    /// What the hosts lose a second before them, in CPUs, and after them, their own price left out.
    lost_before: Spread,
    lost_after: Spread,
    /// CPU time of a plan where the one before was carried out, in ms, and the steps of these.
    settled_cpu_ms: Spread,
    settled_steps: Spread,
    /// What the hosts lose a second then.
    settled_lost: Spread,
}

/// What is measured of each host.
#[derive(Default)]
struct Measured {
    window_ms: Vec<f64>,
    scattered_ms: Vec<f64>,
    scattered_steps: Vec<f64>,
    before: Vec<f64>,
    after: Vec<f64>,
    settled_ms: Vec<f64>,
    settled_steps: Vec<f64>,
    settled_lost: Vec<f64>,
}

pub(crate) fn run(args: &PlanArgs) -> Result<()> {
    let mut measured = Measured::default();
    for seed in 0..args.hosts {
        measured.add(args, u64::from(seed))?;
    }
    let of = |values: Vec<f64>| Spread::of(values).context("nothing was measured");
    let report = Report {
        agents: args.agents,
        threads: args.threads,
        nodes: args.nodes,
        hosts: args.hosts,
        window_cpu_ms: of(measured.window_ms)?,
        scattered_cpu_ms: of(measured.scattered_ms)?,
        scattered_steps: of(measured.scattered_steps)?,
        lost_before: of(measured.before)?,
        lost_after: of(measured.after)?,
        settled_cpu_ms: of(measured.settled_ms)?,
        settled_steps: of(measured.settled_steps)?,
        settled_lost: of(measured.settled_lost)?,
    };
    print!("{}", report.text());
    write_json(&report, args.json.as_deref())
}

impl Measured {
    fn add(&mut self, args: &PlanArgs, seed: u64) -> Result<()> {
        let mut host = Host::new(args.agents, u64::from(args.threads), args.nodes, seed);
        let (window_ms, lately) = seen(&mut host)?;
        let (scattered_ms, scattered) = planned(&host, &lately)?;
        host.carry_out(&scattered);
        let (_, lately) = seen(&mut host)?;
        let (settled_ms, settled) = planned(&host, &lately)?;
        self.window_ms.push(window_ms);
        self.scattered_ms.push(scattered_ms);
        self.scattered_steps.push(scattered.steps.len() as f64);
        self.before.push(cpus(scattered.now.total_ns()));
        self.after
            .push(cpus(scattered.then.total_ns() - scattered.then.moves_ns));
        self.settled_ms.push(settled_ms);
        self.settled_steps.push(settled.steps.len() as f64);
        self.settled_lost.push(cpus(settled.now.total_ns()));
        Ok(())
    }
}

/// What such a host does for a while, and what taking in one window of it takes.
fn seen(host: &mut Host) -> Result<(f64, Lately)> {
    let windows: Vec<_> = (0..WINDOWS).map(|number| host.window(number)).collect();
    let mut lately = Lately::default();
    let began = cpu_ms()?;
    for window in &windows {
        lately.follow(window);
    }
    Ok(((cpu_ms()? - began) / WINDOWS as f64, lately))
}

fn planned(host: &Host, lately: &Lately) -> Result<(f64, Plan)> {
    let policy = Policy::default();
    let began = cpu_ms()?;
    let plan = plan(lately, &host.topology, &policy);
    Ok((cpu_ms()? - began, plan))
}

fn cpus(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// CPU time of this thread, in ms.
pub(crate) fn cpu_ms() -> Result<f64> {
    let time = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("reading the CPU clock")?;
    Ok(time.tv_sec() as f64 * 1e3 + time.tv_nsec() as f64 / 1e6)
}

impl Report {
    fn text(&self) -> String {
        let planning = |what: &str, took: Spread| row(what, spread(took), took.median, BUDGET_MS);
        let rows = vec![
            planning("a plan, everything anywhere, CPU ms", self.scattered_cpu_ms),
            planning(
                "a plan, the last one carried out, CPU ms",
                self.settled_cpu_ms,
            ),
        ];
        format!(
            "{} hosts with {} agents of {} threads on {} nodes\n\n{}\n\
             taking in a window: {} ms\n\
             everything anywhere: {} steps; lost {} CPUs before, {} after\n\
             the last one carried out: {} steps; lost {} CPUs before\n",
            self.hosts,
            self.agents,
            self.threads,
            self.nodes,
            table(["", "MEASURED", "BUDGET", ""], rows),
            spread(self.window_cpu_ms),
            spread(self.scattered_steps),
            spread(self.lost_before),
            spread(self.lost_after),
            spread(self.settled_steps),
            spread(self.settled_lost),
        )
    }
}
