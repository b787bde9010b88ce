//! `hostler explain`: where one agent's time went, and what held it up.

use std::time::Duration;

use hostler_daemon::Schedule;
use hostler_decide::{
    explain::{Evidence, explain},
    scene::Scene,
    signal::{LossSignal, Reading},
    window::Window,
};
use hostler_observe::{LONG_WAIT_NS, Options};

use super::{Need, Origin, Source, agents::lines_of, announce, no_match};
use crate::{
    args::{AgentPattern, ExplainArgs, GlobalArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{Screen, explain_json, explain_text, printable},
    report::{AgentLine, ExplainReport, RttRow},
};

/// How long this host is watched, if not said.
const WATCHED: Duration = Duration::from_secs(5);

/// Names that are listed where a pattern matches several agents.
const MOST_NAMES: usize = 10;

pub(crate) fn run(args: &ExplainArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let pattern = args.agent.clone();
    let long_ns = args.long.map(|long| long.as_nanos());
    let options = Options {
        pairs: true,
        sockets: true,
        pressure: true,
        placement: true,
        select: Box::new(move |name| pattern.matches(name)),
        long_wait_ns: long_ns.map_or(LONG_WAIT_NS, |ns| u64::try_from(ns).unwrap_or(u64::MAX)),
        ..Options::default()
    };
    let mut schedule = Schedule {
        interval: None,
        duration: args.duration,
        on_alarm: true,
    };
    let need = Need::Causes;
    let mut source = Source::open(&args.source, &[], need, schedule, global, options)?;
    let lines = lines_of(&mut source)?;
    let agent = the_one(&args.agent, lines, source.origin())?;
    schedule.duration = source.duration(args.duration, WATCHED);
    announce(&printable(&agent.name), &source, schedule, stdout);
    let look = |_: &Reading, _: &Scene| Ok(true);
    source.run(schedule, look, |window, scene| {
        let report = report(&agent, window, scene);
        let (columns, rows) = stdout.size();
        let screen = Screen {
            columns,
            rows,
            color: stdout.color,
        };
        output::write(&if args.json {
            explain_json(&report)
        } else {
            explain_text(&report, screen)
        })
    })
}

fn report(agent: &AgentLine, window: &Window, scene: &Scene) -> ExplainReport {
    let name_of = |slot| scene.name_of_slot(slot);
    let long_wait_ns = scene.facts.signals.long_wait_ns.unwrap_or(LONG_WAIT_NS);
    let cpus = scene.facts.online_cpus;
    let evidence = Evidence::of(window, agent.slot, long_wait_ns, cpus, name_of);
    ExplainReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        agent: agent.clone(),
        peers: peers_of(agent, window, scene),
        explanation: explain(&evidence),
        evidence,
        losses: LossSignal {
            // An agent that was found has a slot, and what has none is not among its pairs' names.
            agents_without_slot: 0,
            events_not_sent: 0,
            ..window.losses
        },
    }
}

/// Whom the agent talked to; with whom it spent most time in round trips comes first.
fn peers_of(agent: &AgentLine, window: &Window, scene: &Scene) -> Vec<RttRow> {
    let own = window
        .peers
        .iter()
        .filter(|(key, _)| key.agent == agent.slot);
    let mut rows: Vec<RttRow> = own
        .map(|(key, peer)| RttRow {
            agent: String::new(),
            peer: scene.peer_name(key.peer).to_owned(),
            window: peer.clone(),
        })
        .collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.window.counts.rtt_us));
    rows
}

/// The only agent that the pattern matches. One whose whole name it is goes before others, which
/// could not be told from it else.
fn the_one(
    pattern: &AgentPattern,
    lines: Vec<AgentLine>,
    origin: Origin,
) -> Result<AgentLine, Failure> {
    let mut matching = matching(pattern, lines);
    match matching.len() {
        1 => Ok(matching.swap_remove(0)),
        0 => Err(no_match(pattern, origin)),
        _ => Err(several(pattern, &matching)),
    }
}

fn matching(pattern: &AgentPattern, mut lines: Vec<AgentLine>) -> Vec<AgentLine> {
    lines.retain(|line| pattern.matches(&line.name));
    if lines.iter().any(|line| pattern.is_name(&line.name)) {
        lines.retain(|line| pattern.is_name(&line.name));
    }
    lines
}

fn several(pattern: &AgentPattern, matching: &[AgentLine]) -> Failure {
    let mut names: Vec<&str> = matching.iter().map(|line| &*line.name).collect();
    names.sort_unstable();
    let mut list: Vec<String> = names
        .iter()
        .take(MOST_NAMES)
        .map(|name| printable(name).into_owned())
        .collect();
    if names.len() > MOST_NAMES {
        list.push(format!("… and {} more", names.len() - MOST_NAMES));
    }
    Failure::Usage {
        sentence: format!(
            "{} agents match '{}', and only one can be explained:\n    {}",
            names.len(),
            pattern.as_str(),
            list.join("\n    ")
        ),
        hint: "write the name of one of them, in quotes.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::slot::SlotLease;
    use hostler_decide::{identity::Kind, signal::AgentSource};

    use super::*;

    fn chosen(pattern: &str, names: &[&str]) -> Result<String, String> {
        let line = |name: &&str| AgentLine {
            name: (*name).to_owned(),
            group: "agents".to_owned(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            threads: 1,
            processes: Some(1),
            slot: SlotLease::default(),
            place: format!("/{name}"),
        };
        let lines = names.iter().map(line).collect();
        let pattern = pattern.parse().expect("a pattern");
        the_one(&pattern, lines, Origin::Host)
            .map(|line| line.name)
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_pattern_must_match_exactly_one_agent() {
        let names = ["agents/coder", "agents/planner"];
        assert_eq!(chosen("*coder*", &names), Ok("agents/coder".to_owned()));
        let refusal = chosen("agents/*", &names).expect_err("two match");
        for word in ["2 agents", "'agents/*'", "agents/coder", "agents/planner"] {
            assert!(refusal.contains(word), "{refusal}");
        }
        let refusal = chosen("*mcp*", &names).expect_err("none matches");
        assert_eq!(refusal, "no agent on this host matches '*mcp*'");
    }

    #[test]
    fn a_whole_name_goes_before_the_same_word_at_the_end_of_others() {
        let names = ["pod-1/main", "main", "pod-2/main"];
        assert_eq!(chosen("main", &names), Ok("main".to_owned()));
    }

    #[test]
    fn of_many_matches_ten_are_listed_and_none_can_steer_the_terminal() {
        let names: Vec<String> = (0..25)
            .map(|number| format!("a{number:02}\u{1b}"))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let refusal = chosen("a*", &names).expect_err("many match");
        assert_eq!(refusal.lines().count(), 1 + MOST_NAMES + 1);
        assert!(refusal.ends_with("… and 15 more"), "{refusal}");
        assert!(!refusal.contains('\u{1b}'), "{refusal}");
    }
}
