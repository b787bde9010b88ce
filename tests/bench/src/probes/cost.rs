//! Measures time in the programs, by the kernel's run-time statistics.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use hostler_observe::RunTimeStatistics;
use nix::sys::signal::Signal;

use super::{
    programs::{self, Empty, ProgramRuns},
    record::{CostWindow, Record, Skipped},
    running::Bench,
    tool::Tool,
};
use crate::load::Load;

/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(400);

/// A load that nobody stops ends this long after its window.
const SPARE: Duration = Duration::from_secs(5);

/// One tool's turn.
#[derive(Clone, Copy)]
struct Turn {
    round: u32,
    load: Load,
    tool: Tool,
}

/// Each tool with each load, round after round. A peer that fails is left out from then on.
pub(crate) fn measure(
    bench: &Bench,
    tools: &[Tool],
    loads: &[Load],
    record: &mut Record,
) -> Result<()> {
    let _statistics = RunTimeStatistics::enable()?;
    let empty = Empty::attach()?;
    let mut failed = BTreeSet::new();
    for turn in turns(bench.rounds, tools, loads) {
        let Turn { round, load, tool } = turn;
        if failed.contains(&tool) {
            continue;
        }
        let of = bench.rounds;
        eprintln!(
            "cost, round {} of {of}: {}, {}",
            round + 1,
            load.title(),
            tool.title()
        );
        match window(bench, &empty, turn) {
            Ok(window) => record.windows.push(window),
            Err(error) => {
                bench.interrupt.check()?;
                ensure!(!tool.is_hostler(), error);
                failed.insert(tool);
                record.skip(Skipped::new(tool.title(), format!("{error:#}")));
            }
        }
    }
    Ok(())
}

/// In each round, another tool comes first.
fn turns(rounds: u32, tools: &[Tool], loads: &[Load]) -> Vec<Turn> {
    let mut turns = Vec::new();
    for round in 0..rounds {
        let mut order = tools.to_vec();
        order.rotate_left(round as usize % tools.len().max(1));
        for &load in loads {
            turns.extend(order.iter().map(|&tool| Turn { round, load, tool }));
        }
    }
    turns
}

/// The tool first, since a load that was there before would slow its start down.
fn window(bench: &Bench, empty: &Empty, turn: Turn) -> Result<CostWindow> {
    let Turn { round, load, tool } = turn;
    let running = bench.start_tool(tool)?;
    let child = bench.start_load(load, WARM_UP + bench.length + SPARE)?;
    bench.interrupt.sleep(WARM_UP)?;
    let before = Reading::take(empty, &running.programs)?;
    bench.interrupt.sleep(bench.length)?;
    let after = Reading::take(empty, &running.programs)?;
    child.stop(Signal::SIGTERM)?;
    running.stop()?;
    let mut programs = after.programs_since(&before);
    programs.retain(|program| tool.counts(program));
    let window = CostWindow {
        round,
        load,
        tool,
        seconds: (after.at - before.at).as_secs_f64(),
        switches: after.switches.saturating_sub(before.switches),
        empty: after.empty.since(&before.empty),
        programs,
    };
    let has_run = window.programs.iter().any(|program| program.runs > 0);
    ensure!(has_run, "none of its programs has run");
    ensure!(window.empty.runs > 0, "the empty program has not run");
    Ok(window)
}

/// Everything that is read at one end of a window.
struct Reading {
    at: Instant,
    switches: u64,
    empty: ProgramRuns,
    programs: Vec<ProgramRuns>,
}

impl Reading {
    fn take(empty: &Empty, ids: &BTreeSet<u32>) -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
        Ok(Self {
            at: Instant::now(),
            switches: switches(&stat).context("/proc/stat counts no switches")?,
            empty: empty.read()?,
            programs: programs::read(ids),
        })
    }

    fn programs_since(&self, earlier: &Self) -> Vec<ProgramRuns> {
        let before = |now: &ProgramRuns| earlier.programs.iter().find(|it| it.id == now.id);
        self.programs
            .iter()
            .filter_map(|now| Some(now.since(before(now)?)))
            .collect()
    }
}

/// Context switches of all CPUs since boot.
fn switches(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("ctxt "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_of_switches_is_read() {
        let stat = "cpu  1 2 3\nintr 5 6\nctxt 123456\nbtime 7\n";
        assert_eq!(switches(stat), Some(123_456));
        assert_eq!(switches("cpu  1 2 3\n"), None);
    }

    #[test]
    fn every_tool_comes_first_in_one_of_as_many_rounds() {
        let tools = [Tool::HostlerPairs, Tool::Runqlat, Tool::Cpudist];
        let turns = turns(3, &tools, &[Load::PingPong, Load::Storm]);
        assert_eq!(turns.len(), 18);
        let first: Vec<Tool> = turns.iter().step_by(6).map(|turn| turn.tool).collect();
        assert_eq!(first, tools);
    }
}
