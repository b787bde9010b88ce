//! `hostler replay`: a recording, shown as the live view would have shown the host.

use std::time::{Duration, Instant};

use hostler_daemon::Schedule;
use hostler_decide::{scene::Scene, signal::Reading};
use hostler_observe::Options;

use super::{Need, Source, live::Views};
use crate::{
    args::{GlobalArgs, ReplayArgs, SourceArgs},
    failure::Failure,
    output::{self, Stdout},
    render::replayed,
    report::RecordingReport,
};

/// Between two views, where they are to be watched.
const INTERVAL: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &ReplayArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let from = SourceArgs {
        from: Some(args.recording.clone()),
        part: args.part.clone(),
        record: None,
    };
    let options = Options::default();
    let schedule = Schedule {
        interval: args.interval.or(args.speed.map(|_| INTERVAL)),
        duration: args.duration,
        on_alarm: false,
    };
    let patterns = &args.agents;
    let source = Source::open(&from, patterns, Need::Nothing, schedule, global, options)?;
    let facts = source.facts();
    let began_ms = source.began_ms();
    let mut progress = RecordingReport {
        readings: 1,
        agents: source.beginning().agents.len(),
        bytes: std::fs::metadata(&args.recording).map_or(0, |file| file.len()),
        length_ns: 0,
    };
    let pace = args.speed.map(Pace::new);
    let look = |reading: &Reading, scene: &Scene| {
        progress.readings += 1;
        progress.agents = scene.known_agents;
        progress.length_ns = reading.at_ns.saturating_sub(scene.began_ns);
        if let Some(pace) = &pace {
            pace.wait_for(progress.length_ns);
        }
        Ok(true)
    };
    let mut views = Views::new(&args.agents, stdout);
    source.run(schedule, look, |window, scene| views.show(window, scene))?;
    let recording = args.recording.display().to_string();
    output::write_only(&replayed(&recording, &facts, began_ms, progress))
}

/// Keeps a recording's time in step with that of whoever watches.
struct Pace {
    began: Instant,
    speed: f64,
}

impl Pace {
    fn new(speed: f64) -> Self {
        Self {
            began: Instant::now(),
            speed,
        }
    }

    fn wait_for(&self, passed_ns: u64) {
        let due = Duration::from_nanos(passed_ns).div_f64(self.speed);
        std::thread::sleep(due.saturating_sub(self.began.elapsed()));
    }
}
