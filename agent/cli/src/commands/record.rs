//! `hostler record`: keeps all that is read of this host.

use std::io::{self, IsTerminal as _, Write as _};

use hostler_daemon::Schedule;
use hostler_decide::{
    scene::{CpuView, Scene},
    signal::Reading,
    window::Window,
};
use hostler_observe::{Observer, Options, has_several_nodes};

use super::source::{Kept, Source, begin_recording, observe};
use crate::{
    args::{GlobalArgs, RecordArgs},
    failure::Failure,
    output,
    render::{recorded, recording_now},
    report::RecordingReport,
};

pub(crate) fn run(args: &RecordArgs, global: &GlobalArgs) -> Result<(), Failure> {
    // Refused before anything is loaded.
    if !args.overwrite && args.file.symlink_metadata().is_ok() {
        return Err(Failure::Usage {
            sentence: format!("{}: it exists", args.file.display()),
            hint: "`--overwrite` replaces it.".to_owned(),
        });
    }
    let observer = observe(global, options(args))?;
    let writer = begin_recording(
        &args.file,
        args.overwrite,
        &observer.facts(),
        observer.beginning(),
    )?;
    let mut progress = Progress::new(&observer);
    let schedule = Schedule {
        interval: None,
        duration: args.duration,
        // The kernel's alarms are counted; a reading more for each would tell nothing that the next
        // one does not.
        on_alarm: false,
    };
    let source = Source::Host(
        Box::new(observer),
        Some(Kept {
            writer: Box::new(writer),
            is_all: true,
        }),
    );
    let file = &args.file;
    let look = |reading: &Reading, scene: &Scene| {
        let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
        progress.follow(reading, scene, bytes);
        Ok(true)
    };
    let nothing = |_: &Window, _: &Scene| Ok(true);
    source.run(schedule, look, nothing)?;
    let bytes = std::fs::metadata(file).map_or(0, |file| file.len());
    output::write_only(&recorded(&file.display().to_string(), progress.end(bytes)))
}

fn options(args: &RecordArgs) -> Options {
    Options {
        cpu_view: if args.cpus {
            CpuView::All
        } else {
            CpuView::Off
        },
        pairs: true,
        wait_events: args.events,
        wakes: args.wakes,
        // On one node all that runs runs there.
        placement: has_several_nodes(),
        long_wait_ns: u64::try_from(args.long.as_nanos()).unwrap_or(u64::MAX),
        fault_latency: args.fault_latency,
        sockets: true,
        pressure: true,
        peers: args.peers.named.clone(),
        ..Options::default()
    }
}

/// How far a recording is, for who looks on.
struct Progress {
    is_shown: bool,
    began_ns: u64,
    report: RecordingReport,
}

impl Progress {
    fn new(observer: &Observer) -> Self {
        let beginning = observer.beginning();
        Self {
            is_shown: io::stderr().is_terminal(),
            began_ns: beginning.at_ns,
            report: RecordingReport {
                readings: 1,
                ..RecordingReport::default()
            },
        }
    }

    fn follow(&mut self, reading: &Reading, scene: &Scene, bytes: u64) {
        self.report = RecordingReport {
            readings: self.report.readings + 1,
            length_ns: reading.at_ns.saturating_sub(self.began_ns),
            agents: scene.known_agents,
            bytes,
        };
        self.show(&recording_now(self.report));
    }

    /// In the place of what was shown before. Whoever looked on may have gone.
    fn show(&mut self, text: &str) {
        let is_seen = || write!(io::stderr(), "\r\x1b[K{text}").is_ok();
        self.is_shown = self.is_shown && is_seen();
    }

    fn end(mut self, bytes: u64) -> RecordingReport {
        self.show("");
        self.report.bytes = bytes;
        self.report
    }
}
