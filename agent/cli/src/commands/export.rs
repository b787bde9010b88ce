//! `hostler export`: what is measured, or was recorded, as metrics for other programs.

mod collector;

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use hostler_daemon::metrics::{Format as TextFormat, OtlpTimes, Policy, Totals, otlp};
use hostler_decide::{scene::Scene, window::Window};
use hostler_observe::Options;

use self::collector::Collector;
use super::{Need, Source};
use crate::{
    args::{AgentPattern, ExportArgs, ExportFormat, GlobalArgs, selects},
    failure::Failure,
    output,
    render::{export_csv, export_json},
};

/// Groups that are told apart.
const GROUPS: usize = 10_000;

/// Where metrics go.
enum Destination {
    Stdout,
    File(String),
    Collector(Collector),
}

pub(crate) fn run(args: &ExportArgs, global: &GlobalArgs) -> Result<(), Failure> {
    let mut destination = match args.collector() {
        Some(address) => Destination::Collector(Collector::new(address)?),
        None if args.to == "-" => Destination::Stdout,
        None => Destination::File(args.to.clone()),
    };
    let patterns = args.agents.clone();
    let options = Options {
        sockets: true,
        pressure: true,
        peers: args.peers.named.clone(),
        select: Box::new(move |name| selects(&patterns, name)),
        ..Options::default()
    };
    let schedule = args.times.schedule();
    let source = Source::open(
        &args.source,
        &args.agents,
        Need::Nothing,
        schedule,
        global,
        options,
    )?;
    let began = Began {
        at_ns: source.beginning().at_ns,
        wall_ms: source.wall_ms(),
    };
    let mut totals = Totals::new(&source.facts(), policy(&args.agents));
    let mut is_first = true;
    let mut failure = None;
    let report = |window: &Window, scene: &Scene| {
        totals.add(window);
        let now_ms = began.wall_ms_at(window.to_ns);
        let bytes = match args.format {
            ExportFormat::Openmetrics => totals.measured(TextFormat::OpenMetrics).into_bytes(),
            ExportFormat::Prometheus => totals.measured(TextFormat::Classic).into_bytes(),
            ExportFormat::Json => export_json(&totals.families(), now_ms).into_bytes(),
            ExportFormat::Csv => {
                let with_titles = is_first || matches!(destination, Destination::File(_));
                export_csv(&totals.families(), now_ms, with_titles).into_bytes()
            }
            ExportFormat::Otlp => {
                let times = OtlpTimes {
                    began_ns: began.wall_ms.saturating_mul(1_000_000),
                    now_ns: now_ms.saturating_mul(1_000_000),
                };
                otlp(&scene.facts.host, &totals.families(), times)
            }
        };
        is_first = false;
        match destination.take(bytes) {
            Ok(goes_on) => Ok(goes_on),
            Err(error) => {
                failure = Some(error);
                Ok(false)
            }
        }
    };
    source.run(schedule, |_, _| Ok(true), report)?;
    failure.map_or(Ok(()), Err)
}

/// When reading began, by both clocks.
#[derive(Clone, Copy)]
struct Began {
    at_ns: u64,
    wall_ms: u64,
}

impl Began {
    /// The time of day at an instant of the monotonic clock, in ms since 1970.
    fn wall_ms_at(self, at_ns: u64) -> u64 {
        let passed_ms = at_ns.saturating_sub(self.at_ns) / 1_000_000;
        self.wall_ms.saturating_add(passed_ms)
    }
}

/// All agents have series, or those that are asked for.
fn policy(agents: &[AgentPattern]) -> Policy {
    let all = || vec!["*".parse().expect("a pattern")];
    Policy {
        top: 0,
        pinned: if agents.is_empty() {
            all()
        } else {
            agents.to_vec()
        },
        // As long as it is read.
        linger: Duration::from_hours(24 * 365),
        groups: GROUPS,
        series: usize::MAX,
    }
}

impl Destination {
    /// Writes metrics; whether there is anybody who takes more.
    fn take(&mut self, bytes: Vec<u8>) -> Result<bool, Failure> {
        match self {
            Self::Stdout => output::write_bytes(&bytes).map_err(|source| Failure::System {
                what: "writing metrics",
                source,
            }),
            Self::File(path) => {
                replace(Path::new(path), &bytes).map_err(|source| Failure::File {
                    path: path.as_str().into(),
                    source,
                })?;
                Ok(true)
            }
            Self::Collector(collector) => collector.send(bytes).map(|()| true),
        }
    }
}

/// Replaces a file as a whole: whoever reads it sees what was there before, or what is there now.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    // Whoever owns the folder could have put a link there: it is made anew, or not written.
    let made = OpenOptions::new().write(true).create_new(true).open(&new);
    let written = made.and_then(|mut file| file.write_all(bytes));
    let replaced = written.and_then(|()| fs::rename(&new, path));
    if replaced.is_err() {
        // What is left of an attempt is nobody's.
        let _may_not_be_there = fs::remove_file(&new);
    }
    replaced
}
