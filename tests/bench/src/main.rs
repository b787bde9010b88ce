//! What Hostler costs, measured on this machine beside its peers. `cargo xtask bench` builds this
//! and Hostler as they are released, and runs it.

mod acting;
mod budgets;
mod child;
mod hierarchy;
mod interrupt;
mod load;
mod load_cgroup;
mod planning;
mod probes;
mod spread;
mod table;
mod verifier;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Measures what Hostler costs on this machine.
#[derive(Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", version)]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// What the programs on scheduler hooks cost, beside runqlat, cpudist and bpftrace.
    Probes(probes::ProbesArgs),
    /// What Hostler costs beside a fleet of thousands of agents, held against its budgets.
    Fleet(budgets::FleetArgs),
    /// What it costs to record a fleet of thousands of agents.
    Record(budgets::RecordArgs),
    /// What the daemon costs beside a fleet, and whether its memory stays as it is.
    Daemon(budgets::DaemonArgs),
    /// What it takes to plan who runs where, for a host of thousands of agents on many nodes.
    Plan(planning::PlanArgs),
    /// What it costs to give threads CPUs, to look whether somebody else has set them, and to take it back.
    Act(acting::ActArgs),
    /// What the verifier makes of every program on this kernel, as JSON: `cargo xtask verify`
    /// compares it with what is expected.
    Verifier(verifier::VerifierArgs),
    /// One of the loads, for the benches themselves.
    #[command(hide = true)]
    Load(load::LoadArgs),
    /// A process with many threads, for the benches themselves.
    #[command(hide = true)]
    Sleepers(acting::SleepersArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().bench {
        Bench::Probes(args) => probes::run(&args),
        Bench::Fleet(args) => budgets::run(&args),
        Bench::Record(args) => budgets::run_recording(&args),
        Bench::Daemon(args) => budgets::run_daemon(&args),
        Bench::Plan(args) => planning::run(&args),
        Bench::Act(args) => acting::run(&args),
        Bench::Verifier(args) => verifier::run(&args),
        Bench::Load(args) => load::run(&args),
        Bench::Sleepers(args) => acting::sleep(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
