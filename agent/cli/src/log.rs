//! What Hostler says of itself, on standard error, so that reports can be piped.

use std::{
    ffi::{OsStr, OsString},
    io::IsTerminal as _,
};

use hostler_daemon::config::{LogFormat, RawLog};
use tracing_subscriber::{
    EnvFilter, Registry, fmt,
    layer::{Layer as _, SubscriberExt as _},
    reload,
    util::SubscriberInitExt as _,
};

use crate::args::GlobalArgs;

/// The variable that goes before whatever else says how much is said; it takes the filters of
/// `tracing-subscriber`, such as `hostler_observe=trace`.
const VARIABLE: &str = "HOSTLER_LOG";

/// Starts the log of a command: `-v` says more.
pub(crate) fn start(global: &GlobalArgs) {
    fmt()
        .with_env_filter(filter(level(global.verbose)))
        .with_ansi(has_color(global))
        .with_writer(std::io::stderr)
        .init();
}

fn level(verbose: u8) -> &'static str {
    match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    }
}

fn has_color(global: &GlobalArgs) -> bool {
    let variable: Option<OsString> = std::env::var_os("NO_COLOR");
    let is_terminal = std::io::stderr().is_terminal();
    global
        .color
        .applies(is_terminal, variable.as_deref().map(OsStr::new))
}

/// What the variable says, else `wanted`. What is no filter is left out, and said.
fn filter(wanted: &str) -> EnvFilter {
    let parsed = |words: &str, from: &str| match EnvFilter::try_new(words) {
        Ok(filter) => Some(filter),
        Err(error) => {
            eprintln!("hostler: {from} is not a filter, and is left out: {error}");
            None
        }
    };
    let variable = std::env::var(VARIABLE).ok();
    variable
        .and_then(|words| parsed(&words, VARIABLE))
        .or_else(|| parsed(wanted, "the level of the log"))
        .unwrap_or_else(|| EnvFilter::new("info"))
}

/// The daemon's log.
pub(crate) struct DaemonLog {
    level: reload::Handle<EnvFilter, Registry>,
    /// What `-v` asks for goes before the configuration.
    verbose: u8,
}

/// Starts the daemon's log.
pub(crate) fn start_of_daemon(wanted: &RawLog, global: &GlobalArgs) -> DaemonLog {
    let (filtered, level) = reload::Layer::new(filter(wanted_level(wanted, global.verbose)));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match wanted.format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(has_color(global)).boxed(),
    };
    tracing_subscriber::registry()
        .with(filtered)
        .with(lines)
        .init();
    DaemonLog {
        level,
        verbose: global.verbose,
    }
}

impl DaemonLog {
    /// Says as much from now on as a configuration wants.
    pub(crate) fn set_level(&self, wanted: &RawLog) {
        let filter = filter(wanted_level(wanted, self.verbose));
        if let Err(error) = self.level.reload(filter) {
            tracing::error!(%error, "the level of the log could not be changed");
        }
    }
}

fn wanted_level(wanted: &RawLog, verbose: u8) -> &str {
    match verbose {
        0 => &wanted.level,
        more => level(more),
    }
}
