//! The list of agents.

use serde::Serialize;

use crate::report::AgentLine;

use super::{
    machine::{csv, json_line},
    paint::Paint,
    table::{Column, Table},
    units::count,
};

#[derive(Serialize)]
struct ListJson<'a> {
    /// Always `agents`.
    report: &'static str,
    agents: Vec<LineJson<'a>>,
}

#[derive(Serialize)]
struct LineJson<'a> {
    name: &'a str,
    /// The agents that share a policy with it.
    group: &'a str,
    /// `agent` or `system`.
    kind: &'static str,
    /// What makes it one agent: `cgroup`, `program`, `rule`, `kernel` or `other`.
    source: &'static str,
    threads: u64,
    /// `null` in a recording.
    processes: Option<u64>,
    slot: u32,
    /// How often the slot was given; 0 for the slots that belong to no agent.
    generation: u32,
    /// The cgroup's path below the cgroup root, or what else makes it one agent.
    place: &'a str,
}

const TITLES: [&str; 9] = [
    "name",
    "group",
    "kind",
    "source",
    "threads",
    "processes",
    "slot",
    "generation",
    "place",
];

/// The list as a table `width` columns wide, its last line's end included.
pub(crate) fn agents_text(agents: &[AgentLine], width: usize, color: bool) -> String {
    if agents.is_empty() {
        return "No agent found.\n".to_owned();
    }
    let mut table = Table::new(&[
        Column::name("NAME"),
        Column::name("GROUP").expendable(3),
        Column::word("KIND"),
        Column::number("THREADS"),
        Column::number("PROCESSES").expendable(2),
        Column::number("SLOT").expendable(1),
        Column::name("WHAT IT IS"),
    ]);
    for agent in in_order(agents) {
        table.add([
            agent.name.clone(),
            agent.group.clone(),
            agent.kind.to_string(),
            count(agent.threads),
            agent.processes.map_or_else(|| "–".to_owned(), count),
            agent.slot.slot.to_string(),
            agent.place.clone(),
        ]);
    }
    table.lines(width, Paint::new(color)).join("\n") + "\n"
}

/// The list as one JSON object on one line, the line's end included.
pub(crate) fn agents_json(agents: &[AgentLine]) -> String {
    let lines = in_order(agents).into_iter().map(|agent| LineJson {
        name: &agent.name,
        group: &agent.group,
        kind: agent.kind.as_str(),
        source: agent.source.as_str(),
        threads: agent.threads,
        processes: agent.processes,
        slot: agent.slot.slot,
        generation: agent.slot.generation,
        place: &agent.place,
    });
    json_line(&ListJson {
        report: "agents",
        agents: lines.collect(),
    })
}

/// The list as CSV, after a line of titles that mean what the fields mean in JSON.
pub(crate) fn agents_csv(agents: &[AgentLine]) -> String {
    let rows = in_order(agents).into_iter().map(|agent| {
        [
            agent.name.clone(),
            agent.group.clone(),
            agent.kind.to_string(),
            agent.source.as_str().to_owned(),
            agent.threads.to_string(),
            agent
                .processes
                .map_or_else(String::new, |processes| processes.to_string()),
            agent.slot.slot.to_string(),
            agent.slot.generation.to_string(),
            agent.place.clone(),
        ]
    });
    csv(TITLES, true, rows)
}

/// Those with most threads first; equals by name.
fn in_order(agents: &[AgentLine]) -> Vec<&AgentLine> {
    let mut lines: Vec<&AgentLine> = agents.iter().collect();
    lines.sort_by(|a, b| {
        let largest_first = b.threads.cmp(&a.threads);
        largest_first.then_with(|| a.name.cmp(&b.name))
    });
    lines
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_common::slot::SlotLease;
    use hostler_decide::{identity::Kind, signal::AgentSource};

    use super::*;

    fn agents() -> Vec<AgentLine> {
        let line = |name: &str, source, threads, slot, place: &str| AgentLine {
            name: name.to_owned(),
            group: "agents".to_owned(),
            kind: Kind::Agent,
            source,
            threads,
            processes: Some(threads / 4),
            slot: SlotLease {
                slot,
                generation: 1,
            },
            place: place.to_owned(),
        };
        let pod = "/kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017";
        vec![
            line(
                "python3 (session 812)",
                AgentSource::Program,
                12,
                131,
                "/usr/bin/python3.11",
            ),
            line(pod, AgentSource::Cgroup, 1_234, 130, pod),
            line(
                "evil\u{1b}[2J\n",
                AgentSource::Program,
                12,
                132,
                "/tmp/evil\u{1b}[2J",
            ),
        ]
    }

    #[test]
    fn the_list_fits_the_terminal() {
        expect![[r#"
            NAME                          KIND   THREADS  SLOT  WHAT IT IS
            /kubepods…od-3f2a/agent-0017  agent    1,234   130  /kubepods…od-3f2a/agent-0017
            evil\u{1b}[2J\n               agent       12   132  /tmp/evil\u{1b}[2J
            python3 (session 812)         agent       12   131  /usr/bin/python3.11
        "#]]
        .assert_eq(&agents_text(&agents(), 80, false));
        expect![[r#"
            NAME                                    GROUP   KIND   THREADS  PROCESSES  SLOT  WHAT IT IS
            /kubepods.sl…slice/pod-3f2a/agent-0017  agents  agent    1,234        308   130  /kubepods.sl….slice/pod-3f2a/agent-0017
            evil\u{1b}[2J\n                         agents  agent       12          3   132  /tmp/evil\u{1b}[2J
            python3 (session 812)                   agents  agent       12          3   131  /usr/bin/python3.11
        "#]].assert_eq(&agents_text(&agents(), 120, false));
    }

    #[test]
    fn a_host_without_agents_has_a_sentence_instead_of_a_table() {
        assert_eq!(agents_text(&[], 80, false), "No agent found.\n");
    }

    #[test]
    fn machines_get_each_name_in_full() {
        expect![[r#"
            {"report":"agents","agents":[{"name":"/kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017","group":"agents","kind":"agent","source":"cgroup","threads":1234,"processes":308,"slot":130,"generation":1,"place":"/kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017"},{"name":"evil\u001b[2J\n","group":"agents","kind":"agent","source":"program","threads":12,"processes":3,"slot":132,"generation":1,"place":"/tmp/evil\u001b[2J"},{"name":"python3 (session 812)","group":"agents","kind":"agent","source":"program","threads":12,"processes":3,"slot":131,"generation":1,"place":"/usr/bin/python3.11"}]}
        "#]].assert_eq(&agents_json(&agents()));
        expect![[r#"
            name,group,kind,source,threads,processes,slot,generation,place
            /kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017,agents,agent,cgroup,1234,308,130,1,/kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017
            evil\u{1b}[2J\n,agents,agent,program,12,3,132,1,/tmp/evil\u{1b}[2J
            python3 (session 812),agents,agent,program,12,3,131,1,/usr/bin/python3.11
        "#]].assert_eq(&agents_csv(&agents()));
    }
}
