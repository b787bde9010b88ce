//! One agent: sleeps, wakes by its schedule, computes, touches its context, asks a server.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs,
    io::{BufWriter, Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::{
        resource::{Usage, UsageWho, getrusage},
        signal::Signal,
        time::TimeValLike as _,
    },
    time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep},
};

use crate::{
    context::{PAGE_BYTES, text},
    schedule::{Habits, Request, Turn, turns},
    truth::{Line, RequestTruth},
    wire::head,
};

/// Who an agent is, as `hostler-fleet` tells it.
#[derive(clap::Args)]
pub(crate) struct AgentArgs {
    #[arg(long)]
    number: u32,
    #[arg(long)]
    cgroup: PathBuf,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    context_pages: u32,
    #[arg(long)]
    mean_idle_ms: u64,
    #[arg(long)]
    run_ms: u64,
    /// The socket where it says that it is ready, hears when to start, and tells its truth.
    #[arg(long)]
    control: PathBuf,
    /// Ports of the servers on loopback.
    #[arg(long, value_delimiter = ',')]
    servers: Vec<u16>,
}

/// Lives one agent's life.
pub(crate) fn run(args: &AgentArgs) -> Result<()> {
    // Nothing of a fleet outlives who started it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).context("tying it to the fleet")?;
    enter(&args.cgroup)?;
    let mut control = UnixStream::connect(&args.control)
        .with_context(|| format!("connecting to {}", args.control.display()))?;
    let mut agent = Agent {
        context: text(args.seed ^ u64::from(args.number), args.context_pages),
        servers: &args.servers,
        connections: HashMap::new(),
        buffer: Vec::new(),
    };
    control.write_all(b"r").context("saying that it is ready")?;
    let mut start = [0; 8];
    control
        .read_exact(&mut start)
        .context("waiting for the start")?;
    let truth = agent.live(args, u64::from_le_bytes(start))?;
    let mut control = BufWriter::new(control);
    for line in truth {
        serde_json::to_writer(&mut control, &line).context("telling the truth")?;
        control.write_all(b"\n")?;
    }
    control.flush().context("telling the truth")
}

/// Moves this process into a cgroup.
pub(crate) fn enter(cgroup: &Path) -> Result<()> {
    let procs = cgroup.join("cgroup.procs");
    fs::write(&procs, "0").with_context(|| format!("writing {}", procs.display()))
}

struct Agent<'a> {
    context: Vec<u8>,
    servers: &'a [u16],
    /// Those that it keeps, by server.
    connections: HashMap<u32, TcpStream>,
    buffer: Vec<u8>,
}

impl Agent<'_> {
    fn live(&mut self, args: &AgentArgs, start_ns: u64) -> Result<Vec<Line>> {
        let habits = Habits {
            mean_idle_ns: args.mean_idle_ms * 1_000_000,
            context_pages: args.context_pages,
            servers: u32::try_from(self.servers.len()).context("so many servers")?,
        };
        let run_ns = args.run_ms * 1_000_000;
        let before = getrusage(UsageWho::RUSAGE_SELF).context("asking for its usage")?;
        let mut lines = Vec::new();
        let mut requests = 0;
        for turn in turns(args.seed, args.number, habits).take_while(|turn| turn.at_ns < run_ns) {
            let at_ns = start_ns + turn.at_ns;
            sleep_until(at_ns)?;
            let late_ns = now_ns(ClockId::CLOCK_MONOTONIC)?.saturating_sub(at_ns);
            let compute_ns = self.work(&turn)?;
            let request = match &turn.request {
                Some(request) => Some(self.ask(request)?),
                None => None,
            };
            requests += u64::from(request.is_some());
            lines.push(Line::Turn {
                agent: args.number,
                at_ns,
                late_ns,
                compute_ns,
                pages: turn.pages,
                request,
            });
        }
        sleep_until(start_ns + run_ns)?;
        let after = getrusage(UsageWho::RUSAGE_SELF).context("asking for its usage")?;
        let since = |of: fn(&Usage) -> i64| (of(&after) - of(&before)).unsigned_abs();
        lines.push(Line::Agent {
            agent: args.number,
            cgroup: args.cgroup.display().to_string(),
            pid: std::process::id(),
            turns: lines.len() as u64,
            requests,
            cpu_ns: 1_000
                * since(|it| {
                    it.user_time().num_microseconds() + it.system_time().num_microseconds()
                }),
            minor_faults: since(Usage::minor_page_faults),
            major_faults: since(Usage::major_page_faults),
            voluntary_switches: since(Usage::voluntary_context_switches),
            involuntary_switches: since(Usage::involuntary_context_switches),
        });
        Ok(lines)
    }

    /// Computes and touches the context; returns the CPU time that it took, in ns.
    fn work(&mut self, turn: &Turn) -> Result<u64> {
        let start_ns = now_ns(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        let first = turn.first_page as usize * PAGE_BYTES;
        let mut sum = 0_u8;
        for page in 0..turn.pages as usize {
            let byte = &mut self.context[first + page * PAGE_BYTES];
            *byte = byte.wrapping_add(1);
            sum = sum.wrapping_add(*byte);
        }
        let end_ns = start_ns + u64::from(turn.compute_us) * 1_000;
        let mut now = now_ns(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        while now < end_ns {
            for _ in 0..2_000 {
                sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
            }
            now = now_ns(ClockId::CLOCK_THREAD_CPUTIME_ID)?;
        }
        std::hint::black_box(sum);
        Ok(now - start_ns)
    }

    fn ask(&mut self, request: &Request) -> Result<RequestTruth> {
        let port = self.servers[request.server as usize];
        let mut connect_ns = None;
        let mut connect = || -> Result<TcpStream> {
            let start_ns = now_ns(ClockId::CLOCK_MONOTONIC)?;
            let connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .with_context(|| format!("connecting to the server on port {port}"))?;
            connect_ns = Some(now_ns(ClockId::CLOCK_MONOTONIC)? - start_ns);
            connection.set_nodelay(true)?;
            Ok(connection)
        };
        let mut own;
        let connection = if request.new_connection {
            own = connect()?;
            &mut own
        } else {
            match self.connections.entry(request.server) {
                Entry::Occupied(kept) => kept.into_mut(),
                Entry::Vacant(place) => place.insert(connect()?),
            }
        };
        let start_ns = now_ns(ClockId::CLOCK_MONOTONIC)?;
        self.buffer.clear();
        let head = head(request.sent_bytes, request.received_bytes);
        self.buffer.extend_from_slice(&head);
        self.buffer
            .resize(head.len() + request.sent_bytes as usize, b'?');
        connection
            .write_all(&self.buffer)
            .context("asking a server")?;
        self.buffer.resize(request.received_bytes as usize, 0);
        connection
            .read_exact(&mut self.buffer[..request.received_bytes as usize])
            .context("reading a server's answer")?;
        let took_ns = now_ns(ClockId::CLOCK_MONOTONIC)? - start_ns;
        Ok(RequestTruth {
            server: request.server,
            sent_bytes: request.sent_bytes,
            received_bytes: request.received_bytes,
            connect_ns,
            took_ns,
        })
    }
}

fn now_ns(clock: ClockId) -> Result<u64> {
    let now = Duration::from(clock_gettime(clock).context("reading a clock")?);
    u64::try_from(now.as_nanos()).context("a clock that ran for centuries")
}

fn sleep_until(at_ns: u64) -> Result<()> {
    let at = Duration::from_nanos(at_ns).into();
    loop {
        let flags = ClockNanosleepFlags::TIMER_ABSTIME;
        match clock_nanosleep(ClockId::CLOCK_MONOTONIC, flags, &at) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("sleeping"),
        }
    }
}
