//! `hostler agents`: who is there.

use hostler_observe::{AgentPlace, Options};

use super::observe;
use crate::{
    args::{AgentsArgs, Format, GlobalArgs, selects},
    failure::Failure,
    output::{self, Stdout},
    render::{agents_csv, agents_json, agents_text},
    report::AgentLine,
};

pub(crate) fn run(args: &AgentsArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let mut observer = observe(&args.agents, global, Options::default())?;
    let lines: Vec<AgentLine> = observer
        .agents()?
        .into_iter()
        .filter(|place| selects(&args.agents, &place.agent.name))
        .map(line)
        .collect();
    output::write_only(&match args.format.chosen() {
        Format::Text => agents_text(&lines, stdout.size().0, stdout.color),
        Format::Json => agents_json(&lines),
        Format::Csv => agents_csv(&lines),
    })
}

pub(super) fn line(place: AgentPlace) -> AgentLine {
    AgentLine {
        name: place.agent.name.to_string(),
        group: place.agent.group.to_string(),
        kind: place.agent.kind,
        source: place.agent.source,
        threads: place.threads.into(),
        processes: place.processes.into(),
        slot: place.agent.id,
        place: place.place,
    }
}
