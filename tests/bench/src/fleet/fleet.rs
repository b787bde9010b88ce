//! The whole fleet: starts servers and agents, gives them one start, and gathers their truth.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};
use tempfile::TempDir;

use crate::{context::PAGE_BYTES, interrupt::Interrupt, summary::Summary, tree::Tree, truth::Line};

/// Between the last agent's being ready and the first turn.
const LEAD: Duration = Duration::from_millis(500);

/// How long a single agent may take to get ready, or to tell its truth.
const PATIENCE: Duration = Duration::from_mins(1);

/// What fleet to run.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FleetArgs {
    /// Agents, each a process in a cgroup of its own.
    #[arg(long, default_value_t = 4_462, value_parser = clap::value_parser!(u32).range(1..=30_000))]
    agents: u32,

    /// Tool servers that they talk to over loopback, each a process in a cgroup of its own.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    servers: u32,

    /// How long the fleet works.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    duration: Duration,

    /// How long an agent is idle between two turns, on average.
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    mean_idle: Duration,

    /// Size of each agent's context, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(4..=1_048_576))]
    context: u32,

    /// The same seed gives the same schedules, sizes and texts.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Write what every agent did to FILE: a JSON object a line, one for each turn and, at last, one
    /// for each agent.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
}

/// Runs a fleet from its start to its end. When all agents are ready, `ready` and the time of the
/// start, in ns of the monotonic clock, are printed.
pub(crate) fn run(args: &FleetArgs) -> Result<()> {
    let interrupt = Interrupt::watch()?;
    allow_connections(args.agents)?;
    let tree = Tree::make()?;
    let scratch = TempDir::with_prefix("hostler-fleet-").context("making a folder")?;
    let mut fleet = Fleet {
        children: Vec::new(),
        tree,
    };
    let ports = fleet.start_servers(args.servers)?;
    let socket = scratch.path().join("control");
    let listener = UnixListener::bind(&socket).context("listening for the agents")?;
    let began = Instant::now();
    let mut agents = fleet.start_agents(args, &ports, &socket, &listener, &interrupt)?;
    // All are connected: what is left of the path would outlive a fleet that is killed.
    drop(listener);
    scratch.close().context("removing a folder")?;
    let start_ns = start_all(&mut agents)?;
    println!("ready {start_ns}");
    eprintln!(
        "{} agents are ready after {:.1?}",
        args.agents,
        began.elapsed()
    );
    interrupt.sleep(LEAD + args.duration)?;
    let summary = gather(agents, args.truth.as_deref())?;
    println!(
        "{}",
        serde_json::to_string(&summary).context("writing JSON")?
    );
    Ok(())
}

/// The soft limit of open files is often below what a connection for each agent takes.
fn allow_connections(agents: u32) -> Result<()> {
    let wanted = u64::from(agents) + 100;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("asking for limits")?;
    if soft >= wanted {
        return Ok(());
    }
    ensure!(
        hard >= wanted,
        "{agents} agents take {wanted} open files, and {hard} are allowed (ulimit -Hn)"
    );
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).context("raising the limit of open files")
}

struct Fleet {
    children: Vec<Child>,
    /// Dropped after the children were ended, whom it would otherwise have to end.
    tree: Tree,
}

impl Fleet {
    fn start_servers(&mut self, count: u32) -> Result<Vec<u16>> {
        let mut ports = Vec::new();
        for number in 0..count {
            let cgroup = self.tree.cgroup(&format!("tool-{number:04}"))?;
            let mut child = own_command()?
                .arg("server")
                .arg("--cgroup")
                .arg(&cgroup)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .spawn()
                .context("starting a server")?;
            let output = child.stdout.take().context("its output is a pipe")?;
            self.children.push(child);
            let mut port = String::new();
            BufReader::new(output)
                .read_line(&mut port)
                .context("reading a server's port")?;
            ports.push(
                port.trim()
                    .parse()
                    .context("a server ended before it listened")?,
            );
        }
        Ok(ports)
    }

    /// Starts all agents, and returns a connection to each that is ready.
    fn start_agents(
        &mut self,
        args: &FleetArgs,
        ports: &[u16],
        socket: &Path,
        listener: &UnixListener,
        interrupt: &Interrupt,
    ) -> Result<Vec<UnixStream>> {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let mut agents = Vec::new();
        for number in 0..args.agents {
            interrupt.check()?;
            if number > 0 && number.is_multiple_of(1_000) {
                eprintln!("{number} of {} agents are started", args.agents);
            }
            let cgroup = self.tree.cgroup(&format!("agent-{number:04}"))?;
            let mut command = own_command()?;
            command
                .arg("agent")
                .arg(format!("--number={number}"))
                .arg(format!("--seed={}", args.seed))
                .arg(format!(
                    "--context-pages={}",
                    u64::from(args.context) * 1024 / PAGE_BYTES as u64
                ))
                .arg(format!("--mean-idle-ms={}", args.mean_idle.as_millis()))
                .arg(format!("--run-ms={}", args.duration.as_millis()))
                .arg("--cgroup")
                .arg(&cgroup)
                .arg("--control")
                .arg(socket)
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            if !ports.is_empty() {
                command.arg(format!("--servers={}", ports.join(",")));
            }
            self.children
                .push(command.spawn().context("starting an agent")?);
            agents.push(accept(listener)?);
        }
        for agent in &mut agents {
            agent
                .read_exact(&mut [0])
                .context("waiting for an agent to be ready")?;
        }
        Ok(agents)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _gone = child.kill();
        }
        for child in &mut self.children {
            let _status = child.wait();
        }
    }
}

fn accept(listener: &UnixListener) -> Result<UnixStream> {
    let (connection, _) = listener.accept().context("waiting for an agent")?;
    connection.set_read_timeout(Some(PATIENCE))?;
    Ok(connection)
}

fn own_command() -> Result<Command> {
    Ok(Command::new(
        std::env::current_exe().context("finding this program")?,
    ))
}

/// Tells all agents when to start, and returns that, in ns of the monotonic clock.
fn start_all(agents: &mut [UnixStream]) -> Result<u64> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).context("reading the clock")?);
    let start_ns = u64::try_from((now + LEAD).as_nanos()).context("a time in centuries")?;
    for agent in agents {
        agent
            .write_all(&start_ns.to_le_bytes())
            .context("starting an agent")?;
    }
    Ok(start_ns)
}

/// Reads every agent's truth to its end, and writes it to a file if one is wanted.
fn gather(agents: Vec<UnixStream>, file: Option<&Path>) -> Result<Summary> {
    let mut writer = match file {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("making {}", path.display()))?;
            Some(BufWriter::new(file))
        }
        None => None,
    };
    let mut summary = Summary::default();
    for agent in agents {
        let mut whole = false;
        for line in BufReader::new(agent).lines() {
            let line = line.context("reading an agent's truth")?;
            let truth: Line = serde_json::from_str(&line).context("reading an agent's truth")?;
            whole |= matches!(truth, Line::Agent { .. });
            summary.add(&truth);
            if let Some(writer) = &mut writer {
                writeln!(writer, "{line}").context("writing the truth")?;
            }
        }
        summary.agents_lost += u32::from(!whole);
    }
    if let Some(mut writer) = writer {
        writer.flush().context("writing the truth")?;
    }
    Ok(summary.finished())
}
