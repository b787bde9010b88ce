//! `hostler topology`: the host's shape, and what runs where.

use std::time::Duration;

use hostler_daemon::Schedule;
use hostler_decide::{
    placement::Placement,
    scene::{CpuView, Scene},
    signal::Reading,
    window::{RunQueueWindow, Window},
};
use hostler_observe::Options;

use super::{Need, Source, announce};
use crate::{
    args::{GlobalArgs, TopologyArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{topology_json, topology_text},
    report::{NodeAgent, TopologyReport},
};

/// How long this host is watched, if not said.
const WATCHED: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &TopologyArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let options = Options {
        cpu_view: CpuView::All,
        placement: true,
        ..Options::default()
    };
    let mut schedule = Schedule {
        interval: None,
        duration: args.duration,
        on_alarm: false,
    };
    let need = Need::Placement;
    let source = Source::open(&args.source, &[], need, schedule, global, options)?;
    schedule.duration = source.duration(args.duration, WATCHED);
    announce("what runs where", &source, schedule, stdout);
    let look = |_: &Reading, _: &Scene| Ok(true);
    source.run(schedule, look, |window, scene| {
        let report = report(window, scene);
        output::write(&if args.json {
            topology_json(&report)
        } else {
            topology_text(&report, stdout.size().0, args.top, stdout.color)
        })
    })
}

/// Where an agent ran: where there is one node, on that, also if nobody counted it.
fn placement(row: &RunQueueWindow, scene: &Scene) -> Placement {
    let mut placement = row.placement();
    if row.placement.is_none() && !scene.facts.topology.has_several_nodes() {
        placement.on_cpu_ns[0] = row.on_cpu_ns();
    }
    placement
}

fn report(window: &Window, scene: &Scene) -> TopologyReport {
    let mut agents: Vec<NodeAgent> = window
        .agents
        .values()
        .map(|(agent, row)| NodeAgent {
            name: agent.name.to_string(),
            placement: placement(row, scene),
            memory: row.node_memory.as_ref().map(|memory| memory.bytes),
        })
        .filter(|agent| agent.placement != Placement::default() || agent.memory.is_some())
        .collect();
    agents.sort_by(|left, right| {
        let most_first = right.placement.total_ns().cmp(&left.placement.total_ns());
        most_first.then_with(|| left.name.cmp(&right.name))
    });
    let busy = window.cpus.iter();
    TopologyReport {
        host: scene.facts.host.clone(),
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        topology: scene.facts.topology.clone(),
        on_cpu_ns: (scene.facts.signals.cpus == CpuView::All)
            .then(|| busy.map(|(&cpu, row)| (cpu, row.on_cpu_ns())).collect()),
        agents,
        losses: window.losses,
    }
}
