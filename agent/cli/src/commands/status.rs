//! `hostler status`: how the daemon of this host does.

use hostler_daemon::control::Client;

use crate::{
    args::{GlobalArgs, StatusArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{status_json, status_text},
    report::StatusReport,
};

pub(crate) fn run(args: &StatusArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let report = StatusReport::from(daemon(global)?.status()?);
    output::write_only(&if args.json {
        status_json(&report)
    } else {
        status_text(&report, stdout.size().0)
    })
}

/// The daemon, which must be there.
pub(super) fn daemon(global: &GlobalArgs) -> Result<Client, Failure> {
    Client::connect(&global.socket)?.ok_or_else(|| Failure::NoDaemon {
        socket: global.socket.clone(),
    })
}
