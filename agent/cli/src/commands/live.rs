//! `hostler`: a table of the agents that waited longest, again and again.

use hostler_daemon::Schedule;
use hostler_observe::{Observer, Options, host_name, kernel_release};

use super::{agent_rows, observe, watch};
use crate::{
    args::{GlobalArgs, GroupBy, LiveArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{LiveView, Screen, live},
    report::RunqReport,
};

/// Puts the cursor in the upper left corner and clears what is below it: the new view replaces the
/// old one in place.
const REDRAW: &str = "\x1b[H\x1b[J";

pub(crate) fn run(args: &LiveArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let mut observer = observe(&args.agents, global, Options::default())?;
    let (host, kernel) = (host_name(), kernel_release());
    let duration = if args.once {
        Some(args.interval)
    } else {
        args.duration
    };
    let schedule = Schedule {
        interval: Some(args.interval),
        duration,
    };
    let mut is_first = true;
    watch(&mut observer, schedule, |window, observer: &Observer| {
        let report = RunqReport {
            from_ns: window.from_ns,
            to_ns: window.to_ns,
            group_by: GroupBy::Agent,
            rows: agent_rows(window, &args.agents),
            losses: window.losses,
        };
        let view = LiveView {
            host: &host,
            kernel: &kernel,
            agents: observer.known_agents(),
            report: &report,
        };
        let (columns, rows) = stdout.size();
        let text = live(
            view,
            Screen {
                columns,
                rows,
                color: stdout.color,
            },
        );
        let between = match (stdout.is_terminal, std::mem::take(&mut is_first)) {
            (true, _) => REDRAW,
            (false, true) => "",
            (false, false) => "\n",
        };
        output::write(&format!("{between}{text}"))
    })
}
