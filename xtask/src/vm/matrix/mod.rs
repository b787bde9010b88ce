//! The privileged tests in guests: one boot for each kernel and shape.
//!
//! What loads on one kernel may be refused by another, and most machines have neither two NUMA
//! nodes nor a hierarchy with all controllers. So the tests that load programs run again in each
//! guest, together with those that only guests can run.

mod golden;
mod programs;
mod report;
mod trials;

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::Result;

use self::programs::SHAPES;
use self::report::Suite;
pub(crate) use self::report::{Counts, GuestReport, sum, write};
use super::console;
use super::interrupt::Interrupt;
use super::kernel::Choice;
use super::qemu::Machine;
use super::run::{Job, Task};
use super::session::{self, Part, Program};
use crate::workspace;

/// Kernel and NUMA nodes of each guest, if none are asked for.
const GUESTS: [(Choice, u32); 3] = [
    (Choice::Linux6_1, 2),
    (Choice::Linux6_12, 2),
    (Choice::Linux6_12, 4),
];

/// How long the tests of one guest may take. Some ten minutes are usual, on a slow machine twice as many.
const TIME_LIMIT: Duration = Duration::from_mins(30);

/// What is to be tested, and where.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    /// Only this kernel, with two nodes unless said otherwise.
    pub(crate) kernel: Option<Choice>,
    /// Only guests with so many nodes; both kernels unless one is asked for.
    pub(crate) nodes: Option<u32>,
    /// Only tests whose name contains this.
    pub(crate) filter: Option<String>,
    /// Write golden files anew instead of comparing them.
    pub(crate) bless: bool,
    pub(crate) memory_mib: u32,
    pub(crate) time_limit: Option<Duration>,
    pub(crate) keep_console: bool,
}

impl Request {
    fn guests(&self) -> Vec<(Choice, u32)> {
        match (&self.kernel, self.nodes) {
            (None, None) => GUESTS.to_vec(),
            (Some(kernel), nodes) => vec![(kernel.clone(), nodes.unwrap_or(2))],
            (None, Some(nodes)) => {
                vec![(Choice::Linux6_1, nodes), (Choice::Linux6_12, nodes)]
            }
        }
    }
}

/// Runs the tests in each guest, and tells of each as it ends.
pub(crate) fn run(request: &Request) -> Result<Vec<GuestReport>> {
    let programs = programs::build(request.filter.as_deref())?;
    let interrupt = Interrupt::watch()?;
    let guests = request.guests();
    let mut reports = Vec::new();
    for (number, (kernel, nodes)) in guests.iter().enumerate() {
        println!("\n=== guest {kernel}, {nodes} nodes");
        let has_run = guests[..number].iter().any(|(before, _)| before == kernel);
        let programs = if has_run && request.filter.is_none() {
            println!("only tests/{SHAPES}, about shapes: the others were run on this kernel");
            programs_of_shapes(&programs)
        } else {
            programs.clone()
        };
        // One guest that can't be run must not hide what the others came to.
        let report = run_guest(request, kernel, *nodes, &programs, &interrupt)
            .unwrap_or_else(|error| GuestReport::of_error(kernel.to_string(), *nodes, &error));
        print!(
            "{}{}{}",
            report.slowest(),
            report.skips(),
            report.failures()
        );
        let counts = report.counts();
        println!(
            "{} passed, {} failed, {} skipped: {}",
            counts.passed,
            counts.failed,
            counts.skipped,
            report.remark()
        );
        reports.push(report);
        if interrupt.signal().is_some() {
            break;
        }
    }
    Ok(reports)
}

fn run_guest(
    request: &Request,
    kernel: &Choice,
    nodes: u32,
    programs: &[Program],
    interrupt: &Interrupt,
) -> Result<GuestReport> {
    let start = Instant::now();
    let job = Job {
        kernel: kernel.clone(),
        machine: Machine::new(nodes, request.memory_mib, false)?,
        task: Task::Script(String::new()),
        time_limit: Some(request.time_limit.unwrap_or(TIME_LIMIT)),
        keep_console: request.keep_console,
    };
    let nodes_text = nodes.to_string();
    let variables = [
        // Said in any case: what is set around us must not get into the guest.
        (golden::BLESS, if request.bless { "1" } else { "0" }),
        // What was asked for, so that a guest of another shape is found out.
        ("HOSTLER_GUEST_NODES", &nodes_text),
    ];
    // Whoever asks for a test by name wants to see what it says.
    let watch = if request.filter.is_some() {
        show_all
    } else {
        show
    };
    let finished = session::run(&job, &variables, programs, interrupt, watch)?;
    for part in finished.parts.iter().filter(|_| request.bless) {
        for path in golden::write(workspace::root(), part)? {
            println!("written: {path}");
        }
    }
    let mut report = GuestReport {
        kernel: kernel.to_string(),
        version: finished.kernel_version,
        nodes,
        seconds: start.elapsed().as_secs_f64(),
        boots: finished.boots,
        deaths: finished.deaths,
        kernel_damage: console::damage(&finished.console),
        console: String::new(),
        suites: suites(programs, &finished.parts),
    };
    if report.counts().failed > 0 {
        report.console = console::excerpt(&finished.console);
    }
    Ok(report)
}

/// The programs whose tests depend on the shape of a guest.
fn programs_of_shapes(programs: &[Program]) -> Vec<Program> {
    let of_shapes = programs.iter().filter(|program| program.name == SHAPES);
    of_shapes.cloned().collect()
}

/// The tests of each program; one of which nothing was seen has failed as a whole.
fn suites(programs: &[Program], parts: &[Part]) -> Vec<Suite> {
    let suite = |program: &Program| {
        let missing = Part {
            name: program.name.to_owned(),
            ..Part::default()
        };
        let part = parts.iter().find(|part| part.name == program.name);
        Suite {
            name: program.name.to_owned(),
            tests: trials::of(part.unwrap_or(&missing)),
        }
    };
    programs.iter().map(suite).collect()
}

/// Shows what tests print as well.
fn show_all(line: &str) -> io::Result<()> {
    if line.starts_with('{') {
        show(line)
    } else {
        writeln!(io::stdout(), "{line}")
    }
}

/// Shows each test as it ends. What tests print is shown of those that fail, at the end.
fn show(line: &str) -> io::Result<()> {
    match trials::Event::parse(line) {
        Some(event) if event.what != "started" => {
            writeln!(io::stdout(), "test {:<76} {}", event.name, event.what)
        }
        _ => Ok(()),
    }
}
