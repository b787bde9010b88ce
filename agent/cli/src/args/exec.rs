//! The options of `hostler exec`: a command that begins as an agent.

use std::{ffi::OsString, path::PathBuf, str::FromStr};

use clap::{Args, ValueHint};
use hostler_daemon::NodeChoice;

const EXEC_EXAMPLES: &str = "\
Examples:
  hostler exec -- ./agent --task 17                where CPUs are idle
  hostler exec --group team --agent a -- ./agent   team/a in all reports
  hostler exec --node 1 -- python3 agent.py        on node 1, and it stays
  hostler exec -v --threads 4 -- cargo build       its pools have 4 threads
  hostler exec -- runuser -u agent -- ./agent      as another user";

pub(super) const EXEC_HELP: &str = "\
Start a command as an agent: in a cgroup of its own, where CPUs are idle, with pools that fit

The command gets a cgroup, GROUP/AGENT, by which it is known in all reports, and begins on the NUMA node \
that has most CPUs idle: what memory it takes first is there. A daemon that acts may take it elsewhere, \
unless `--node` names a node. Runtimes are told how many threads are worth it: as many as \
CPUs are idle around it, and no more than its quota allows (TOKIO_WORKER_THREADS, RAYON_NUM_THREADS, \
OMP_NUM_THREADS, GOMAXPROCS, UV_THREADPOOL_SIZE and others, unless they are set already). \
HOSTLER_HINTS names a file that says so as JSON, `threads`, and that is written anew while it runs: fewer \
where its threads wait for CPUs or use up the quota, more where all of them are busy and CPUs are idle.

Hostler waits for the command, passes SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1 and SIGUSR2 on to it, and \
ends as it ends, with 128 and the signal's number if one ended it; if it is killed itself, the command is \
told to end. Nothing is left then, but for processes that the command has left behind, and their cgroup. It \
needs to be able to make cgroups: root is.";

/// What to start, and how.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXEC_EXAMPLES)]
pub(crate) struct ExecArgs {
    /// The agent's name in its group; if not given, the program's and a number
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
    /// The group of the agent
    #[arg(long, value_name = "NAME", default_value = "agents")]
    pub(crate) group: String,
    /// Where it begins: the node with most idle CPUs (auto), wherever the kernel puts it (any), or a
    /// node's number, where it stays with its memory
    #[arg(long, value_name = "NODE", default_value = "auto", value_parser = node)]
    pub(crate) node: NodeChoice,
    /// How many threads its pools have; if not given, as many as are worth it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) threads: Option<u32>,
    /// The folder of files with hints
    #[arg(long, value_name = "DIR", default_value = "/run/hostler-hints", value_hint = ValueHint::DirPath)]
    pub(crate) hints: PathBuf,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND",
          value_hint = ValueHint::CommandWithArguments)]
    pub(crate) command: Vec<OsString>,
}

fn node(text: &str) -> Result<NodeChoice, String> {
    match text {
        "auto" => Ok(NodeChoice::Auto),
        "any" => Ok(NodeChoice::Any),
        number => u32::from_str(number)
            .map(NodeChoice::On)
            .map_err(|_| "auto, any, or a node's number".to_owned()),
    }
}
