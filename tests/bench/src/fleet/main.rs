//! A fleet of agents on this host, for benches and tests that need many: thousands of small
//! processes, each in a cgroup of its own, mostly idle, that compute, touch memory and talk to tool
//! servers by a seeded schedule, and write down themselves what they did.

mod agent;
mod context;
mod fleet;
#[path = "../hierarchy.rs"]
mod hierarchy;
#[path = "../interrupt.rs"]
mod interrupt;
mod schedule;
mod server;
mod summary;
mod tree;
mod truth;
mod wire;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

const AFTER_HELP: &str = "\
It needs root for the cgroups, about half a MiB of memory for each agent beside its context, and \
some milliseconds to start each. When all are ready it prints `ready` and the time of the start, in ns \
of the monotonic clock; at the end, what they did in sum, as JSON. Nothing of it is left when \
it ends; if it is killed, its agents end with it, and the next fleet removes their cgroups.";

/// A fleet of agents that know themselves what they do.
#[derive(Parser)]
#[command(name = "hostler-fleet", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Run a fleet.
    Run(fleet::FleetArgs),
    /// One agent, for the fleet itself.
    #[command(hide = true)]
    Agent(agent::AgentArgs),
    /// One server, for the fleet itself.
    #[command(hide = true)]
    Server {
        #[arg(long)]
        cgroup: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().role {
        Role::Run(args) => fleet::run(&args),
        Role::Agent(args) => agent::run(&args),
        Role::Server { cgroup } => server::run(&cgroup),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
