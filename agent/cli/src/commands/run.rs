//! `hostler run`: the daemon.

use hostler_daemon::{ServiceStart, config::Config};

use crate::{
    args::{GlobalArgs, RunArgs},
    failure::Failure,
    log,
};

pub(crate) fn run(args: &RunArgs, global: &GlobalArgs) -> Result<(), Failure> {
    let config = Config::read(args.config.as_deref())?;
    let log = log::start_of_daemon(&config.raw.log, global);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        configuration = config.origin,
        "Hostler begins"
    );
    Ok(hostler_daemon::run(ServiceStart {
        path: args.config.clone(),
        config,
        set_log: |wanted: &_| log.set_level(wanted),
    })?)
}
