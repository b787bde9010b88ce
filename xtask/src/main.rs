//! Hostler's development tasks, run as `cargo xtask TASK`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod build_ebpf;
mod test;
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
    /// Run every test that this machine can run.
    Test(test::TestArgs),
    /// Run a command in a guest with another kernel and another shape.
    Vm(vm::VmArgs),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Bench(args) => bench::run(&args),
        Task::BuildEbpf => build_ebpf::run(),
        Task::Test(args) => test::run(&args),
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
