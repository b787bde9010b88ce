//! Hostler's command line.
#![allow(dead_code, unused_imports, reason = "the commands are not wired yet")]

mod args;
mod generated;
mod render;
mod report;

use args::{Args, Command};

fn main() -> anyhow::Result<()> {
    match Args::from_command_line().command {
        Some(Command::Man { dir: None }) => {
            std::io::Write::write_all(&mut std::io::stdout(), generated::main_page().as_bytes())?;
            Ok(())
        }
        _ => anyhow::bail!("this command is not wired yet"),
    }
}
