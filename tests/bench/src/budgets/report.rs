//! The figures, each beside its budget.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{
    latency::Latency,
    process::Process,
    ticks::{ProgramNs, Ticks},
};
use crate::{spread::Spread, table::table};

/// Writes a report as JSON, where that is wanted.
pub(crate) fn write_json(report: &impl Serialize, path: Option<&Path>) -> Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    let json = serde_json::to_string_pretty(report).context("writing JSON")?;
    std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) kernel: String,
    pub(super) agents: u32,
    pub(super) starts: Spread,
    pub(super) ticks: Ticks,
    pub(super) process: Process,
    pub(super) latency: Latency,
}

/// The program that is told of round trips.
const ROUND_TRIP_PROBE: &str = "tcp_round_trips";

impl Report {
    pub(super) fn text(&self) -> String {
        let Self {
            ticks,
            process,
            latency,
            ..
        } = self;
        let mut rows = vec![
            row(
                "start beside the fleet, ms",
                spread(self.starts),
                self.starts.median,
                1_000.0,
            ),
            row(
                "tick: read and window, CPU ms",
                spread(ticks.cpu_ms),
                ticks.cpu_ms.median,
                10.0,
            ),
            row(
                "hostler at a tick a second, % of a core",
                format!("{:.2}", process.cpu_percent),
                process.cpu_percent,
                2.0,
            ),
            row(
                "its anonymous memory, MiB",
                format!("{:.1}", process.anonymous_mib),
                process.anonymous_mib,
                96.0,
            ),
        ];
        let mut busy = ticks.programs_busy.iter();
        let probe = busy.find(|it| it.name == ROUND_TRIP_PROBE);
        rows.extend(probe.map(|probe| {
            let figure = format!("{:.0} ({} runs)", probe.ns_per_run, probe.runs);
            row(
                "round trip's probe, ns a run",
                figure,
                probe.ns_per_run,
                300.0,
            )
        }));
        let [from, to] = latency.interval_percent;
        rows.push(row(
            "requests take longer by, % (95 % interval)",
            format!("{:+.1} ({from:+.1} to {to:+.1})", latency.longer_percent),
            to,
            5.0,
        ));
        let mut text = format!(
            "Linux {}, {} agents ({} in the last windows)\n\n{}\n",
            self.kernel,
            self.agents,
            ticks.agents,
            table(["", "MEASURED", "BUDGET", ""], rows)
        );
        text.push_str(&self.details());
        text
    }

    fn details(&self) -> String {
        let (ticks, latency) = (&self.ticks, &self.latency);
        let mut lines = vec![
            format!("of a tick, reading: {} ms", spread(ticks.read_cpu_ms)),
            format!("a tick by the wall clock: {} ms", spread(ticks.wall_ms)),
            format!(
                "requests: {} without Hostler, median {:.0} µs; {} with it, {:.0} µs; {} pairs",
                latency.requests[0],
                latency.median_us[0],
                latency.requests[1],
                latency.median_us[1],
                latency.pairs_percent.len()
            ),
        ];
        for program in &ticks.programs {
            lines.push(format!(
                "{}: {:.0} ns a run, {} runs in 5 s{}",
                program.name,
                program.ns_per_run,
                program.runs,
                beside_ping_pong(&ticks.programs_busy, &program.name),
            ));
        }
        if ticks.losses.is_empty() {
            lines.push("nothing was lost".to_owned());
        }
        for (what, number) in &ticks.losses {
            lines.push(format!("counted as lost: {number} {what}"));
        }
        lines.join("\n") + "\n"
    }
}

/// What a program took beside the ping-pong.
fn beside_ping_pong(programs: &[ProgramNs], name: &str) -> String {
    let found = programs.iter().find(|program| program.name == name);
    found.map_or_else(String::new, |program| {
        format!(
            "; beside the ping-pong {:.0} ns, {} runs",
            program.ns_per_run, program.runs
        )
    })
}

pub(crate) fn spread(spread: Spread) -> String {
    let Spread {
        median,
        least,
        greatest,
    } = spread;
    format!("{median:.2} ({least:.2}–{greatest:.2})")
}

pub(crate) fn row(what: &str, figure: String, judged: f64, budget: f64) -> [String; 4] {
    let verdict = if judged <= budget {
        "met".to_owned()
    } else {
        format!("MISSED by {:.2}", judged - budget)
    };
    [what.to_owned(), figure, format!("≤ {budget}"), verdict]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_its_budget_is_missed_by_as_much() {
        assert_eq!(row("a", String::new(), 10.0, 10.0)[3], "met");
        assert_eq!(row("a", String::new(), 12.5, 10.0)[3], "MISSED by 2.50");
    }
}
