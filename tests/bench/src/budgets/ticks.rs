//! Starting, and ticks: in this process, on its own CPU clock.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use hostler_decide::{signal::LossSignal, window::WindowSum};
use hostler_observe::{Observer, Options, RunTimeStatistics};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::{interrupt::Interrupt, probes::Empty, spread::Spread};

/// The time between two ticks.
const TICK: Duration = Duration::from_secs(1);

/// How long programs are watched with the statistics on.
const WATCHED: Duration = Duration::from_secs(5);

/// What ticks cost.
#[derive(Debug, Serialize)]
pub(super) struct Ticks {
    /// CPU time of reading and of making a window, in ms.
    pub(super) cpu_ms: Spread,
    /// Of that, reading.
    pub(super) read_cpu_ms: Spread,
    /// The same by the wall clock.
    pub(super) wall_ms: Spread,
    /// Agents in the last window.
    pub(super) agents: usize,
    /// What the programs took for a run, less an empty one, in ns, with how often they ran.
    pub(super) programs: Vec<ProgramNs>,
    /// The same beside two threads that send a byte back and forth, so that caches are warm.
    pub(super) programs_busy: Vec<ProgramNs>,
    /// What was not measured or attributed: its names and numbers.
    pub(super) losses: Vec<(&'static str, u64)>,
}

/// One program.
#[derive(Debug, Serialize)]
pub(super) struct ProgramNs {
    pub(super) name: String,
    pub(super) runs: u64,
    pub(super) ns_per_run: f64,
}

fn options() -> Options {
    Options {
        sockets: true,
        pressure: true,
        ..Options::default()
    }
}

/// How long it takes from the first look at the host until everything is measured, in ms.
pub(super) fn starts(times: u32, interrupt: &Interrupt) -> Result<Spread> {
    let mut took_ms = Vec::new();
    for number in 1..=times {
        eprintln!("start {number} of {times}");
        let began = Instant::now();
        let observer = Observer::start(options())?;
        took_ms.push(began.elapsed().as_secs_f64() * 1e3);
        drop(observer);
        interrupt.sleep(TICK)?;
    }
    Spread::of(took_ms).context("no start")
}

/// Measures as many ticks, and after them the programs.
pub(super) fn measure(ticks: u32, interrupt: &Interrupt) -> Result<Ticks> {
    let mut observer = Observer::start(options())?;
    let mut sum = WindowSum::new(observer.beginning().clone());
    let mut agents = 0;
    let mut lost = LossSignal::default();
    let [mut cpu_ms, mut read_ms, mut wall_ms] = [Vec::new(), Vec::new(), Vec::new()];
    for number in 1..=ticks {
        eprintln!("tick {number} of {ticks}");
        interrupt.sleep(TICK)?;
        let (wall, began) = (Instant::now(), cpu_now()?);
        let reading = observer.read()?;
        let read = cpu_now()?;
        sum.add(reading);
        let window = sum.take();
        let done = cpu_now()?;
        wall_ms.push(wall.elapsed().as_secs_f64() * 1e3);
        cpu_ms.push(done.saturating_sub(began).as_secs_f64() * 1e3);
        read_ms.push(read.saturating_sub(began).as_secs_f64() * 1e3);
        agents = window.agents.len();
        lost.add(&window.losses);
    }
    eprintln!("programs, for {} s", WATCHED.as_secs());
    let programs = programs(&observer, || interrupt.sleep(WATCHED))?;
    eprintln!(
        "programs beside a TCP ping-pong, for {} s",
        WATCHED.as_secs()
    );
    let busy = programs_busy(&observer, interrupt)?;
    Ok(Ticks {
        cpu_ms: Spread::of(cpu_ms).context("no tick")?,
        read_cpu_ms: Spread::of(read_ms).context("no tick")?,
        wall_ms: Spread::of(wall_ms).context("no tick")?,
        agents,
        programs,
        programs_busy: busy,
        losses: losses(&lost),
    })
}

fn programs_busy(observer: &Observer, interrupt: &Interrupt) -> Result<Vec<ProgramNs>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("listening")?;
    let end = listener.local_addr().context("its address")?;
    let mut near = TcpStream::connect(end).context("connecting")?;
    let (mut far, _) = listener.accept().context("accepting")?;
    for stream in [&near, &far] {
        stream.set_nodelay(true).context("a socket's option")?;
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut byte = [0];
            while far.read_exact(&mut byte).is_ok() && far.write_all(&byte).is_ok() {}
        });
        let near = &mut near;
        scope.spawn(|| {
            let mut byte = [0];
            while !stop.load(Ordering::Relaxed) && near.write_all(&byte).is_ok() {
                if near.read_exact(&mut byte).is_err() {
                    break;
                }
            }
            // The other end reads that there is no more.
            let _closed = near.shutdown(Shutdown::Both);
        });
        let measured = programs(observer, || interrupt.sleep(WATCHED));
        stop.store(true, Ordering::Relaxed);
        measured
    })
}

/// What each program takes for a run, less the statistics' own part.
fn programs(observer: &Observer, wait: impl FnOnce() -> Result<()>) -> Result<Vec<ProgramNs>> {
    let _statistics = RunTimeStatistics::enable()?;
    let empty = Empty::attach()?;
    let before = (empty.read()?, observer.program_costs());
    wait()?;
    let after = (empty.read()?, observer.program_costs());
    let empty_ns = after.0.since(&before.0).ns_per_run().unwrap_or(0.0);
    let costs = after.1.into_iter().zip(before.1).filter_map(|(now, was)| {
        let runs = now.runs - was.runs;
        (runs > 0).then(|| ProgramNs {
            name: now.name,
            runs,
            ns_per_run: (now.run_time_ns - was.run_time_ns) as f64 / runs as f64 - empty_ns,
        })
    });
    Ok(costs.collect())
}

fn losses(losses: &LossSignal) -> Vec<(&'static str, u64)> {
    let all = [
        ("threads without a record", losses.threads_without_record),
        ("records not made", losses.records_not_made),
        ("negative durations", losses.negative_durations),
        ("agents without a slot", losses.agents_without_slot),
        ("events not sent", losses.events_not_sent),
        ("readings of sockets not counted", losses.peers_not_counted),
        ("sockets without a record", losses.sockets_without_record),
    ];
    all.into_iter().filter(|&(_, number)| number > 0).collect()
}

pub(super) fn cpu_now() -> Result<Duration> {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).context("reading a clock")?;
    Ok(Duration::from(now))
}
