//! `hostler trace all`: the signals of every kind side by side, one line for each agent.

use std::collections::BTreeMap;

use hostler_common::slot::SlotLease;
use hostler_decide::{scene::Scene, window::Window};
use hostler_observe::Options;

use super::{Need, Trace};
use crate::{
    args::{AllArgs, Format, GlobalArgs, selects},
    failure::Failure,
    output::Stdout,
    render::{all_csv, all_json, all_text},
    report::{AllReport, AllRow, RttRow},
};

pub(crate) fn run(args: &AllArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let patterns = args.trace.agents.clone();
    let options = Options {
        sockets: true,
        pressure: true,
        peers: args.peers.named.clone(),
        select: Box::new(move |name| selects(&patterns, name)),
        ..Options::default()
    };
    let render = |window: &Window, scene: &Scene, is_first| {
        let report = report(args, window, scene);
        match args.trace.format.chosen() {
            Format::Json => all_json(&report),
            Format::Csv => all_csv(&report, is_first),
            Format::Text => all_text(&report, stdout.size().0, args.top, stdout.color),
        }
    };
    // A kernel that refuses one signal still has the others; `doctor` says which and why.
    Trace {
        args: &args.trace,
        global,
        stdout,
        what: "all signals",
        need: Need::Nothing,
        options,
    }
    .run(render)
}

fn report(args: &AllArgs, window: &Window, scene: &Scene) -> AllReport {
    let mut peers: BTreeMap<SlotLease, Vec<RttRow>> = BTreeMap::new();
    for (key, peer) in &window.peers {
        peers.entry(key.agent).or_default().push(RttRow {
            agent: String::new(),
            peer: scene.peer_name(key.peer).to_owned(),
            window: peer.clone(),
        });
    }
    let mut rows: Vec<AllRow> = window
        .agents
        .iter()
        .filter(|(_, (agent, _))| selects(&args.trace.agents, &agent.name))
        .map(|(id, (agent, window))| AllRow {
            agent: (**agent).clone(),
            window: window.clone(),
            peers: peers.remove(id).unwrap_or_default(),
        })
        .filter(|row| !row.window.is_idle() || !row.peers.is_empty())
        .collect();
    rows.sort_by(|left, right| {
        let awake_ns = |row: &AllRow| row.window.wait_ns() + row.window.on_cpu_ns();
        let most_first = awake_ns(right).cmp(&awake_ns(left));
        most_first.then_with(|| left.agent.name.cmp(&right.agent.name))
    });
    AllReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        rows,
        losses: window.losses,
    }
}
