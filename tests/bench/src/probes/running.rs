//! A tool and a load, side by side.

use std::{
    collections::BTreeSet,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hostler_observe::RunTimeStatistics;
use nix::sys::signal::Signal;

use super::{
    programs::{self, ProgramRuns},
    tool::{Tool, Tools},
};
use crate::{child::Bounded, interrupt::Interrupt, load::Load, load_cgroup::LoadCgroup};

/// How long a tool may take until its programs run.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tool whose programs have not changed for this long is ready.
const STABLE: Duration = Duration::from_millis(400);

const STEP: Duration = Duration::from_millis(40);

/// What all measurements share.
pub(crate) struct Bench {
    pub(crate) tools: Tools,
    pub(crate) length: Duration,
    pub(crate) rounds: u32,
    pub(crate) interrupt: Interrupt,
    pub(crate) cgroup: LoadCgroup,
}

/// A tool that measures.
pub(crate) struct RunningTool {
    child: Bounded,
    /// The programs that it holds.
    pub(crate) programs: BTreeSet<u32>,
}

impl Bench {
    /// Starts a tool, and waits until its programs run. For that the statistics are on, but not any
    /// longer.
    pub(crate) fn start_tool(&self, tool: Tool) -> Result<RunningTool> {
        let _statistics = RunTimeStatistics::enable()?;
        let words = self.tools.words(tool)?;
        let mut child = Bounded::start(tool.title(), words, Stdio::null())?;
        let start = Instant::now();
        let mut programs = BTreeSet::new();
        let mut since = None::<Instant>;
        while since.is_none_or(|since| since.elapsed() < STABLE) {
            ensure!(
                start.elapsed() < PATIENCE,
                "no program of {} has run within {} s",
                tool.title(),
                PATIENCE.as_secs()
            );
            self.interrupt.sleep(STEP)?;
            child.check_running()?;
            let held = programs::held_by(&child.pid().to_string())?;
            let have_run = |program: ProgramRuns| tool.counts(&program) && program.runs > 0;
            if held != programs || !programs::read(&held).into_iter().any(have_run) {
                (programs, since) = (held, None);
            } else if since.is_none() {
                since = Some(Instant::now());
            }
        }
        Ok(RunningTool { child, programs })
    }

    /// Starts a load in the loads' cgroup. It ends by itself after `time`, or somewhat later.
    pub(crate) fn start_load(&self, load: Load, time: Duration) -> Result<Bounded> {
        let words = self.cgroup.entered_by(&load.words(time)?);
        Bounded::start(load.title(), words, Stdio::piped())
    }
}

impl RunningTool {
    /// Ends it as Ctrl-C would.
    pub(crate) fn stop(self) -> Result<()> {
        self.child.stop(Signal::SIGINT).context("stopping a tool")
    }
}
