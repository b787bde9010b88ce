//! Starts a command as an agent: in a cgroup of its own, where CPUs are idle, with pools of as many threads
//! as are worth it. Nobody needs to run for that, no probe is loaded, and nothing is left of it at its end.
//!
//! It stays with its command, tells it what its pools should have from time to time, and ends as it ends.

mod hints;
mod signals;
mod surroundings;

use std::{
    ffi::OsString,
    hash::{BuildHasher as _, RandomState},
    io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use hostler_act::{Begin, HostError, OwnCgroup, begin_in};
use hostler_decide::pool::{best_node, first_size};
use hostler_observe::{ObserveError, cgroup_root};
use tokio::{process::Child, time::interval_at};

use self::{hints::HintFile, signals::Signals, surroundings::Surroundings};

/// Variables by which runtimes are told how many threads their pools of computing threads have, and those
/// that count for them as well: where somebody has chosen one of these, it stays as it is.
const POOLS: [(&str, &[&str]); 11] = [
    ("TOKIO_WORKER_THREADS", &[]),
    ("RAYON_NUM_THREADS", &[]),
    ("POLARS_MAX_THREADS", &[]),
    ("OMP_NUM_THREADS", &[]),
    (
        "OPENBLAS_NUM_THREADS",
        &["OMP_NUM_THREADS", "GOTO_NUM_THREADS"],
    ),
    ("MKL_NUM_THREADS", &["OMP_NUM_THREADS"]),
    (
        "NUMEXPR_MAX_THREADS",
        &["NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS"],
    ),
    ("GOMAXPROCS", &[]),
    ("JULIA_NUM_THREADS", &[]),
    ("PYTHON_CPU_COUNT", &[]),
    ("DOTNET_PROCESSOR_COUNT", &[]),
];

/// The same of a pool whose threads wait for files and names rather than compute, and how many it has by
/// itself: it is made larger, not smaller.
const WAITING_POOL: (&str, u32) = ("UV_THREADPOOL_SIZE", 4);

/// Says where the file of hints is.
const HINTS: &str = "HOSTLER_HINTS";

/// How often it is looked whether pools should have another size.
const LOOK: Duration = Duration::from_secs(5);

/// An agent begins on a node with as much free memory at least, if there is one.
const NEEDS_BYTES: u64 = 256 << 20;

/// How long the kernel may take to be done with processes that have ended before they are said to go on.
const LEAVES: Duration = Duration::from_secs(1);

/// How often it is looked meanwhile.
const TRY: Duration = Duration::from_millis(10);

/// The longest name of a group or an agent: as many bytes as a file's name may have, with room for an end.
const LONGEST_NAME: usize = 200;

/// What to start, and how.
#[derive(Clone, Debug)]
pub struct LaunchOrder {
    /// The group of its agent: a cgroup below the hierarchy's root.
    pub group: String,
    /// Its agent's name within that.
    pub agent: String,
    /// Where it begins.
    pub node: NodeChoice,
    /// How many threads its pools have; if not said, as many as are worth it.
    pub threads: Option<u32>,
    /// The folder of files with hints.
    pub hints: PathBuf,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

/// Where a command begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeChoice {
    /// On the node that has most CPUs idle; whoever plans may take it elsewhere.
    #[default]
    Auto,
    /// Wherever the kernel puts it.
    Any,
    /// On this node, and it stays there.
    On(u32),
}

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The host does not tell what is to be known.
    #[error(transparent)]
    Observe(#[from] ObserveError),
    /// The host does not let it have a cgroup, or begin there.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Something runs under this name, or the cgroup is somebody else's.
    #[error("agent {group}/{agent} runs already, or its cgroup is somebody else's")]
    Runs {
        /// Its group.
        group: String,
        /// Its name.
        agent: String,
    },
    /// What can't be a cgroup's name.
    #[error(
        "'{name}' can't be the name of {what}: letters, digits, '.', '_', '-' and '@', not a dot first"
    )]
    Name {
        /// Of what.
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// There is no such node.
    #[error("this host has no NUMA node {node}; it has {has}")]
    NoNode {
        /// What was asked for.
        node: u32,
        /// What there is.
        has: String,
    },
    /// It may not run there.
    #[error(
        "it may run on no CPU of NUMA node {node}: its cpuset, or this command's own CPUs, leave it none"
    )]
    NoCpus {
        /// What was asked for.
        node: u32,
    },
    /// The file of hints can't be written.
    #[error("writing {}: {source}", path.display())]
    Hints {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The program can't be started.
    #[error("starting {}: {source}", program.display())]
    Start {
        /// Which.
        program: OsString,
        /// Why not.
        source: io::Error,
    },
    /// It could not be waited for.
    #[error("waiting for it: {0}")]
    Wait(io::Error),
}

impl LaunchError {
    /// What to do.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Observe(error) => Some(error.hint()),
            Self::Host(HostError::File { source, .. }) | Self::Hints { source, .. }
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Some("run it as root; the command may change its user, as `runuser -u USER` does.")
            }
            Self::Host(HostError::File { source, .. })
                if source.kind() == io::ErrorKind::ReadOnlyFilesystem =>
            {
                Some("cgroups can't be made here: a container needs a writable /sys/fs/cgroup.")
            }
            Self::Runs { .. } => Some("`--agent` gives it another name."),
            Self::NoNode { .. } | Self::NoCpus { .. } => {
                Some("`--node auto` takes the one with most idle CPUs.")
            }
            _ => None,
        }
    }

    /// The status with which shells end where a command can't be started (126, or 127 if it is not there);
    /// 2 for a wrong command line, else 1.
    pub fn status(&self) -> u8 {
        match self {
            Self::Start { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Start { .. } => 126,
            Self::Name { .. } | Self::NoNode { .. } => 2,
            _ => 1,
        }
    }
}

/// Starts a command and waits for its end: how it ended.
pub fn launch(order: &LaunchOrder) -> Result<ExitStatus, LaunchError> {
    check_name("a group", &order.group)?;
    check_name("an agent", &order.agent)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(LaunchError::Wait)?;
    // Before there is anything that a signal could leave behind.
    let signals = {
        let _inside = runtime.enter();
        Signals::listen().map_err(LaunchError::Wait)?
    };
    let root = cgroup_root()?;
    let cgroup = own_cgroup(&root, order)?;
    let mut surroundings = Surroundings::look(root, &cgroup)?;
    let node = choose_node(order.node, &surroundings)?;
    let stays_on = node.filter(|_| matches!(order.node, NodeChoice::On(_)));
    surroundings.keep_to(stays_on);
    let threads = order.threads;
    let threads = threads.unwrap_or_else(|| first_size(&surroundings.room()));
    let hints = HintFile::write(order, threads, node)?;
    let begin = Begin {
        cpus: node.map(|node| surroundings.cpus_of(node)),
        stays_on,
    };
    let mut command = command(order, threads, &hints);
    begin_in(&cgroup, &begin, &mut command)?;
    tracing::info!(
        agent = %format_args!("{}/{}", order.group, order.agent),
        ?node,
        threads,
        cgroup = %cgroup.folder().display(),
        hints = %hints.path().display(),
        "it begins"
    );
    let ended = runtime.block_on(async {
        let child = tokio::process::Command::from(command).spawn();
        let child = child.map_err(|source| LaunchError::Start {
            program: order.command[0].clone(),
            source,
        })?;
        let resized = order.threads.is_none().then_some(surroundings);
        stay_with(child, signals, hints, resized).await
    });
    wait_until_empty(&cgroup);
    ended
}

/// Processes that are ending leave a cgroup some moments later.
fn wait_until_empty(cgroup: &OwnCgroup) {
    let give_up = Instant::now() + LEAVES;
    while let Ok(false) = cgroup.is_empty() {
        if Instant::now() >= give_up {
            let cgroup = cgroup.folder().display();
            tracing::warn!(%cgroup, "processes that it began still run in its cgroup: both stay");
            return;
        }
        thread::sleep(TRY);
    }
}

fn own_cgroup(root: &Path, order: &LaunchOrder) -> Result<OwnCgroup, LaunchError> {
    OwnCgroup::make(root, &order.group, &order.agent).map_err(|error| match error {
        HostError::File { ref source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
            LaunchError::Runs {
                group: order.group.clone(),
                agent: order.agent.clone(),
            }
        }
        other => LaunchError::Host(other),
    })
}

fn check_name(what: &'static str, name: &str) -> Result<(), LaunchError> {
    let is_letter =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-' | '@');
    let is_name = (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name.chars().all(is_letter);
    if is_name {
        Ok(())
    } else {
        Err(LaunchError::Name {
            what,
            name: name.to_owned(),
        })
    }
}

/// `None` where it makes no difference.
fn choose_node(choice: NodeChoice, host: &Surroundings) -> Result<Option<u32>, LaunchError> {
    match choice {
        NodeChoice::On(node) if host.has_node(node) && host.cpus_of(node).is_empty() => {
            Err(LaunchError::NoCpus { node })
        }
        NodeChoice::On(node) if host.has_node(node) => Ok(Some(node)),
        NodeChoice::On(node) => Err(LaunchError::NoNode {
            node,
            has: host
                .nodes()
                .map(|node| node.to_string())
                .collect::<Vec<_>>()
                .join(", "),
        }),
        NodeChoice::Auto if host.has_several_nodes() => {
            Ok(best_node(&host.node_rooms(), NEEDS_BYTES, chance()))
        }
        NodeChoice::Auto | NodeChoice::Any => Ok(None),
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    f64::from((RandomState::new().hash_one(0) >> 32) as u32) / 2.0_f64.powi(32)
}

fn command(order: &LaunchOrder, threads: u32, hints: &HintFile) -> Command {
    let mut command = Command::new(&order.command[0]);
    command.args(&order.command[1..]).env(HINTS, hints.path());
    let is_set = |name: &str| std::env::var_os(name).is_some();
    for (name, threads) in pools(threads, is_set) {
        command.env(name, threads.to_string());
    }
    command
}

/// What runtimes are told, but for what somebody has chosen.
fn pools(threads: u32, is_set: impl Fn(&str) -> bool) -> Vec<(&'static str, u32)> {
    let (waiting, usual) = WAITING_POOL;
    let computing = POOLS.iter().filter(|(name, others)| {
        let mut all = others.iter().chain([name]);
        !all.any(|name| is_set(name))
    });
    let computing = computing.map(|&(name, _)| (name, threads));
    let waiting = (!is_set(waiting)).then_some((waiting, threads.max(usual)));
    computing.chain(waiting).collect()
}

/// Waits for its end, passes on what it is told, and has its hints follow what it does, if they may.
async fn stay_with(
    mut child: Child,
    mut signals: Signals,
    mut hints: HintFile,
    mut resized: Option<Surroundings>,
) -> Result<ExitStatus, LaunchError> {
    // Agents that begin at one moment don't all look at the host at one moment.
    let first = LOOK.mul_f64(0.5 + chance() / 2.0);
    let mut looks = interval_at(tokio::time::Instant::now() + first, LOOK);
    loop {
        tokio::select! {
            ended = child.wait() => return ended.map_err(LaunchError::Wait),
            signal = signals.next() => signals::pass_on(&child, signal),
            _ = looks.tick(), if resized.is_some() => {
                let next = resized.as_mut().and_then(|host| host.next_size(hints.threads()));
                if let Some(threads) = next {
                    hints.resize(threads);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path_and_nothing_that_deceives() {
        for name in ["coder", "coder-7", "a.b_c@d"] {
            assert!(check_name("an agent", name).is_ok(), "{name}");
        }
        let long = "x".repeat(LONGEST_NAME + 1);
        for name in ["", ".", "..", ".x", "a/b", "a b", "\u{202e}x", &long] {
            assert!(check_name("an agent", name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_somebody_has_chosen_stays_also_for_who_falls_back_on_it() {
        let names = |set: &[&str]| -> Vec<&str> {
            let pools = pools(2, |name| set.contains(&name));
            pools.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[]).len(), POOLS.len() + 1);
        let chosen = names(&["OMP_NUM_THREADS"]);
        for name in ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"] {
            assert!(!chosen.contains(&name), "{name}");
        }
        assert!(chosen.contains(&"GOMAXPROCS"));
        assert!(pools(2, |_| false).contains(&("UV_THREADPOOL_SIZE", 4)));
        assert!(pools(9, |_| false).contains(&("UV_THREADPOOL_SIZE", 9)));
    }
}
