//! `hostler trace rtt`: whom each agent's TCP sockets talk to, and how long a round trip takes.

use hostler_decide::{scene::Scene, window::Window};
use hostler_observe::Options;

use super::{Need, Trace};
use crate::{
    args::{Format, GlobalArgs, RttArgs, selects},
    failure::Failure,
    output::Stdout,
    render::{Layout, rtt_csv, rtt_json, rtt_text},
    report::{RttReport, RttRow},
};

pub(crate) fn run(args: &RttArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let options = Options {
        sockets: true,
        peers: args.peers.named.clone(),
        ..Options::default()
    };
    let render = |window: &Window, scene: &Scene, is_first| {
        let report = report(args, window, scene);
        let layout = Layout {
            width: stdout.size().0,
            color: stdout.color,
            top: args.top,
            histograms: args.histograms.unwrap_or(3),
        };
        match args.trace.format.chosen() {
            Format::Json => rtt_json(&report),
            Format::Csv => rtt_csv(&report, is_first),
            Format::Text => rtt_text(&report, layout),
        }
    };
    Trace {
        args: &args.trace,
        global,
        stdout,
        what: "TCP sockets",
        need: Need::Sockets,
        options,
    }
    .run(render)
}

fn report(args: &RttArgs, window: &Window, scene: &Scene) -> RttReport {
    let name_of = |slot| scene.name_of_slot(slot);
    let mut rows: Vec<RttRow> = window
        .peers
        .iter()
        .map(|(key, peers)| RttRow {
            agent: window.name_of(key.agent, &name_of),
            peer: scene.peer_name(key.peer).to_owned(),
            window: peers.clone(),
        })
        .filter(|row| selects(&args.trace.agents, &row.agent))
        .collect();
    rows.sort_by(|left, right| {
        let longest = |row: &RttRow| (row.window.counts.rtt_us, row.window.counts.received_bytes);
        longest(right)
            .cmp(&longest(left))
            .then_with(|| (&left.agent, &left.peer).cmp(&(&right.agent, &right.peer)))
    });
    RttReport {
        from_ns: window.from_ns,
        to_ns: window.to_ns,
        rows,
        losses: window.losses,
    }
}
