//! The arithmetic: what follows from the windows and the round trips.

use serde::Serialize;

use super::{
    programs::ProgramRuns,
    record::{CostWindow, SlowDownPair},
    tool::Tool,
};
use crate::{load::Load, spread::Spread};

/// What the tools cost with one load.
#[derive(Debug, Serialize)]
pub(crate) struct LoadSummary {
    pub(crate) load: Load,
    pub(crate) empty_ns_per_run: Spread,
    pub(crate) tools: Vec<ToolCost>,
}

/// What one tool costs with one load; figures without a spread are medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct ToolCost {
    pub(crate) tool: Tool,
    pub(crate) switches_per_s: f64,
    pub(crate) runs_per_s: f64,
    /// As the kernel has it, with its own clock reads; `None` if there is no such program.
    pub(crate) ns_per_wakeup: Option<f64>,
    /// Likewise.
    pub(crate) ns_per_switch_run: Option<f64>,
    /// All programs together, the empty one subtracted, by the machine's switches.
    pub(crate) net_ns_per_switch: Spread,
    /// That by the reference's of the same round.
    pub(crate) ratio: Option<Spread>,
}

/// What a tool adds to a round trip of the ping-pong, round by round.
#[derive(Debug, Serialize)]
pub(crate) struct SlowDown {
    /// `None`: the round trip itself, beside no tool.
    pub(crate) tool: Option<Tool>,
    pub(crate) cpu_ns: Spread,
    pub(crate) wall_ns: Spread,
}

impl CostWindow {
    /// The time in all programs, less as many runs of the empty one, by the switches.
    pub(crate) fn net_ns_per_switch(&self) -> f64 {
        let empty_ns = self.empty.ns_per_run().unwrap_or(0.0);
        let net_ns: f64 = self
            .programs
            .iter()
            .map(|program| program.run_time_ns as f64 - program.runs as f64 * empty_ns)
            .sum();
        net_ns / self.switches as f64
    }

    fn runs_per_s(&self) -> f64 {
        let runs: u64 = self.programs.iter().map(|program| program.runs).sum();
        runs as f64 / self.seconds
    }

    /// Over the programs whose name has the word in it, as all of them name their hook.
    fn ns_per_run(&self, word: &str) -> Option<f64> {
        let mut of_hook = self.programs.iter().filter(|it| it.name.contains(word));
        let first = of_hook.next()?.clone();
        of_hook
            .fold(first, |sum, program| ProgramRuns {
                runs: sum.runs + program.runs,
                run_time_ns: sum.run_time_ns + program.run_time_ns,
                ..sum
            })
            .ns_per_run()
    }
}

/// `None` if nothing was measured with this load.
pub(crate) fn load_summary(load: Load, windows: &[CostWindow]) -> Option<LoadSummary> {
    let windows: Vec<&CostWindow> = windows.iter().filter(|it| it.load == load).collect();
    let empty_ns = windows
        .iter()
        .filter_map(|window| window.empty.ns_per_run());
    Some(LoadSummary {
        load,
        empty_ns_per_run: Spread::of(empty_ns)?,
        tools: Tool::ALL
            .into_iter()
            .filter_map(|tool| tool_cost(tool, &windows))
            .collect(),
    })
}

fn tool_cost(tool: Tool, windows: &[&CostWindow]) -> Option<ToolCost> {
    let of = |tool| windows.iter().filter(move |window| window.tool == tool);
    let median = |figure: &dyn Fn(&CostWindow) -> Option<f64>| {
        Spread::of(of(tool).filter_map(|window| figure(window))).map(|spread| spread.median)
    };
    let ratios = of(tool).filter_map(|window| {
        let reference = of(Tool::REFERENCE).find(|it| it.round == window.round)?;
        Some(window.net_ns_per_switch() / reference.net_ns_per_switch())
    });
    Some(ToolCost {
        tool,
        switches_per_s: median(&|window| Some(window.switches as f64 / window.seconds))?,
        runs_per_s: median(&|window| Some(window.runs_per_s()))?,
        ns_per_wakeup: median(&|window| window.ns_per_run("wakeup")),
        ns_per_switch_run: median(&|window| window.ns_per_run("switch")),
        net_ns_per_switch: Spread::of(of(tool).map(|window| window.net_ns_per_switch()))?,
        ratio: Spread::of(ratios),
    })
}

/// The round trip beside no tool, and what each tool adds to it.
pub(crate) fn slow_downs(pairs: &[SlowDownPair]) -> Vec<SlowDown> {
    let spreads = |tool: Option<Tool>, of: fn(&SlowDownPair) -> (f64, f64)| {
        let pairs = pairs
            .iter()
            .filter(|pair| tool.is_none_or(|it| it == pair.tool));
        let (cpu_ns, wall_ns): (Vec<f64>, Vec<f64>) = pairs.map(of).unzip();
        Some(SlowDown {
            tool,
            cpu_ns: Spread::of(cpu_ns)?,
            wall_ns: Spread::of(wall_ns)?,
        })
    };
    let alone = spreads(None, |pair| (pair.alone.cpu_ns, pair.alone.wall_ns));
    let added = Tool::ALL.into_iter().filter_map(|tool| {
        spreads(Some(tool), |SlowDownPair { alone, beside, .. }| {
            let cpu_ns = beside.cpu_ns - alone.cpu_ns;
            (cpu_ns, beside.wall_ns - alone.wall_ns)
        })
    });
    alone.into_iter().chain(added).collect()
}

#[cfg(test)]
mod tests;
