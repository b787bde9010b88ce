//! `hostler agents`: who is there.

use hostler_daemon::{Schedule, control::AgentPlaces};
use hostler_decide::signal::{Agent, AgentReading};
use hostler_observe::{AgentPlace, Options};

use super::{Need, Source};
use crate::{
    args::{AgentsArgs, Format, GlobalArgs, selects},
    failure::Failure,
    output::{self, Stdout},
    render::{agents_csv, agents_json, agents_text},
    report::AgentLine,
};

pub(crate) fn run(args: &AgentsArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let mut source = Source::open(
        &args.source(),
        &args.agents,
        Need::Nothing,
        Schedule::default(),
        global,
        Options::default(),
    )?;
    let lines: Vec<AgentLine> = lines_of(&mut source)?
        .into_iter()
        .filter(|line| selects(&args.agents, &line.name))
        .collect();
    output::write_only(&match args.format.chosen() {
        Format::Text => agents_text(&lines, stdout.size().0, stdout.color),
        Format::Json => agents_json(&lines),
        Format::Csv => agents_csv(&lines),
    })
}

/// Who is there: on a host now, in a recording where it begins.
pub(super) fn lines_of(source: &mut Source) -> Result<Vec<AgentLine>, Failure> {
    Ok(match source {
        Source::Host(observer, _) => observer.agents()?.iter().map(of_host).collect(),
        Source::Daemon(watched, _) => {
            let places = watched.client().agents()?;
            places.iter().map(of_daemon).collect()
        }
        Source::Recording(replay) => {
            let agents = &replay.beginning().reading.agents;
            let with_threads = agents.iter().filter(|agent| agent.thread_count() > 0);
            with_threads.map(|agent| recorded(agent)).collect()
        }
    })
}

fn of_host(place: &AgentPlace) -> AgentLine {
    AgentLine {
        processes: Some(place.processes.into()),
        ..line(&place.agent, place.threads.into())
    }
}

fn of_daemon(place: &AgentPlaces) -> AgentLine {
    AgentLine {
        processes: Some(place.processes.into()),
        ..line(&place.agent, place.threads.into())
    }
}

fn recorded(reading: &AgentReading) -> AgentLine {
    line(&reading.agent, reading.thread_count())
}

fn line(agent: &Agent, threads: u64) -> AgentLine {
    AgentLine {
        name: agent.name.to_string(),
        group: agent.group.to_string(),
        kind: agent.kind,
        source: agent.source,
        threads,
        processes: None,
        slot: agent.id,
        place: agent.place.to_string(),
    }
}
