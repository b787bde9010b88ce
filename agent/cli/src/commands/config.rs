//! `hostler config`: what stands in a configuration, and what it means.

use hostler_daemon::config::{Config, document};

use crate::{args::ConfigCommand, failure::Failure, output};

pub(crate) fn run(command: &ConfigCommand) -> Result<(), Failure> {
    match command {
        ConfigCommand::Check(args) => {
            let config = Config::read(args.file.as_deref())?;
            output::write_only(&format!("{}: it makes sense\n", config.origin))
        }
        ConfigCommand::Show(args) => {
            let config = Config::read(args.file.as_deref())?;
            output::write_only(&config.shown())
        }
        ConfigCommand::Default => output::write_only(&document()),
    }
}
