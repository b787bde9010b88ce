//! What each command does.

mod agents;
mod all;
mod doctor;
mod explain;
mod faults;
mod ledger;
mod live;
mod pairs;
mod pressure;
mod rtt;
mod rules;
mod runq;
mod waits;

use std::io::{self, IsTerminal as _};

use hostler_daemon::Schedule;
use hostler_decide::{signal::Reading, window::Window};
use hostler_observe::{Observer, Options, ProbeClock, ThreadSource};

use crate::{
    args::{
        AgentPattern, Args, By, Clock, Command, Format, GlobalArgs, ThreadsFrom, TraceArgs,
        TraceCommand, selects,
    },
    failure::Failure,
    generated,
    output::{self, Stdout},
    report::Row,
};

/// Does what the command line says.
pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let global = &args.global;
    let stdout = Stdout::new(global.color);
    match &args.command {
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
        Some(Command::Explain(args)) => explain::run(args, global, stdout),
        Some(Command::Agents(agents)) => agents::run(agents, global, stdout),
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
    }
}

/// Starts to observe; a pattern that selects none of the agents that are there is refused.
fn observe(
    patterns: &[AgentPattern],
    global: &GlobalArgs,
    mut options: Options,
) -> Result<Observer, Failure> {
    options.threads_from = global.threads_from.map(|source| match source {
        ThreadsFrom::Iterator => ThreadSource::Iterator,
        ThreadsFrom::Procfs => ThreadSource::Procfs,
    });
    options.clock = global.clock.map(|clock| match clock {
        Clock::RunQueue => ProbeClock::RunQueue,
        Clock::Monotonic => ProbeClock::Monotonic,
    });
    options.rules = rules::read(global)?;
    let observer = Observer::start(options)?;
    for pattern in patterns {
        if !observer.agent_names().any(|name| pattern.matches(name)) {
            return Err(no_match(pattern));
        }
    }
    Ok(observer)
}

fn no_match(pattern: &AgentPattern) -> Failure {
    Failure::Usage {
        sentence: format!("no agent on this host matches '{}'", pattern.as_str()),
        hint: "`hostler agents` lists the names; quote a pattern, so that the shell leaves it \
               alone."
            .to_owned(),
    }
}

/// Traces the agents that are asked for, and writes what `render` makes of each window; it is told
/// which one is the first. Texts are kept apart by an empty line.
fn trace(
    args: &TraceArgs,
    global: &GlobalArgs,
    what: &str,
    stdout: Stdout,
    render: impl Fn(&Window, &Observer, bool) -> String,
) -> Result<(), Failure> {
    trace_with(
        args,
        global,
        what,
        stdout,
        Options::default(),
        any_host,
        render,
    )
}

/// As [`trace`], with options, and a look at what this host allows before it begins.
fn trace_with(
    args: &TraceArgs,
    global: &GlobalArgs,
    what: &str,
    stdout: Stdout,
    options: Options,
    check: impl Fn(&Observer) -> Result<(), Failure>,
    render: impl Fn(&Window, &Observer, bool) -> String,
) -> Result<(), Failure> {
    let mut observer = observe(&args.agents, global, options)?;
    check(&observer)?;
    let schedule = args.times.schedule();
    announce(what, schedule, stdout);
    let mut is_first = true;
    watch(&mut observer, schedule, |window, observer| {
        let is_first = std::mem::take(&mut is_first);
        let is_apart = !is_first && args.format.chosen() == Format::Text;
        let between = if is_apart { "\n" } else { "" };
        output::write(&format!("{between}{}", render(window, observer, is_first)))
    })
}

/// For what every host allows, or shows as missing.
#[expect(clippy::unnecessary_wraps, reason = "one of the checks that may fail")]
fn any_host(_: &Observer) -> Result<(), Failure> {
    Ok(())
}

/// Runs the daemon's loop to its end.
fn watch(
    observer: &mut Observer,
    schedule: Schedule,
    report: impl FnMut(&Window, &Observer) -> io::Result<bool>,
) -> Result<(), Failure> {
    watch_closely(observer, schedule, |_, _| Ok(true), report)
}

/// As [`watch`], and hands over each reading.
fn watch_closely(
    observer: &mut Observer,
    schedule: Schedule,
    look: impl FnMut(&Reading, &Observer) -> io::Result<bool>,
    report: impl FnMut(&Window, &Observer) -> io::Result<bool>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System {
            what: "starting the event loop",
            source,
        })?;
    let watching = hostler_daemon::watch_closely(observer, schedule, look, report);
    Ok(runtime.block_on(watching)?)
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
fn announce(what: &str, schedule: Schedule, stdout: Stdout) {
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
