//! One boot of the guest: from the emulator's start to the command's exit code or the guest's end.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use signal_hook::consts::SIGKILL;

use super::interrupt::Interrupt;
use super::qemu::Ports;
use super::stream::{self, End};
use super::terminal::Terminal;

/// A guest that takes longer to start the command hangs; it takes some ten seconds.
const BOOT_LIMIT: Duration = Duration::from_mins(3);

/// How often the waiting looks at the clock and at signals.
const TICK: Duration = Duration::from_millis(100);

/// How a boot ended.
pub(super) enum Outcome {
    /// The command ended with this code.
    Exited(u8),
    /// The guest was gone, or stood still, before the command's end.
    Died(Death),
    /// A signal told us to stop.
    Interrupted(i32),
}

/// Why a guest is counted as dead.
pub(super) enum Death {
    /// The emulator ended without an exit code from the command.
    Ended(ExitStatus),
    /// The command did not start within the limit for a boot.
    NoStart(Duration),
    /// The command did not end within the time limit.
    NoEnd(Duration),
}

impl Death {
    /// Whether another guest may live longer. One that was too slow would be as slow again.
    pub(super) fn is_worth_a_retry(&self) -> bool {
        !matches!(self, Self::NoEnd(_))
    }
}

impl fmt::Display for Death {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(status) if status.signal() == Some(SIGKILL) => write!(
                formatter,
                "the emulator was killed ({status}): perhaps this machine ran out of memory"
            ),
            Self::Ended(status) => write!(
                formatter,
                "it ended before the command did (a panic, or the emulator's: {status})"
            ),
            Self::NoStart(limit) => {
                write!(
                    formatter,
                    "it did not boot within {}",
                    humantime::format_duration(*limit)
                )
            }
            Self::NoEnd(limit) => {
                let limit = humantime::format_duration(*limit);
                write!(formatter, "the command did not end within {limit}")
            }
        }
    }
}

/// How the command's output is handled.
pub(super) enum Output<'a> {
    /// Each stream is passed on, up to this marker.
    Streams {
        end_marker: &'a str,
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
    },
    /// The command has our terminal.
    Terminal,
}

impl<'a> Output<'a> {
    /// To our own stdout and stderr.
    pub(super) fn ours(end_marker: &'a str) -> Self {
        Self::Streams {
            end_marker,
            stdout: Box::new(std::io::stdout()),
            stderr: Box::new(std::io::stderr()),
        }
    }
}

enum Event {
    Started,
    Exited(u8),
    StreamEnded(Result<End>),
    ControlClosed,
}

/// Boots with the command line that `command` makes for the ports and waits for the end.
pub(super) fn run(
    command: impl FnOnce(Ports) -> Command,
    console: &Path,
    output: Output,
    time_limit: Option<Duration>,
    interrupt: &Interrupt,
) -> Result<Outcome> {
    let (events, received) = mpsc::channel();
    let (control, guest_control) = socket()?;
    let is_terminal = matches!(output, Output::Terminal);
    let (mut command, inherited, streams) = match output {
        Output::Terminal => {
            let ports = Ports::Terminal {
                control: guest_control.as_raw_fd(),
            };
            (command(ports), vec![guest_control], 0)
        }
        Output::Streams {
            end_marker,
            stdout: to_stdout,
            stderr: to_stderr,
        } => {
            let (stdout, guest_stdout) = socket()?;
            let (stderr, guest_stderr) = socket()?;
            relay(stdout, to_stdout, end_marker, &events);
            relay(stderr, to_stderr, end_marker, &events);
            let ports = Ports::Streams {
                control: guest_control.as_raw_fd(),
                stdout: guest_stdout.as_raw_fd(),
                stderr: guest_stderr.as_raw_fd(),
            };
            (
                command(ports),
                vec![guest_control, guest_stdout, guest_stderr],
                2,
            )
        }
    };
    let _terminal = is_terminal.then(Terminal::save);
    let mut emulator = Emulator::start(&mut command, console, is_terminal)?;
    // Only the emulator holds the guest's ends now: they close when it ends.
    drop(inherited);
    thread::spawn(move || read_control(control, &events));
    let waiting = Waiting {
        received,
        streams,
        started: false,
        code: None,
        time_limit,
        interrupt,
    };
    waiting.for_end(&mut emulator)
}

struct Waiting<'a> {
    received: Receiver<Event>,
    /// How many streams have yet to end.
    streams: u32,
    started: bool,
    code: Option<u8>,
    time_limit: Option<Duration>,
    interrupt: &'a Interrupt,
}

impl Waiting<'_> {
    fn for_end(mut self, emulator: &mut Emulator) -> Result<Outcome> {
        let start = Instant::now();
        loop {
            let death = match self.received.recv_timeout(TICK) {
                Ok(Event::ControlClosed) => Some(Death::Ended(emulator.wait()?)),
                Ok(event) => {
                    self.note(event)?;
                    None
                }
                Err(_) => self.overdue(start.elapsed()),
            };
            match (self.code, self.streams, death) {
                (Some(code), 0, _) => return Ok(Outcome::Exited(code)),
                // The command has run: starting it again would be wrong.
                (Some(code), _, Some(death)) => {
                    bail!("the command's exit code was {code}, but output is missing: {death}")
                }
                (None, _, Some(death)) => return Ok(Outcome::Died(death)),
                (_, _, None) => {}
            }
            if let Some(signal) = self.interrupt.signal() {
                return Ok(Outcome::Interrupted(signal));
            }
        }
    }

    fn note(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Started => self.started = true,
            Event::Exited(code) => self.code = Some(code),
            Event::StreamEnded(end) => self.streams -= u32::from(end? == End::Marked),
            Event::ControlClosed => {}
        }
        Ok(())
    }

    fn overdue(&self, elapsed: Duration) -> Option<Death> {
        match self.time_limit {
            Some(limit) if elapsed > limit => Some(Death::NoEnd(limit)),
            _ if !self.started && elapsed > BOOT_LIMIT => Some(Death::NoStart(BOOT_LIMIT)),
            _ => None,
        }
    }
}

/// The emulator's process; it never outlives this.
struct Emulator(Child);

impl Emulator {
    fn start(command: &mut Command, console: &Path, is_terminal: bool) -> Result<Self> {
        let messages = File::options()
            .append(true)
            .create(true)
            .open(console)
            .with_context(|| format!("opening {}", console.display()))?;
        command.stderr(messages);
        if !is_terminal {
            // A process group of its own keeps the terminal's Ctrl-C from it: ending is ours.
            command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .process_group(0);
        }
        command
            .spawn()
            .map(Self)
            .with_context(|| format!("starting {command:?}"))
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        self.0.wait().context("waiting for QEMU")
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A connection of which the second end can be inherited.
fn socket() -> Result<(UnixStream, OwnedFd)> {
    let (ours, theirs) = UnixStream::pair().context("making a socket for the guest")?;
    fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty())).context("making a socket inheritable")?;
    Ok((ours, theirs.into()))
}

fn relay(
    from: impl Read + Send + 'static,
    to: impl Write + Send + 'static,
    end_marker: &str,
    events: &Sender<Event>,
) {
    let (marker, events) = (end_marker.as_bytes().to_vec(), events.clone());
    thread::spawn(move || {
        let end = stream::relay(from, to, &marker).context("passing on the guest's output");
        let _ = events.send(Event::StreamEnded(end));
    });
}

/// The control port's lines: `started`, then `exit CODE`.
fn read_control(control: UnixStream, events: &Sender<Event>) {
    for line in BufReader::new(control).lines().map_while(Result::ok) {
        let event = match line.split_once(' ') {
            Some(("exit", code)) => code.parse().ok().map(Event::Exited),
            None if line == "started" => Some(Event::Started),
            _ => None,
        };
        if event.is_some_and(|event| events.send(event).is_err()) {
            return;
        }
    }
    let _ = events.send(Event::ControlClosed);
}
