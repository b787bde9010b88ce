//! Hostler's development tasks, run as `cargo xtask TASK`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build_ebpf;
mod compare;
mod dist;
mod fuzz;
mod test;
mod verify;
mod vm;
mod workspace;

/// Hostler's development tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure what Hostler costs on this machine.
    Bench(bench::BenchArgs),
    /// Build the kernel programs and say where they are.
    BuildEbpf,
    /// Compare two commands in one guest, by instruction time.
    Compare(compare::CompareArgs),
    /// Build the release's archive.
    Dist(dist::DistArgs),
    /// Feed the decoders with whatever a fuzzer makes up, for some time each.
    Fuzz(fuzz::FuzzArgs),
    /// Run every test that this machine can run.
    Test(test::TestArgs),
    /// Compare what the verifier makes of every program on every kernel with what is expected.
    Verify(verify::VerifyArgs),
    /// Run a command, or the privileged tests, in a guest with another kernel and another shape.
    Vm(vm::VmArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Bench(args) => bench::run(&args),
        Task::BuildEbpf => build_ebpf::run(),
        Task::Compare(args) => compare::run(&args),
        Task::Dist(args) => dist::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Test(args) => test::run(&args),
        Task::Verify(args) => verify::run(&args),
        Task::Vm(args) => vm::run(&args),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
