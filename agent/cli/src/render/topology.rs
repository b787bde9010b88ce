//! The host's shape, drawn, with what runs where.

use std::{collections::BTreeMap, fmt::Write as _};

use hostler_decide::topology::{CpuPlace, Node, Topology};
use serde::Serialize;

use crate::report::{NodeAgent, TopologyReport};

use super::{
    foreign::{cut, printable},
    losses::{LossesJson, footer},
    machine::json_line,
    paint::Paint,
    units::{bytes, count, duration, percent_of_time, share},
};

/// How busy a CPU was, from not at all to all of the time.
const STEPS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The report as text, its last line's end included.
pub(crate) fn topology_text(
    report: &TopologyReport,
    width: usize,
    top: usize,
    color: bool,
) -> String {
    let paint = Paint::new(color);
    let topology = &report.topology;
    let mut text = paint.strong(title(report)) + "\n";
    for (&number, node) in &topology.nodes {
        let cpus: Vec<(u32, CpuPlace)> = topology.cpus_of_node(number).collect();
        let _infallible = writeln!(text, "\n{}", node_title(report, number, node, &cpus));
        for (what, cpus) in by_cache(topology, &cpus) {
            let line = format!("  {what:<width$}  {}", cpu_line(report, &cpus), width = 12);
            let _infallible = writeln!(text, "{}", cut(&line, width));
        }
        for line in agent_lines(report, number, top) {
            let _infallible = writeln!(text, "  {}", cut(&line, width.saturating_sub(2)));
        }
    }
    if report.on_cpu_ns.is_some() {
        let legend = format!(
            "\n{} 0 %  {} 50 %  {} 100 % busy\n",
            STEPS[0], STEPS[4], STEPS[8]
        );
        text.push_str(&paint.faint(legend));
    }
    text.push_str(&footer(&report.losses));
    text
}

fn title(report: &TopologyReport) -> String {
    let topology = &report.topology;
    let different = |number: fn(&CpuPlace) -> u32| {
        let numbers: std::collections::BTreeSet<u32> = topology.cpus.values().map(number).collect();
        numbers.len()
    };
    let parts = [
        (different(|place| place.package), "package", "packages"),
        (different(|place| place.core), "core", "cores"),
        (topology.cpus.len(), "CPU", "CPUs"),
        (topology.nodes.len(), "node", "nodes"),
    ];
    let parts = parts.map(|(number, one, many)| {
        let word = if number == 1 { one } else { many };
        format!("{} {word}", count(number as u64))
    });
    format!(
        "{}: {}; in {}",
        printable(&report.host),
        parts.join(", "),
        duration(report.to_ns.saturating_sub(report.from_ns))
    )
}

fn node_title(
    report: &TopologyReport,
    number: u32,
    node: &Node,
    cpus: &[(u32, CpuPlace)],
) -> String {
    let mut parts = vec![format!("node {number}")];
    if node.memory_bytes > 0 {
        parts.push(format!("{} of memory", bytes(node.memory_bytes)));
    }
    let length_ns = report.to_ns.saturating_sub(report.from_ns);
    if let (Some(on_cpu_ns), false) = (&report.on_cpu_ns, cpus.is_empty()) {
        let spent = cpus.iter().filter_map(|(cpu, _)| on_cpu_ns.get(cpu));
        let spent_ns = spent.fold(0_u64, |sum, ns| sum.saturating_add(*ns));
        let all_ns = length_ns * cpus.len() as u64;
        parts.push(format!("{} busy", share(spent_ns, all_ns)));
    }
    let others = node.distances.iter().filter(|(other, _)| **other != number);
    let others: Vec<String> = others
        .map(|(other, distance)| format!("{distance} to node {other}"))
        .collect();
    if !others.is_empty() {
        parts.push(format!("distance {}", others.join(", ")));
    }
    parts.join("  ")
}

/// The CPUs by the cache that they share.
fn by_cache(topology: &Topology, cpus: &[(u32, CpuPlace)]) -> Vec<(String, Vec<u32>)> {
    let mut caches = BTreeMap::<Option<u32>, Vec<u32>>::new();
    for (cpu, place) in cpus {
        caches.entry(place.l3).or_default().push(*cpu);
    }
    let name = |l3: Option<u32>| match l3.and_then(|l3| topology.l3_bytes.get(l3 as usize)) {
        Some(&size) if size > 0 => format!("L3 {}", bytes(size)),
        Some(_) => "L3".to_owned(),
        None => "no L3".to_owned(),
    };
    caches
        .into_iter()
        .map(|(l3, cpus)| (name(l3), cpus))
        .collect()
}

fn cpu_line(report: &TopologyReport, cpus: &[u32]) -> String {
    let word = if cpus.len() == 1 { "CPU" } else { "CPUs" };
    let mut line = format!("{word} {}", ranges(cpus));
    if let Some(on_cpu_ns) = &report.on_cpu_ns {
        let length_ns = report.to_ns.saturating_sub(report.from_ns).max(1);
        let drawn = cpus.iter().map(|cpu| {
            let ns = on_cpu_ns.get(cpu).copied().unwrap_or(0).min(length_ns);
            let last = STEPS.len() as u128 - 1;
            // Who ran at all is told from who did not.
            let step = (u128::from(ns) * last).div_ceil(u128::from(length_ns));
            STEPS[usize::try_from(step).unwrap_or(0).min(STEPS.len() - 1)]
        });
        line.push_str("  ");
        line.extend(drawn);
    }
    line
}

/// `0-3,8,10-11`, as the kernel writes lists of CPUs.
fn ranges(cpus: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == cpu => *last = cpu,
            _ => ranges.push((cpu, cpu)),
        }
    }
    let range = |(first, last): &(u32, u32)| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(",")
}

/// The agents that ran most on a node.
fn agent_lines(report: &TopologyReport, node: u32, top: usize) -> Vec<String> {
    let mut there: Vec<(&NodeAgent, u64)> = report
        .agents
        .iter()
        .map(|agent| (agent, on_node_ns(agent, node)))
        .filter(|(_, ns)| *ns > 0)
        .collect();
    there.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    let left_out = there.len().saturating_sub(top);
    let length_ns = report.to_ns.saturating_sub(report.from_ns);
    let mut lines: Vec<String> = there
        .into_iter()
        .take(top)
        .map(|(agent, ns)| {
            let busy = percent_of_time(ns, length_ns);
            let line = format!("{busy:>6} %  {}", printable(&agent.name));
            if report.topology.has_several_nodes() {
                format!("{line}  ({})", whereabouts(agent, node, ns))
            } else {
                line
            }
        })
        .collect();
    if left_out > 0 {
        lines.push(format!("… and {} more agents", count(left_out as u64)));
    }
    lines
}

/// What part of its time an agent spent on a node, what part of its memory lies there, and how often it
/// moved.
fn whereabouts(agent: &NodeAgent, node: u32, ns: u64) -> String {
    let mut parts = vec![format!(
        "{} of its time",
        share(ns, agent.placement.total_ns())
    )];
    if let Some(memory) = &agent.memory {
        let here = memory.anon.get(node as usize).copied().unwrap_or(0);
        let all = memory.anon_total();
        parts.push(format!("{} of its {}", share(here, all), bytes(all)));
    }
    if agent.placement.node_migrations > 0 {
        let moves = count(agent.placement.node_migrations);
        parts.push(format!("moved between nodes {moves}×"));
    }
    parts.join(", ")
}

fn on_node_ns(agent: &NodeAgent, node: u32) -> u64 {
    let on_cpu_ns = agent.placement.on_cpu_ns;
    on_cpu_ns.get(node as usize).copied().unwrap_or(0)
}

#[derive(Serialize)]
struct ReportJson<'a> {
    /// Always `topology`.
    report: &'static str,
    host: &'a str,
    from_ns: u64,
    to_ns: u64,
    nodes: Vec<NodeJson>,
    cpus: Vec<CpuJson>,
    /// Who ran most comes first.
    agents: Vec<AgentJson<'a>>,
    losses: LossesJson,
}

#[derive(Serialize)]
struct NodeJson {
    node: u32,
    memory_bytes: u64,
    /// By the other node's number; empty if the firmware does not tell.
    distances: BTreeMap<u32, u64>,
}

#[derive(Serialize)]
struct CpuJson {
    cpu: u32,
    package: u32,
    core: u32,
    node: u32,
    /// The last-level cache, numbered from 0.
    l3: Option<u32>,
    l3_bytes: Option<u64>,
    /// `null` where it is not known.
    on_cpu_ns: Option<u64>,
}

#[derive(Serialize)]
struct AgentJson<'a> {
    name: &'a str,
    /// By node; stretches on its CPUs that ended.
    on_node_ns: BTreeMap<u32, u64>,
    /// How often a thread was put on another CPU.
    migrations: u64,
    /// Of these, to another node.
    node_migrations: u64,
    /// Its anonymous memory by node; `null` if it was not looked at.
    anon_bytes: Option<BTreeMap<u32, u64>>,
    /// What it maps of files, likewise.
    file_bytes: Option<BTreeMap<u32, u64>>,
}

fn by_node(topology: &Topology, bytes: &[u64]) -> BTreeMap<u32, u64> {
    let of_node = |node: &u32| (*node, bytes.get(*node as usize).copied().unwrap_or(0));
    topology.nodes.keys().map(of_node).collect()
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn topology_json(report: &TopologyReport) -> String {
    let topology = &report.topology;
    let nodes = topology.nodes.iter().map(|(&node, described)| NodeJson {
        node,
        memory_bytes: described.memory_bytes,
        distances: described.distances.clone(),
    });
    let cpus = topology.cpus.iter().map(|(&cpu, place)| CpuJson {
        cpu,
        package: place.package,
        core: place.core,
        node: place.node,
        l3: place.l3,
        l3_bytes: place
            .l3
            .and_then(|l3| topology.l3_bytes.get(l3 as usize).copied()),
        on_cpu_ns: report
            .on_cpu_ns
            .as_ref()
            .map(|on_cpu_ns| on_cpu_ns.get(&cpu).copied().unwrap_or(0)),
    });
    let agents = report.agents.iter().map(|agent| AgentJson {
        name: &agent.name,
        on_node_ns: topology
            .nodes
            .keys()
            .map(|&node| (node, on_node_ns(agent, node)))
            .collect(),
        migrations: agent.placement.migrations,
        node_migrations: agent.placement.node_migrations,
        anon_bytes: agent.memory.map(|memory| by_node(topology, &memory.anon)),
        file_bytes: agent.memory.map(|memory| by_node(topology, &memory.file)),
    });
    json_line(&ReportJson {
        report: "topology",
        host: &report.host,
        from_ns: report.from_ns,
        to_ns: report.to_ns,
        nodes: nodes.collect(),
        cpus: cpus.collect(),
        agents: agents.collect(),
        losses: report.losses.into(),
    })
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_decide::{node_memory::NodeBytes, placement::Placement, signal::LossSignal};

    use super::*;

    fn machine(nodes: u32) -> Topology {
        let place = |cpu: u32| CpuPlace {
            package: cpu / 4,
            l3: (cpu != 7).then_some(cpu / 4),
            core: cpu / 2,
            node: cpu / 4 % nodes,
        };
        let node = |number: u32| Node {
            memory_bytes: 16 << 30,
            distances: (0..nodes)
                .map(|to| (to, if to == number { 10 } else { 21 }))
                .collect(),
        };
        Topology {
            cpus: (0..8).map(|cpu| (cpu, place(cpu))).collect(),
            nodes: (0..nodes).map(|number| (number, node(number))).collect(),
            l3_bytes: vec![32 << 20, 0],
        }
    }

    fn report(nodes: u32) -> TopologyReport {
        let agent = |name: &str, first_ns, second_ns, node_migrations| {
            let mut placement = Placement {
                migrations: node_migrations,
                node_migrations,
                ..Placement::default()
            };
            placement.on_cpu_ns[0] = first_ns;
            placement.on_cpu_ns[1] = second_ns;
            let mut memory = NodeBytes::default();
            memory.anon[1] = 3 << 20;
            memory.anon[0] = 1 << 20;
            NodeAgent {
                name: name.to_owned(),
                placement,
                memory: (node_migrations > 0).then_some(memory),
            }
        };
        TopologyReport {
            host: "bern".to_owned(),
            from_ns: 0,
            to_ns: 1_000_000_000,
            topology: machine(nodes),
            on_cpu_ns: Some([(0, 1_000_000_000), (1, 500_000_000), (4, 1)].into()),
            agents: vec![
                agent("agents/a1", 900_000_000, 100_000_000, 12),
                agent("agents/a\u{1b}2", 0, 90_000_000, 0),
                agent("agents/a3", 5_000_000, 0, 0),
            ],
            losses: LossSignal::default(),
        }
    }

    #[test]
    fn each_node_is_drawn_with_its_caches_cpus_and_agents() {
        expect![[r#"
            bern: 2 packages, 4 cores, 8 CPUs, 2 nodes; in 1.00 s

            node 0  16.0 GiB of memory  38 % busy  distance 21 to node 1
              L3 32.0 MiB   CPUs 0-3  █▄··
                90.0 %  agents/a1  (90 % of its time, 25 % of its 4.0 MiB, moved between no…
              … and 1 more agents

            node 1  16.0 GiB of memory  <1 % busy  distance 21 to node 0
              no L3         CPU 7  ·
              L3            CPUs 4-6  ▁··
                10.0 %  agents/a1  (10 % of its time, 75 % of its 4.0 MiB, moved between no…
              … and 1 more agents

            · 0 %  ▄ 50 %  █ 100 % busy
        "#]]
        .assert_eq(&topology_text(&report(2), 80, 1, false));
    }

    #[test]
    fn one_node_needs_no_shares() {
        expect![[r#"
            bern: 2 packages, 4 cores, 8 CPUs, 1 node; in 1.00 s

            node 0  16.0 GiB of memory  19 % busy
              no L3         CPU 7  ·
              L3 32.0 MiB   CPUs 0-3  █▄··
              L3            CPUs 4-6  ▁··
                90.0 %  agents/a1
                 0.5 %  agents/a3

            · 0 %  ▄ 50 %  █ 100 % busy
        "#]]
        .assert_eq(&topology_text(&report(1), 80, 5, false));
    }

    #[test]
    fn a_program_gets_each_cpu_and_each_agent_s_time_by_node() {
        expect![[r#"
            {"report":"topology","host":"bern","from_ns":0,"to_ns":1000000000,"nodes":[{"node":0,"memory_bytes":17179869184,"distances":{"0":10,"1":21}},{"node":1,"memory_bytes":17179869184,"distances":{"0":21,"1":10}}],"cpus":[{"cpu":0,"package":0,"core":0,"node":0,"l3":0,"l3_bytes":33554432,"on_cpu_ns":1000000000},{"cpu":1,"package":0,"core":0,"node":0,"l3":0,"l3_bytes":33554432,"on_cpu_ns":500000000},{"cpu":2,"package":0,"core":1,"node":0,"l3":0,"l3_bytes":33554432,"on_cpu_ns":0},{"cpu":3,"package":0,"core":1,"node":0,"l3":0,"l3_bytes":33554432,"on_cpu_ns":0},{"cpu":4,"package":1,"core":2,"node":1,"l3":1,"l3_bytes":0,"on_cpu_ns":1},{"cpu":5,"package":1,"core":2,"node":1,"l3":1,"l3_bytes":0,"on_cpu_ns":0},{"cpu":6,"package":1,"core":3,"node":1,"l3":1,"l3_bytes":0,"on_cpu_ns":0},{"cpu":7,"package":1,"core":3,"node":1,"l3":null,"l3_bytes":null,"on_cpu_ns":0}],"agents":[{"name":"agents/a1","on_node_ns":{"0":900000000,"1":100000000},"migrations":12,"node_migrations":12,"anon_bytes":{"0":1048576,"1":3145728},"file_bytes":{"0":0,"1":0}},{"name":"agents/a\u001b2","on_node_ns":{"0":0,"1":90000000},"migrations":0,"node_migrations":0,"anon_bytes":null,"file_bytes":null},{"name":"agents/a3","on_node_ns":{"0":5000000,"1":0},"migrations":0,"node_migrations":0,"anon_bytes":null,"file_bytes":null}],"losses":{"threads_without_record":0,"records_not_made":0,"negative_durations":0,"agents_without_slot":0,"events_not_sent":0,"provisional_ns":0,"pairs_not_counted":0,"waits_held_back":0,"waits_not_sent":0,"pairs_folded":0,"peers_not_counted":0,"sockets_without_record":0,"wakes_not_counted":0}}
        "#]].assert_eq(&topology_json(&report(2)));
    }
}
