//! Hostler's command line: what was typed, turned into a run of the daemon's loop and a report.

mod args;
mod commands;
mod failure;
mod generated;
mod output;
mod render;
mod report;

use std::process::ExitCode;

use args::Args;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::from_command_line();
    start_log(args.global.verbose);
    match commands::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.explain(),
    }
}

/// Logs go to standard error, so that reports can be piped. `HOSTLER_LOG` overrides `-v`; it takes
/// the filters of `tracing-subscriber`, such as `hostler_observe=trace`.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("HOSTLER_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
