//! `hostler config`: what stands in a configuration, and what it means.

use hostler_daemon::config::{Config, document};

use super::status::daemon;
use crate::{
    args::{ConfigCommand, GlobalArgs},
    failure::Failure,
    output,
};

pub(crate) fn run(command: &ConfigCommand, global: &GlobalArgs) -> Result<(), Failure> {
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
        ConfigCommand::Reload => {
            let differences = daemon(global)?.reload()?;
            output::write_only(&if differences.is_empty() {
                "the configuration says the same as before\n".to_owned()
            } else {
                differences.join("\n") + "\n"
            })
        }
    }
}
