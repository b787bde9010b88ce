//! Hostler's command line: what was typed, turned into a run of the daemon's loop and a report.

mod args;
mod commands;
mod failure;
mod generated;
mod output;
mod render;
mod report;

use std::{io::IsTerminal as _, process::ExitCode};

use args::{Args, ColorWhen};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::from_command_line();
    start_log(args.global.verbose, args.global.color);
    match commands::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.explain(),
    }
}

/// Logs go to standard error, so that reports can be piped. `HOSTLER_LOG` overrides `-v`; it takes
/// the filters of `tracing-subscriber`, such as `hostler_observe=trace`.
fn start_log(verbose: u8, color: ColorWhen) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = match std::env::var("HOSTLER_LOG") {
        Err(_) => EnvFilter::new(level),
        Ok(words) => EnvFilter::try_new(&words).unwrap_or_else(|error| {
            eprintln!("hostler: HOSTLER_LOG is not a filter, and is left out: {error}");
            EnvFilter::new(level)
        }),
    };
    let color = color.applies(
        std::io::stderr().is_terminal(),
        std::env::var_os("NO_COLOR").as_deref(),
    );
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(color)
        .with_writer(std::io::stderr)
        .init();
}
