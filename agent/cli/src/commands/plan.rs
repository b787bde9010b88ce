//! `hostler plan`: what had better be changed on a host, and why.

use std::time::Duration;

use hostler_daemon::Schedule;
use hostler_decide::{
    plan::{Lately, Owners, Policy, plan},
    scene::Scene,
    signal::{LossSignal, Reading},
    window::Window,
};
use hostler_observe::{Options, owners};

use super::{Need, Source, announce};
use crate::{
    args::{GlobalArgs, PlanArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{plan_json, plan_text},
    report::PlanReport,
};

/// How long this host is watched, if not said.
const WATCHED: Duration = Duration::from_secs(10);

/// How often what happened is taken in: what varies within is not told apart.
const WINDOW: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &PlanArgs, global: &GlobalArgs, stdout: Stdout) -> Result<(), Failure> {
    let options = Options {
        placement: true,
        wakes: true,
        ..Options::default()
    };
    let mut schedule = Schedule {
        interval: Some(WINDOW),
        duration: args.duration,
        on_alarm: false,
    };
    let need = Need::Placement;
    let source = Source::open(&args.source, &args.leave, need, schedule, global, options)?;
    schedule.duration = source.duration(args.duration, WATCHED);
    let at_the_end = Schedule {
        interval: None,
        ..schedule
    };
    let facts = source.facts();
    let (mut lately, mut losses) = (Lately::default(), LossSignal::default());
    let look = |_: &Reading, _: &Scene| Ok(true);
    // Nobody has to wait to hear that there is nothing to plan.
    if facts.topology.has_several_nodes() || args.source.record.is_some() {
        announce("who runs where", &source, at_the_end, stdout);
        source.run(schedule, look, |window: &Window, _| {
            lately.follow(window);
            losses.add(&window.losses);
            Ok(true)
        })?;
    }
    let policy = Policy {
        opted_out: args.leave.clone(),
        // A recording does not tell of them.
        owners: if args.source.from.is_some() {
            Owners::default()
        } else {
            owners()
        },
        ..Policy::default()
    };
    let report = PlanReport {
        plan: plan(&lately, &facts.topology, &policy),
        has_wakes: facts.signals.wakes,
        host: facts.host,
        losses,
    };
    let text = if args.json {
        plan_json(&report)
    } else {
        plan_text(&report, stdout.size().0, args.top, stdout.color)
    };
    output::write_only(&text)
}
