//! What each command does.

mod agents;
mod all;
mod config;
mod doctor;
mod exec;
mod explain;
mod export;
mod faults;
mod journal;
mod ledger;
mod live;
mod pairs;
mod past;
mod plan;
mod pressure;
mod record;
mod replay;
mod report;
mod rtt;
mod rules;
mod run;
mod runq;
mod source;
mod status;
mod topology;
mod trend;
mod waits;
mod wakes;

use std::{
    io::{self, IsTerminal as _},
    process::ExitCode,
};

use hostler_daemon::Schedule;
use hostler_decide::{scene::Scene, window::Window};
use hostler_observe::Options;

use self::source::{Need, Origin, Source};
use crate::{
    args::{AgentPattern, Args, By, Command, Format, GlobalArgs, TraceArgs, TraceCommand, selects},
    failure::Failure,
    generated,
    output::{self, Stdout},
    report::Row,
};

/// Does what the command line says.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let global = &args.global;
    let stdout = Stdout::new(global.color);
    let done = match &args.command {
        Some(Command::Exec(args)) => return exec::run(args),
        None => live::run(&args.live, global, stdout),
        Some(Command::Trace(TraceCommand::Runq(runq))) => match runq.by {
            Some(By::Preemptor) => pairs::run(runq, global, stdout),
            None => runq::run(runq, global, stdout),
        },
        Some(Command::Trace(TraceCommand::Faults(faults))) => faults::run(faults, global, stdout),
        Some(Command::Trace(TraceCommand::All(all))) => all::run(all, global, stdout),
        Some(Command::Trace(TraceCommand::Pressure(pressure))) => {
            pressure::run(pressure, global, stdout)
        }
        Some(Command::Trace(TraceCommand::Rtt(rtt))) => rtt::run(rtt, global, stdout),
        Some(Command::Trace(TraceCommand::Ledger(ledger))) => ledger::run(ledger, global, stdout),
        Some(Command::Trace(TraceCommand::Wakes(wakes))) => wakes::run(wakes, global, stdout),
        Some(Command::Topology(args)) => topology::run(args, global, stdout),
        Some(Command::Plan(args)) => plan::run(args, global, stdout),
        Some(Command::Journal(args)) => journal::show(args, stdout),
        Some(Command::Undo(args)) => journal::undo(args, global),
        Some(Command::Pause) => journal::pause(global),
        Some(Command::Resume) => journal::resume(global),
        Some(Command::Explain(args)) => explain::run(args, global, stdout),
        Some(Command::Record(args)) => record::run(args, global),
        Some(Command::Replay(args)) => replay::run(args, global, stdout),
        Some(Command::Export(args)) => export::run(args, global),
        Some(Command::Agents(agents)) => agents::run(agents, global, stdout),
        Some(Command::Run(args)) => run::run(args, global),
        Some(Command::Config(command)) => config::run(command, global),
        Some(Command::Trend(args)) => trend::run(args, stdout),
        Some(Command::Report(args)) => report::run(args, stdout),
        Some(Command::Status(args)) => status::run(args, global, stdout),
        Some(Command::Doctor(doctor)) => doctor::run(doctor, global, stdout),
        Some(Command::Completions { shell }) => {
            let script = generated::completions(*shell);
            output::write_only(&String::from_utf8_lossy(&script))
        }
        Some(Command::Man { dir: None }) => output::write_only(&generated::main_page()),
        Some(Command::Man { dir: Some(folder) }) => {
            let pages = generated::write_pages(folder).map_err(|source| Failure::System {
                what: "writing the manual pages",
                source,
            })?;
            let list: Vec<String> = pages
                .iter()
                .map(|page| page.display().to_string())
                .collect();
            output::write_only(&(list.join("\n") + "\n"))
        }
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn no_match(pattern: &AgentPattern, origin: Origin) -> Failure {
    let (place, list) = match origin {
        Origin::Host => ("on this host", "`hostler agents`"),
        Origin::Recording => (
            "in the recording at that time",
            "`hostler agents --from RECORDING`",
        ),
    };
    Failure::Usage {
        sentence: format!("no agent {place} matches '{}'", pattern.as_str()),
        hint: format!(
            "{list} lists the names; quote a pattern, so that the shell leaves it alone."
        ),
    }
}

/// A trace of agents that are asked for.
struct Trace<'a> {
    args: &'a TraceArgs,
    global: &'a GlobalArgs,
    stdout: Stdout,
    /// What is traced, for who looks on.
    what: &'a str,
    need: Need,
    options: Options,
}

impl Trace<'_> {
    /// Writes what `render` makes of each window; it is told which one is the first. Texts are kept
    /// apart by an empty line.
    fn run(self, render: impl Fn(&Window, &Scene, bool) -> String) -> Result<(), Failure> {
        let args = self.args;
        let schedule = args.times.schedule();
        let source = Source::open(
            &args.source,
            &args.agents,
            self.need,
            schedule,
            self.global,
            self.options,
        )?;
        announce(self.what, &source, schedule, self.stdout);
        let mut is_first = true;
        let report = |window: &Window, scene: &Scene| {
            let is_first = std::mem::take(&mut is_first);
            let is_apart = !is_first && args.format.chosen() == Format::Text;
            let between = if is_apart { "\n" } else { "" };
            output::write(&format!("{between}{}", render(window, scene, is_first)))
        };
        source.run(schedule, |_, _| Ok(true), report)
    }
}

/// The window's agents that the patterns select and that did anything, one row each.
fn agent_rows(window: &Window, patterns: &[AgentPattern]) -> Vec<Row> {
    window
        .agents
        .values()
        .filter(|(agent, window)| selects(patterns, &agent.name) && !window.is_idle())
        .map(|(agent, window)| Row {
            agent: Some((**agent).clone()),
            name: agent.name.to_string(),
            window: window.clone(),
        })
        .collect()
}

/// A trace that reports at its end is silent until then: says that it runs, to who looks on.
fn announce(what: &str, source: &Source, schedule: Schedule, stdout: Stdout) {
    if source.origin() == Origin::Recording {
        return;
    }
    if schedule.interval.is_some() || !stdout.is_terminal || !io::stderr().is_terminal() {
        return;
    }
    match schedule.duration {
        Some(duration) => eprintln!(
            "Tracing {what} for {}; Ctrl-C reports early.",
            humantime::format_duration(duration)
        ),
        None => eprintln!("Tracing {what}; Ctrl-C ends it and reports."),
    }
}
