//! `cargo xtask bench probes`: what Hostler's programs on scheduler hooks cost, beside its peers.
//!
//! *Cost*: with the kernel's run-time statistics on, what all programs of a tool took during a
//! window, less what an empty program would have taken for as many runs, by the switches of that
//! window. *Slow-down*: with the statistics off, what a tool adds to the CPU time of a ping-pong's
//! round trip, which also holds what the statistics can't see. Tools take turns in a rotated order,
//! and are compared within a round, so that a machine that gets slower is slower for all.

mod cost;
mod programs;
mod record;
mod report;
mod running;
mod slow_down;
mod summary;
mod tool;
mod verdict;

use std::{fs::File, io::BufWriter, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

pub(crate) use self::programs::Empty;
use self::{
    record::{Record, Skipped},
    running::Bench,
    tool::{Tool, Tools},
};
use crate::{interrupt::Interrupt, load::Load, load_cgroup::LoadCgroup};

const AFTER_HELP: &str = "\
It needs root, and takes about four seconds for each tool, load and round. The peers are Debian's \
libbpf-tools and bpftrace, which `scripts/setup --bench` installs; one that is missing is skipped \
and counted. While it runs, nothing else should run, and no other BPF programs on the scheduler.

Hostler is measured twice. Waits, stretches, switches, the ledger and bytes are always counted; \
`hostler trace runq --group-by cpu` counts them per CPU as well, and `--by preemptor` who made whom \
wait. The target holds for the worse of the two.

Ctrl-C ends what was started; nothing of it is left.";

/// What the programs on scheduler hooks cost, beside runqlat, cpudist and bpftrace.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct ProbesArgs {
    /// How often each tool is measured with each load
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,

    /// Length of each measurement
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,

    /// Only this part
    #[arg(long)]
    part: Option<Part>,

    /// Only these loads (the slow-down is always the ping-pong's)
    #[arg(long)]
    load: Vec<Load>,

    /// Only these tools
    #[arg(long)]
    tool: Vec<Tool>,

    /// Everything that was measured, and what follows from it, as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// The Hostler to measure [default: the one beside this program]
    #[arg(long, value_name = "PATH")]
    hostler: Option<PathBuf>,
}

/// The two things that are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Time in the programs, by the kernel's statistics
    Cost,
    /// What a round trip takes longer
    SlowDown,
}

pub(crate) fn run(args: &ProbesArgs) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this loads programs into the kernel and needs root: run it as root"
    );
    // Opened before minutes are spent.
    let json = args
        .json
        .as_ref()
        .map(|path| File::create(path).with_context(|| format!("creating {}", path.display())));
    let json = json.transpose()?;
    let mut record = Record::new(args.rounds, args.seconds);
    let bench = Bench {
        tools: Tools::find(args.hostler.clone())?,
        length: Duration::from_secs(args.seconds),
        rounds: args.rounds,
        interrupt: Interrupt::watch()?,
        cgroup: LoadCgroup::make()?,
    };
    let tools = runnable_tools(args, &bench.tools, &mut record);
    let loads = runnable_loads(args, &mut record);
    if args.part != Some(Part::SlowDown) {
        cost::measure(&bench, &tools, &loads, &mut record)?;
    }
    if args.part != Some(Part::Cost) {
        slow_down::measure(&bench, &tools, &mut record)?;
    }
    record.conclude();
    print!("{}", report::text(&record));
    if let Some(file) = json {
        serde_json::to_writer_pretty(BufWriter::new(file), &record).context("writing the JSON")?;
    }
    Ok(())
}

fn runnable_tools(args: &ProbesArgs, found: &Tools, record: &mut Record) -> Vec<Tool> {
    let wanted = Tool::ALL
        .into_iter()
        .filter(|tool| args.tool.is_empty() || args.tool.contains(tool));
    let mut runnable = Vec::new();
    for tool in wanted {
        match found.words(tool) {
            Ok(_) => runnable.push(tool),
            Err(reason) => record.skip(Skipped::new(tool.title(), format!("{reason:#}"))),
        }
    }
    runnable
}

fn runnable_loads(args: &ProbesArgs, record: &mut Record) -> Vec<Load> {
    let mut loads = Load::ALL.to_vec();
    loads.retain(|load| args.load.is_empty() || args.load.contains(load));
    let has_stress_ng = || Command::new("stress-ng").arg("--version").output().is_ok();
    if loads.contains(&Load::Switch) && !has_stress_ng() {
        loads.retain(|&load| load != Load::Switch);
        let reason = "stress-ng is not installed; to install it, run: scripts/setup";
        record.skip(Skipped::new(Load::Switch.title(), reason));
    }
    loads
}
