//! Plans: a table of steps, and below it why each of them is taken.

use std::fmt::Write as _;

use hostler_decide::plan::{Action, LeftAlone, Loss, Plan, Staying, Step};
use serde::Serialize;

use crate::report::PlanReport;

use super::{
    foreign::printable,
    losses::{LossesJson, footer},
    machine::json_line,
    paint::Paint,
    table::{Column, Table},
    units::{bytes, count, duration},
    wrap::{phrases, wrapped},
};

/// How far the reasons are set in.
const INDENT: usize = 4;

/// The narrowest that reasons become.
const NARROWEST: usize = 40;

/// The plan as text, its last line's end included.
pub(crate) fn plan_text(report: &PlanReport, width: usize, top: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let plan = &report.plan;
    let mut text = paint.strong(title(report)) + "\n";
    let mut paragraph = |sentence: &str| {
        let lines = wrapped(phrases(sentence), " ", width.max(NARROWEST));
        let _infallible = writeln!(text, "\n{}", lines.join("\n"));
    };
    if let Some(reason) = &plan.left_alone {
        paragraph(&left_alone(reason));
        text.push_str(&footer(&report.losses));
        return text;
    }
    paragraph(&losses(&plan.now, &plan.then, plan.steps.is_empty()));
    if !report.has_wakes {
        paragraph(
            "It was not recorded who wakes whom, so that agents that work together are not seen.",
        );
    }
    if !plan.steps.is_empty() {
        let _infallible = write!(text, "\n{}", steps(plan, width, top, paint));
        for (number, step) in plan.steps.iter().take(top).enumerate() {
            let _infallible = write!(text, "\n{}", reasons(number + 1, step, width));
        }
    }
    let sentence = staying(&plan.staying);
    let lines = wrapped(phrases(&sentence), " ", width.max(NARROWEST));
    let _infallible = writeln!(text, "\n{}", paint.faint(lines.join("\n")));
    text.push_str(&footer(&report.losses));
    text
}

fn title(report: &PlanReport) -> String {
    let plan = &report.plan;
    let many = match plan.steps.len() {
        0 => "nothing to change".to_owned(),
        1 => "1 step".to_owned(),
        many => format!("{} steps", count(many as u64)),
    };
    let host = printable(&report.host);
    if plan.left_alone.is_some() {
        return format!("{host}: {many}");
    }
    format!(
        "{host}: {many}, by what happened in {}",
        duration(plan.seen_ns)
    )
}

fn left_alone(reason: &LeftAlone) -> String {
    match reason {
        LeftAlone::OneNode => {
            "This host has one NUMA node: threads and their memory have one place, so there is nothing to \
             move."
                .to_owned()
        }
        LeftAlone::TooManyNodes { highest } => format!(
            "This host has a node with number {highest}, and Hostler tells nodes 0 to 15 apart: it moves \
             nothing here."
        ),
        LeftAlone::OtherScheduler { name } => format!(
            "The scheduler '{}' was loaded into the kernel (sched_ext) and decides where threads run: \
             Hostler leaves them to it.",
            printable(name)
        ),
        LeftAlone::NothingSeen => {
            "Nothing was seen, so there is nothing to plan by. Watch longer, or begin sooner in the \
             recording."
                .to_owned()
        }
    }
}

fn losses(now: &Loss, then: &Loss, stays: bool) -> String {
    let parts = [
        (now.remote_ns, "to memory of other nodes"),
        (now.wakes_ns, "to wake-ups across nodes"),
        (now.overload_ns, "for want of CPUs on a node"),
        (now.imbalance_ns, "to uneven load"),
    ];
    let parts = parts.into_iter().filter(|(ns, _)| *ns > 0);
    let parts: Vec<String> = parts
        .map(|(ns, what)| format!("{} {what}", duration(ns)))
        .collect();
    let of = if parts.is_empty() {
        String::new()
    } else {
        format!(" ({})", parts.join(", "))
    };
    let all = duration(now.total_ns());
    if stays {
        return format!(
            "Of each second, {all} of CPU time are estimated to be lost{of}. No move is worth its price."
        );
    }
    format!(
        "Of each second, {all} of CPU time are estimated to be lost{of}; after these steps {}, of which \
         {} are their own price, spread over a minute.",
        duration(then.total_ns()),
        duration(then.moves_ns)
    )
}

fn steps(plan: &Plan, width: usize, top: usize, paint: Paint) -> String {
    let mut table = Table::new(&[
        Column::number("#"),
        Column::name("AGENT"),
        Column::word("FROM").expendable(2),
        Column::word("TO"),
        Column::number("MEMORY").expendable(1),
        Column::number("GAIN/s"),
        Column::number("COST").expendable(3),
    ]);
    for (number, step) in plan.steps.iter().take(top).enumerate() {
        let Action::Place { memory_bytes, .. } = step.action;
        table.add([
            (number + 1).to_string(),
            step.agent.name.to_string(),
            format!("node {} ({} %)", step.why.main_node, step.why.main_percent),
            target(&step.action),
            bytes(memory_bytes),
            duration(step.gain_ns),
            duration(step.price_ns),
        ]);
    }
    let left_out = plan.steps.len().saturating_sub(top);
    table.text(width, paint, left_out, "steps")
}

/// Where an agent goes.
fn target(action: &Action) -> String {
    let Action::Place { nodes, l3, .. } = action;
    let list: Vec<String> = nodes.iter().map(u32::to_string).collect();
    let word = if nodes.len() == 1 { "node" } else { "nodes" };
    let cache = l3.map_or_else(String::new, |l3| format!(", L3 {l3}"));
    format!("{word} {}{cache}", list.join(", "))
}

/// Why a step is taken, and how one sees whether it helped.
fn reasons(number: usize, step: &Step, width: usize) -> String {
    let against = match &step.check.peer {
        Some(peer) => format!("against {}", printable(&peer.name)),
        None => "against itself before, since no agent that stays is like it".to_owned(),
    };
    let sentence = format!(
        "{}: {}. Verified over {} windows {against}; taken back if it does more than {} % worse.",
        printable(&step.agent.name),
        printable(&step.why.to_string()),
        step.check.windows,
        step.check.tolerance_percent
    );
    let columns = width.max(NARROWEST) - INDENT;
    let mut text = String::new();
    for (line, words) in wrapped(phrases(&sentence), " ", columns).iter().enumerate() {
        let head = if line == 0 {
            format!("{number:>2}. ")
        } else {
            " ".repeat(INDENT)
        };
        let _infallible = writeln!(text, "{head}{words}");
    }
    text
}

fn staying(staying: &Staying) -> String {
    let parts = [
        (staying.well_placed, "well placed"),
        (staying.idle, "idle"),
        (
            staying.waits_elsewhere,
            "that wait for storage or the network",
        ),
        (staying.system, "parts of the host"),
        (staying.opted_out, "left alone as wanted"),
        (staying.kubelet, "left to kubelet's CPU manager"),
        (staying.resting, "moved a short while ago or set by others"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(many, _)| *many > 0)
        .map(|(many, what)| format!("{} {what}", count(many)))
        .collect();
    let stay = if parts.is_empty() {
        String::new()
    } else {
        format!("Where they are stay {}. ", parts.join(", "))
    };
    format!("{stay}Nothing was changed: this is what would be done.")
}

/// The plan as one JSON object on one line, the line's end included.
pub(crate) fn plan_json(report: &PlanReport) -> String {
    #[derive(Serialize)]
    struct PlanJson<'a> {
        /// Always `plan`.
        report: &'static str,
        host: &'a str,
        /// Whether it was counted who wakes whom.
        has_wakes: bool,
        #[serde(flatten)]
        plan: &'a Plan,
        losses: LossesJson,
    }
    json_line(&PlanJson {
        report: "plan",
        host: &report.host,
        has_wakes: report.has_wakes,
        plan: &report.plan,
        losses: report.losses.into(),
    })
}

#[cfg(test)]
mod tests {
    use hostler_decide::signal::LossSignal;

    use super::*;

    fn text(plan: Plan) -> String {
        let report = PlanReport {
            host: "bern".to_owned(),
            plan,
            has_wakes: true,
            losses: LossSignal::default(),
        };
        plan_text(&report, 200, 5, false)
    }

    #[test]
    fn a_host_with_one_node_is_told_why_there_is_nothing_to_plan() {
        let text = text(Plan {
            left_alone: Some(LeftAlone::OneNode),
            ..Plan::default()
        });
        let sentence = "This host has one NUMA node";
        assert!(
            text.starts_with(&format!("bern: nothing to change\n\n{sentence}")),
            "{text}"
        );
    }

    #[test]
    fn where_no_move_is_worth_its_price_it_is_said_what_is_lost_and_who_stays() {
        let text = text(Plan {
            seen_ns: 10_000_000_000,
            staying: Staying {
                well_placed: 7,
                idle: 2,
                ..Staying::default()
            },
            now: Loss {
                wakes_ns: 1_500_000,
                ..Loss::default()
            },
            ..Plan::default()
        });
        for part in [
            "bern: nothing to change, by what happened in 10.0 s",
            "1.50 ms to wake-ups across nodes",
            "No move is worth its price.",
            "7 well placed, 2 idle",
            "Nothing was changed",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
