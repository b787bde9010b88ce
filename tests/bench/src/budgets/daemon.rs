//! `cargo xtask bench daemon`: what the daemon costs beside a fleet of agents, and whether its memory
//! stays as it is.
//!
//! A daemon with its default configuration is scraped once a second, more often than any Prometheus
//! would. What a scrape costs is the daemon's own account of the thread that writes it, on that thread's
//! CPU clock; memory and CPU are what the kernel counts of the process. With `--seconds 3600` it is an
//! hour's soak.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde::Serialize;
use tempfile::TempDir;

use super::{
    fleet::{Fleet, Hostler},
    process::{anonymous_kib, cpu_seconds, cpu_seconds_by_thread},
    report::{row, spread, write_json},
};
use crate::{child::Bounded, interrupt::Interrupt, spread::Spread, table::table};

const SECOND: Duration = Duration::from_secs(1);
const MIB: f64 = 1_048_576.0;

/// Seconds after the start that don't count.
const SETTLE: u32 = 10;

/// The control socket, in the bench's folder.
const SOCKET: &str = "control.sock";

/// Seconds that watchers watch at the most: what they cost does not wander for hours.
const MOST_WATCHED: u32 = 60;

const AFTER_HELP: &str = "\
It needs root, and takes, beyond --seconds, a minute and, with all agents, 3 GiB of memory. Ctrl-C ends \
what was started; nothing of it is left.";

/// What the daemon costs beside a fleet of thousands of agents, held against its budgets.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct DaemonArgs {
    /// Agents of the fleet
    #[arg(long, default_value_t = 4_462, value_parser = clap::value_parser!(u32).range(10..=8_000))]
    agents: u32,

    /// How long an agent is idle between two turns, on average
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    mean_idle: Duration,

    /// Seconds that are measured, with a scrape in each; 3600 for a soak
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    seconds: u32,

    /// Commands that watch by the control API afterwards, for a sixth of that time or a minute; 0 for none
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=16))]
    watchers: u32,

    /// Everything that was measured, as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    kernel: String,
    agents: u32,
    seconds: u32,
    /// CPU time of writing a scrape, in ms, on average.
    scrape_cpu_ms: f64,
    /// Its size, in MiB.
    scrape_mib: Spread,
    /// Its series.
    series: f64,
    /// Time from asking until all of it was there, in ms.
    answered_ms: Spread,
    /// CPU time of the process, scrapes included, in percent of one core.
    cpu_percent: f64,
    /// The same by thread.
    cpu_percent_by_thread: BTreeMap<String, f64>,
    /// The daemon's CPU time while it is watched and not scraped, and before that, likewise.
    watched: Option<Watched>,
    /// What came to the history in a second, in KiB, while it grew.
    history_kib_a_second: f64,
    /// Its file at the end, in MiB.
    history_file_mib: f64,
    /// Ticks that came, and of these the late ones.
    ticks: f64,
    late_ticks: f64,
    /// Anonymous memory, in MiB.
    anonymous_mib: Spread,
    /// What came to its median from the first quarter of the samples to the last, in MiB.
    growth_mib: f64,
    /// Its median in each twelfth of the samples, in MiB: whether it still grows.
    anonymous_mib_by_twelfth: Vec<f64>,
}

/// What watchers cost.
#[derive(Debug, Serialize)]
struct Watched {
    watchers: u32,
    /// CPU time of the daemon, in percent of one core, without them and with them.
    alone_percent: f64,
    percent: f64,
    /// Ticks that were half a tick late or more while they watched.
    late_ticks: f64,
}

pub(crate) fn run(args: &DaemonArgs) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this makes cgroups and loads programs into the kernel: run it as root"
    );
    let interrupt = Interrupt::watch()?;
    let lives = SECOND * (args.seconds + SETTLE + 2 * MOST_WATCHED) + Duration::from_mins(1);
    eprintln!("starting {} agents", args.agents);
    let fleet = Fleet::start(args.agents, args.mean_idle, lives, &interrupt)?;
    let report = measure(args, &interrupt)?;
    drop(fleet);
    print!("{}", report.text());
    write_json(&report, args.json.as_deref())
}

fn measure(args: &DaemonArgs, interrupt: &Interrupt) -> Result<Report> {
    let folder = TempDir::with_prefix("hostler-bench-").context("making a folder")?;
    let file = folder.path().join("hostler.toml");
    let address = free_address()?;
    std::fs::write(
        &file,
        format!(
            "metrics.listen = '{address}'\ncontrol.socket = '{}'\nhistory.folder = '{}'\n",
            folder.path().join(SOCKET).display(),
            folder.path().join("history").display()
        ),
    )
    .context("a configuration")?;
    let command = format!("run --config {}", file.display());
    let hostler = Hostler::start(&command, interrupt)?;
    let pid = hostler.child.pid();
    interrupt.sleep(SETTLE * SECOND)?;
    let [mut sizes, mut answered, mut memory] = [Vec::new(), Vec::new(), Vec::new()];
    let (first, began) = (scrape(address)?, std::time::Instant::now());
    let cpu_before = cpu_seconds(pid)?;
    let threads_before = cpu_seconds_by_thread(pid)?;
    for second in 1..=args.seconds {
        if second % 60 == 0 {
            eprintln!("second {second} of {}", args.seconds);
        }
        interrupt.sleep(SECOND)?;
        let asked = std::time::Instant::now();
        let text = scrape(address)?;
        answered.push(asked.elapsed().as_secs_f64() * 1e3);
        sizes.push(text.len() as f64 / MIB);
        memory.push(f64::from(anonymous_kib(pid)?) / 1_024.0);
    }
    let (cpu, took) = (cpu_seconds(pid)? - cpu_before, began.elapsed());
    let threads = cpu_seconds_by_thread(pid)?;
    let last = scrape(address)?;
    let file = folder.path().join("history/history.redb");
    let history_file = std::fs::metadata(file).context("the history")?.len();
    let watched = watched(args, pid, folder.path(), address, interrupt)?;
    hostler.stop()?;
    let came = |series: &str| -> Result<f64> { Ok(value(&last, series)? - value(&first, series)?) };
    let scrapes = came("hostler_scrapes_total{format=\"classic\"}")?;
    let median = |values: &[f64]| Spread::of(values.iter().copied()).map_or(0.0, |it| it.median);
    let quarter = memory.len() / 4;
    let growth_mib = median(&memory[memory.len() - quarter..]) - median(&memory[..quarter]);
    let twelfths = memory.chunks(memory.len().div_ceil(12).max(1));
    let anonymous_mib_by_twelfth = twelfths.map(median).collect();
    Ok(Report {
        kernel: hostler_observe::kernel_release(),
        agents: args.agents,
        seconds: args.seconds,
        scrape_cpu_ms: 1e3 * came("hostler_metrics_writing_cpu_seconds_total")? / scrapes.max(1.0),
        scrape_mib: Spread::of(sizes).context("no scrape")?,
        series: value(&last, "hostler_metrics_series")?,
        answered_ms: Spread::of(answered).context("no scrape")?,
        cpu_percent: 100.0 * cpu / took.as_secs_f64(),
        watched,
        cpu_percent_by_thread: (threads.into_iter())
            .map(|(name, seconds)| {
                let came = seconds - threads_before.get(&name).unwrap_or(&0.0);
                (name, 100.0 * came / took.as_secs_f64())
            })
            .collect(),
        history_kib_a_second: came("hostler_history_bytes")? / 1_024.0 / took.as_secs_f64(),
        history_file_mib: history_file as f64 / MIB,
        ticks: came("hostler_ticks_total")?,
        late_ticks: came("hostler_ticks_late_total")?,
        anonymous_mib: Spread::of(memory).context("no sample")?,
        growth_mib,
        anonymous_mib_by_twelfth,
    })
}

/// What it costs to be watched: half of the time nobody does.
fn watched(
    args: &DaemonArgs,
    pid: u32,
    folder: &Path,
    address: SocketAddr,
    interrupt: &Interrupt,
) -> Result<Option<Watched>> {
    if args.watchers == 0 {
        return Ok(None);
    }
    let span = SECOND * (args.seconds / 6).clamp(10, MOST_WATCHED);
    let measured = || -> Result<f64> {
        let (before, began) = (cpu_seconds(pid)?, std::time::Instant::now());
        interrupt.sleep(span)?;
        Ok(100.0 * (cpu_seconds(pid)? - before) / began.elapsed().as_secs_f64())
    };
    let alone_percent = measured()?;
    let program = std::env::current_exe().context("this program has a path")?;
    let mut watchers = Vec::new();
    for _ in 0..args.watchers {
        let words = [
            program.with_file_name("hostler").into_os_string(),
            "trace".into(),
            "ledger".into(),
            "--interval".into(),
            "1h".into(),
            "--socket".into(),
            folder.join(SOCKET).into_os_string(),
        ];
        watchers.push(Bounded::start("a watcher", words, Stdio::null())?);
    }
    // Each of them is sent all that there is first.
    interrupt.sleep(2 * SECOND)?;
    let late = "hostler_ticks_late_total";
    let late_before = value(&scrape(address)?, late)?;
    let percent = measured()?;
    for watcher in &mut watchers {
        watcher.check_running()?;
    }
    let late_ticks = value(&scrape(address)?, late)? - late_before;
    for watcher in watchers {
        watcher.stop(Signal::SIGTERM)?;
    }
    Ok(Some(Watched {
        watchers: args.watchers,
        alone_percent,
        percent,
        late_ticks,
    }))
}

/// All that is answered to one request for metrics, as classic text.
fn scrape(address: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(address).context("connecting to the daemon")?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .context("reading metrics")?;
    ensure!(
        answer.starts_with("HTTP/1.1 200 "),
        "the daemon answered {answer:.100}"
    );
    let (_, text) = answer.split_once("\r\n\r\n").context("no body")?;
    Ok(text.to_owned())
}

fn value(text: &str, series: &str) -> Result<f64> {
    let of = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok();
    let found = text.lines().find_map(of);
    found.with_context(|| format!("the daemon tells nothing of {series}"))
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?)
}

impl Report {
    fn text(&self) -> String {
        let rows = vec![
            row(
                "writing a scrape, CPU ms",
                format!("{:.1}", self.scrape_cpu_ms),
                self.scrape_cpu_ms,
                100.0,
            ),
            row(
                "its size, MiB",
                spread(self.scrape_mib),
                self.scrape_mib.greatest,
                5.0,
            ),
            row(
                "the daemon, scraped once a second, % of a core",
                format!("{:.2}", self.cpu_percent),
                self.cpu_percent,
                2.0,
            ),
            row(
                "its anonymous memory, MiB",
                spread(self.anonymous_mib),
                self.anonymous_mib.greatest,
                96.0,
            ),
            row(
                "what came to that, first to last quarter, MiB",
                format!("{:+.2}", self.growth_mib),
                self.growth_mib,
                1.0,
            ),
        ];
        let threads = self.cpu_percent_by_thread.iter();
        let threads: Vec<String> = threads
            .map(|(name, percent)| format!("{name} {percent:.2}"))
            .collect();
        let threads = threads.join(", ");
        let twelfths = self.anonymous_mib_by_twelfth.iter();
        let twelfths: Vec<String> = twelfths.map(|mib| format!("{mib:.1}")).collect();
        let twelfths = twelfths.join(" ");
        let watched = self.watched.as_ref().map_or_else(String::new, |watched| {
            format!(
                "watched by {}: {:.2} % of a core, {:.2} alone; {:.0} ticks late\n",
                watched.watchers, watched.percent, watched.alone_percent, watched.late_ticks
            )
        });
        format!(
            "Linux {}, {} agents, {} seconds\n\n{}\n{:.0} series; answered within {} ms; {:.0} ticks, \
             {:.0} of them half a tick late or more\n% of a core by thread: {threads}\nanonymous \
             memory by twelfths of the time, MiB: {twelfths}\nhistory: {:.0} KiB \
             a second, a file of {:.1} MiB\n{watched}",
            self.kernel,
            self.agents,
            self.seconds,
            table(["", "MEASURED", "BUDGET", ""], rows),
            self.series,
            spread(self.answered_ms),
            self.ticks,
            self.late_ticks,
            self.history_kib_a_second,
            self.history_file_mib,
        )
    }
}
