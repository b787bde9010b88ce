//! `hostler`: a table of the agents that waited longest, again and again.

use std::io;

use hostler_daemon::Schedule;
use hostler_decide::{scene::Scene, signal::Reading, window::Window};
use hostler_observe::Options;

use super::{Need, Source, agent_rows};
use crate::{
    args::{AgentPattern, GlobalArgs, GroupBy, LiveArgs, SourceArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{LiveView, Screen, live},
    report::RunqReport,
};

/// Puts the cursor in the upper left corner and clears what is below it: the new view replaces the
/// old one in place.
const REDRAW: &str = "\x1b[H\x1b[J";

pub(crate) fn run(args: &LiveArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let this_host = SourceArgs::default();
    let options = Options::default();
    let duration = if args.once {
        Some(args.interval)
    } else {
        args.duration
    };
    let schedule = Schedule {
        interval: Some(args.interval),
        duration,
        on_alarm: true,
    };
    let patterns = &args.agents;
    let source = Source::open(
        &this_host,
        patterns,
        Need::Nothing,
        schedule,
        global,
        options,
    )?;
    let mut views = Views::new(&args.agents, stdout);
    let look = |_: &Reading, _: &Scene| Ok(true);
    source.run(schedule, look, |window, scene| views.show(window, scene))
}

/// Views, each in the place of the one before it.
pub(super) struct Views<'a> {
    patterns: &'a [AgentPattern],
    stdout: Stdout,
    is_first: bool,
}

impl<'a> Views<'a> {
    pub(super) fn new(patterns: &'a [AgentPattern], stdout: Stdout) -> Self {
        Self {
            patterns,
            stdout,
            is_first: true,
        }
    }

    pub(super) fn show(&mut self, window: &Window, scene: &Scene) -> io::Result<bool> {
        let report = RunqReport {
            from_ns: window.from_ns,
            to_ns: window.to_ns,
            group_by: GroupBy::Agent,
            rows: agent_rows(window, self.patterns),
            losses: window.losses,
        };
        let view = LiveView {
            host: &scene.facts.host,
            kernel: &scene.facts.kernel,
            agents: scene.known_agents,
            report: &report,
        };
        let (columns, rows) = self.stdout.size();
        let text = live(
            view,
            Screen {
                columns,
                rows,
                color: self.stdout.color,
            },
        );
        let is_first = std::mem::take(&mut self.is_first);
        let between = match (self.stdout.is_terminal, is_first) {
            (true, _) => REDRAW,
            (false, true) => "",
            (false, false) => "\n",
        };
        output::write(&format!("{between}{text}"))
    }
}
