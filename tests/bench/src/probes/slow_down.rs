//! Measures what a round trip takes longer while a tool watches, the statistics off.
//!
//! CPU time is what counts: it holds all that runs in the two threads and at their switches, but not
//! what other threads of the machine take meanwhile, which wall time does.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{
    record::{Record, Skipped, SlowDownPair},
    running::Bench,
    tool::Tool,
};
use crate::load::{Load, RoundTrips};

/// The ping-pong beside none and then beside a tool, tool after tool, round after round.
pub(crate) fn measure(bench: &Bench, tools: &[Tool], record: &mut Record) -> Result<()> {
    ensure_statistics_are_off()?;
    let mut order = tools.to_vec();
    for round in 0..bench.rounds {
        for tool in order.clone() {
            let title = tool.title();
            eprintln!(
                "slow-down, round {} of {}: {title}",
                round + 1,
                bench.rounds
            );
            match pair(bench, round, tool) {
                Ok(pair) => record.round_trips.push(pair),
                Err(error) => {
                    bench.interrupt.check()?;
                    ensure!(!tool.is_hostler(), error);
                    order.retain(|&other| other != tool);
                    record.skip(Skipped::new(title, format!("{error:#}")));
                }
            }
        }
        let by = usize::from(!order.is_empty());
        order.rotate_left(by);
    }
    Ok(())
}

fn pair(bench: &Bench, round: u32, tool: Tool) -> Result<SlowDownPair> {
    let alone = round_trips(bench)?;
    let running = bench.start_tool(tool)?;
    let beside = round_trips(bench)?;
    running.stop()?;
    Ok(SlowDownPair {
        round,
        tool,
        alone,
        beside,
    })
}

fn round_trips(bench: &Bench) -> Result<RoundTrips> {
    let child = bench.start_load(Load::PingPong, bench.length)?;
    child.wait(&bench.interrupt)?.parse()
}

/// Whoever turned them on for the whole machine would be measured too.
fn ensure_statistics_are_off() -> Result<()> {
    const SWITCH: &str = "/proc/sys/kernel/bpf_stats_enabled";
    let value = fs::read_to_string(SWITCH).with_context(|| format!("reading {SWITCH}"))?;
    ensure!(
        value.trim() == "0",
        "the kernel's run-time statistics are on; to turn them off, run: sysctl kernel.bpf_stats_enabled=0"
    );
    Ok(())
}
