//! Hostler's command line: what was typed, turned into a run of the daemon's loop and a report.

mod args;
mod commands;
mod failure;
mod generated;
mod log;
mod output;
mod render;
mod report;

use std::process::ExitCode;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::from_command_line();
    // The daemon's log is as its configuration wants it.
    if !matches!(args.command, Some(Command::Run(_))) {
        log::start(&args.global);
    }
    match commands::run(&args) {
        Ok(status) => status,
        Err(failure) => failure.explain(),
    }
}
