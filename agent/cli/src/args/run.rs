//! The options of `hostler run` and `hostler config`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

const RUN_EXAMPLES: &str = "\
Examples:
  hostler run                         by /etc/hostler/hostler.toml, if it is there
  hostler run --config hostler.toml
  kill -HUP $(pidof hostler)          make it read its configuration again
  kill -USR1 $(pidof hostler)         take back all that it changed
  curl http://127.0.0.1:9465/metrics  what Prometheus gets";

pub(super) const RUN_HELP: &str = "\
Measure this host for as long as it runs, and serve metrics

This is Hostler's long-running form, the daemon: it reads the host once a second, adds up what happened \
by agent, group and host, and serves it to Prometheus. It only observes, unless `plan.mode` is `act` in its configuration: then it takes back all \
that it changed when it ends, and at once at SIGUSR1. SIGHUP makes it read its \
configuration again: what differs is logged, and a file with anything wrong in it is refused as a whole. \
SIGTERM or Ctrl-C ends it in order; it tells systemd of readiness, reloads and life.

Rules and names of peers stand in its configuration; --rule and --rules are for the other commands.";

const CONFIG_EXAMPLES: &str = "\
Examples:
  hostler config default > /etc/hostler/hostler.toml
  hostler config check hostler.toml    what is wrong with it, if anything
  hostler config show                  all that holds, defaults included
  hostler config reload                make the daemon read its own again";

pub(super) const STATUS_EXAMPLES: &str = "\
Examples:
  hostler status                                readable
  hostler status --json | jq .watchers          for a program
  hostler status --socket /run/other/control.sock";

/// How to run.
#[derive(Args, Debug)]
#[command(after_long_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// The configuration; if not given, /etc/hostler/hostler.toml, or the defaults without it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
#[command(after_long_help = CONFIG_EXAMPLES)]
pub(crate) enum ConfigCommand {
    /// Say whether a configuration makes sense, and if not, why not
    #[command(after_long_help = CONFIG_EXAMPLES)]
    Check(ConfigFileArgs),
    /// Print all that holds by a configuration, defaults included
    #[command(after_long_help = CONFIG_EXAMPLES)]
    Show(ConfigFileArgs),
    /// Print a configuration with all defaults and what each key means
    #[command(after_long_help = CONFIG_EXAMPLES)]
    Default,
    /// Make the daemon read its configuration again, and say what differs
    #[command(after_long_help = CONFIG_EXAMPLES)]
    Reload,
}

/// How to say how the daemon does.
#[derive(Args, Debug)]
pub(crate) struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which configuration.
#[derive(Args, Debug)]
pub(crate) struct ConfigFileArgs {
    /// The configuration; if not given, /etc/hostler/hostler.toml, or the defaults without it
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
}
