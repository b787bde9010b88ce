//! The fleet as a process beside the bench, and its agents' own account of their requests.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use serde::Deserialize;
use tempfile::TempDir;

use crate::{child::Bounded, interrupt::Interrupt};

const STEP: Duration = Duration::from_millis(200);

/// A fleet that runs.
pub(super) struct Fleet {
    child: Bounded,
    scratch: TempDir,
}

/// One request, as its agent has written it down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// When the agent's turn began, in ns of the monotonic clock.
    pub(super) at_ns: u64,
    /// From the first byte sent to the last one received.
    pub(super) took_ns: u64,
}

/// What is read of a line of the fleet's account.
#[derive(Deserialize)]
struct Line {
    at_ns: Option<u64>,
    late_ns: Option<u64>,
    request: Option<RequestLine>,
}

#[derive(Deserialize)]
struct RequestLine {
    took_ns: u64,
}

impl Fleet {
    /// Starts it, and waits until all agents are at work.
    pub(super) fn start(
        agents: u32,
        mean_idle: Duration,
        duration: Duration,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let scratch = TempDir::with_prefix("hostler-bench-").context("making a folder")?;
        let said = scratch.path().join("said");
        let own = std::env::current_exe().context("this program has a path")?;
        let words = [
            own.with_file_name("hostler-fleet").into_os_string(),
            "run".into(),
            "--agents".into(),
            agents.to_string().into(),
            "--mean-idle".into(),
            humantime::format_duration(mean_idle).to_string().into(),
            "--duration".into(),
            humantime::format_duration(duration).to_string().into(),
            "--truth".into(),
            scratch.path().join("truth").into_os_string(),
        ];
        let output = File::create(&said).context("making a file")?;
        let child = Bounded::start("hostler-fleet", words, Stdio::from(output))?;
        let mut fleet = Self { child, scratch };
        while !fs::read_to_string(&said)?.contains("ready ") {
            fleet.child.check_running()?;
            interrupt.sleep(STEP)?;
        }
        // The start that all agents were given lies a little ahead.
        interrupt.sleep(Duration::from_secs(2))?;
        Ok(fleet)
    }

    /// Waits for its end, and returns the requests of all agents.
    pub(super) fn requests(self, interrupt: &Interrupt) -> Result<Vec<Request>> {
        let truth: PathBuf = self.scratch.path().join("truth");
        self.child.wait(interrupt)?;
        let file = File::open(&truth).context("opening the fleet's account")?;
        let mut requests = Vec::new();
        for line in BufReader::new(file).lines() {
            let line: Line = serde_json::from_str(&line?).context("reading the account")?;
            if let (Some(at_ns), Some(request)) = (line.at_ns, line.request) {
                requests.push(Request {
                    at_ns: at_ns + line.late_ns.unwrap_or(0),
                    took_ns: request.took_ns,
                });
            }
        }
        Ok(requests)
    }
}

/// The command that measures everything.
pub(super) const TRACE: &str = "trace all --json";

/// A `hostler` that measures everything once a second, and reports when it ends.
pub(super) struct Hostler {
    pub(super) child: Bounded,
}

impl Hostler {
    /// Starts it with the words of a command, and waits until it measures.
    pub(super) fn start(command: &str, interrupt: &Interrupt) -> Result<Self> {
        let scratch = TempDir::with_prefix("hostler-bench-").context("making a folder")?;
        let log = scratch.path().join("log");
        let own = std::env::current_exe().context("this program has a path")?;
        // A shell, since what a child says is kept for when it fails, not for while it runs.
        let words = [
            "sh".into(),
            "-c".into(),
            format!("exec \"$0\" {command} --verbose 2> \"$1\"").into(),
            own.with_file_name("hostler").into_os_string(),
            log.clone().into_os_string(),
        ];
        let mut child = Bounded::start("hostler", words, Stdio::null())?;
        while !fs::read_to_string(&log).is_ok_and(|log| log.contains("measuring")) {
            child
                .check_running()
                .with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
            interrupt.sleep(Duration::from_millis(20))?;
        }
        Ok(Self { child })
    }

    /// Ends it as its user would.
    pub(super) fn stop(self) -> Result<()> {
        self.child.stop(Signal::SIGTERM)
    }
}
