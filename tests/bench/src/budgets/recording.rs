//! `cargo xtask bench record`: what recording adds to measuring, how large recordings are, and how fast
//! they are read.
//!
//! Readings of a fleet are taken once a second, as `hostler record` takes them, and written into a file.
//! Writing is timed by its own thread's CPU clock, apart from reading, which whoever watches pays
//! anyway. At last the file is read again and held against what was written.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use hostler_daemon::recording::{Reader, Writer};
use hostler_decide::{
    signal::Reading,
    window::{Window, WindowSum},
};
use hostler_observe::{Observer, Options, has_several_nodes};
use serde::Serialize;
use tempfile::TempDir;

use super::{
    fleet::Fleet,
    report::{row, spread, write_json},
    ticks::cpu_now,
};
use crate::{interrupt::Interrupt, spread::Spread, table::table};

const TICK: Duration = Duration::from_secs(1);
const MIB: f64 = 1_048_576.0;

const AFTER_HELP: &str = "\
It needs root, and takes about three minutes and, with all agents, 3 GiB of memory. Ctrl-C ends what \
was started; nothing of it is left.";

/// What it costs to record a fleet of thousands of agents, held against its budgets.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RecordArgs {
    /// Agents of the fleet
    #[arg(long, default_value_t = 4_462, value_parser = clap::value_parser!(u32).range(10..=8_000))]
    agents: u32,

    /// How long an agent is idle between two turns, on average
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = humantime::parse_duration)]
    mean_idle: Duration,

    /// Readings, one a second
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(3..=100_000))]
    readings: u32,

    /// Everything that was measured, as JSON into this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    kernel: String,
    agents: u32,
    readings: u32,
    /// CPU time of writing a reading, in ms.
    write_cpu_ms: Spread,
    /// CPU time of taking it, in ms.
    read_cpu_ms: Spread,
    /// Size of the first reading, which holds all there was before, in bytes.
    first_bytes: u64,
    /// Size of those that follow, on average, in bytes.
    mean_bytes: f64,
    /// Agents that did something between two readings, on average.
    mean_busy: f64,
    /// CPU time of reading the recording and making a window of each reading, in ms a reading.
    replay_cpu_ms: f64,
}

pub(crate) fn run(args: &RecordArgs) -> Result<()> {
    ensure!(
        nix::unistd::geteuid().is_root(),
        "this makes cgroups and loads programs into the kernel: run it as root"
    );
    let interrupt = Interrupt::watch()?;
    let lives = Duration::from_secs(args.readings.into()) * 2 + Duration::from_secs(20);
    eprintln!("starting {} agents", args.agents);
    let fleet = Fleet::start(args.agents, args.mean_idle, lives, &interrupt)?;
    let report = measure(args, &interrupt)?;
    drop(fleet);
    print!("{}", report.text());
    write_json(&report, args.json.as_deref())
}

/// What `hostler record` reads unless told otherwise.
fn options() -> Options {
    Options {
        pairs: true,
        placement: has_several_nodes(),
        sockets: true,
        pressure: true,
        ..Options::default()
    }
}

fn measure(args: &RecordArgs, interrupt: &Interrupt) -> Result<Report> {
    let scratch = TempDir::with_prefix("hostler-bench-").context("making a folder")?;
    let path = scratch.path().join("fleet.rec");
    let mut observer = Observer::start(options())?;
    let mut writer = Writer::create(&path, false, &observer.facts())?;
    writer.add(observer.beginning(), 0)?;
    let first_bytes = writer.written_bytes();
    let mut sum = WindowSum::new(observer.beginning().clone());
    let (mut windows, mut busy) = (Vec::new(), 0);
    let [mut write_ms, mut read_ms] = [Vec::new(), Vec::new()];
    for number in 1..=args.readings {
        if number % 10 == 0 {
            eprintln!("reading {number} of {}", args.readings);
        }
        interrupt.sleep(TICK)?;
        let began = cpu_now()?;
        let reading = observer.read()?;
        let read = cpu_now()?;
        writer.add(&reading, u64::from(number) * 1_000)?;
        let written = cpu_now()?;
        read_ms.push(milliseconds(read.saturating_sub(began)));
        write_ms.push(milliseconds(written.saturating_sub(read)));
        let window = window_of(&mut sum, reading);
        busy += window
            .agents
            .values()
            .filter(|(_, row)| !row.is_idle())
            .count();
        windows.push(window);
    }
    let bytes = writer.finish()?;
    let replay_cpu_ms = replay(&path, &windows)?;
    let readings = f64::from(args.readings);
    Ok(Report {
        kernel: hostler_observe::kernel_release(),
        agents: args.agents,
        readings: args.readings,
        write_cpu_ms: Spread::of(write_ms).context("no reading")?,
        read_cpu_ms: Spread::of(read_ms).context("no reading")?,
        first_bytes,
        mean_bytes: (bytes - first_bytes) as f64 / readings,
        mean_busy: busy as f64 / readings,
        replay_cpu_ms: replay_cpu_ms / readings,
    })
}

fn window_of(sum: &mut WindowSum, reading: Reading) -> Window {
    sum.add(reading);
    sum.take()
}

/// Reads the recording, and holds its windows against those of the host. What that took, in ms.
fn replay(path: &std::path::Path, windows: &[Window]) -> Result<f64> {
    let began = cpu_now()?;
    let mut reader = Reader::open(path)?;
    let beginning = reader.read()?.context("a beginning")?.reading.clone();
    let mut sum = WindowSum::new(beginning);
    let mut differing = 0_u32;
    let mut number = 0;
    while let Some(moment) = reader.read()? {
        let window = window_of(&mut sum, moment.reading.clone());
        differing += u32::from(windows.get(number) != Some(&window));
        number += 1;
    }
    let took = cpu_now()?.saturating_sub(began);
    ensure!(
        differing == 0 && number == windows.len(),
        "{differing} of {} windows are others than the host's",
        windows.len()
    );
    Ok(milliseconds(took))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Report {
    fn text(&self) -> String {
        // One reading a second: a millisecond for each is a tenth of a percent.
        let percent = self.write_cpu_ms.median / 10.0;
        let hourly_mib = (self.first_bytes as f64 + 3_600.0 * self.mean_bytes) / MIB;
        let rows = vec![
            row(
                "writing, % of a core",
                format!("{percent:.2}"),
                percent,
                1.0,
            ),
            row(
                "size, MiB an hour",
                format!("{hourly_mib:.1}"),
                hourly_mib,
                20.0,
            ),
        ];
        let per_agent = self.mean_bytes / self.mean_busy.max(1.0);
        let lines = [
            format!("writing a reading: {} ms", spread(self.write_cpu_ms)),
            format!("taking it: {} ms", spread(self.read_cpu_ms)),
            format!(
                "size: the first reading {} bytes, others {:.0}; {:.0} agents did something in each, \
                 {per_agent:.1} bytes for each of these",
                self.first_bytes, self.mean_bytes, self.mean_busy
            ),
            format!(
                "reading it again with a window of each reading: {:.2} ms a reading, {:.0} times as \
                 fast as it was; all windows are the host's",
                self.replay_cpu_ms,
                1_000.0 / self.replay_cpu_ms
            ),
        ];
        format!(
            "Linux {}, {} agents, {} readings\n\n{}\n{}\n",
            self.kernel,
            self.agents,
            self.readings,
            table(["", "MEASURED", "BUDGET", ""], rows),
            lines.join("\n")
        )
    }
}
