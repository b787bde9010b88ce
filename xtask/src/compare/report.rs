//! What a comparison came to, with what it can't say.

use std::fmt;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::CompareArgs;
use crate::vm::session::Finished;

use super::figures::{Comparison, Figures, Spread, compare};

/// What instruction time leaves out, said in every report.
const LIMITS: &str = "\
Guest time is instruction time (2 ns each): caches, memory bandwidth, branch prediction, the \
distance of NUMA nodes and work at the same time are not modelled. A ratio says which path is \
shorter, not how fast a machine would be.";

/// A comparison of two commands.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    a: String,
    b: String,
    kernel: String,
    nodes: String,
    /// Why guests died before the one that this is about.
    deaths: Vec<String>,
    limits: &'static str,
    comparisons: Vec<Comparison>,
    rounds: Vec<Round>,
}

#[derive(Debug, Serialize)]
struct Round {
    a: Figures,
    b: Figures,
}

impl Report {
    pub(super) fn new(
        args: &CompareArgs,
        finished: &Finished,
        rounds: Vec<(Figures, Figures)>,
    ) -> Result<Self> {
        let comparisons = compare(&rounds);
        ensure!(!comparisons.is_empty(), "there is nothing to compare");
        Ok(Self {
            a: args.first.clone(),
            b: args.second.clone(),
            kernel: finished.kernel_version.clone(),
            deaths: finished.deaths.clone(),
            nodes: args.nodes.clone(),
            limits: LIMITS,
            comparisons,
            rounds: rounds.into_iter().map(|(a, b)| Round { a, b }).collect(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            formatter,
            "Linux {}, NUMA nodes: {}, rounds: {}\n  a: {}\n  b: {}\n",
            self.kernel,
            self.nodes,
            self.rounds.len(),
            self.a,
            self.b
        )?;
        for death in &self.deaths {
            writeln!(formatter, "a guest was started again: {death}")?;
        }
        writeln!(
            formatter,
            "{:<24} {:>34} {:>34} {:>22}  VERDICT",
            "FIGURE", "A", "B", "B / A"
        )?;
        for one in &self.comparisons {
            writeln!(
                formatter,
                "{:<24} {:>34} {:>34} {:>22}  {}",
                one.name,
                figure(one.a),
                figure(one.b),
                ratio(one.ratio),
                verdict(one)
            )?;
        }
        writeln!(
            formatter,
            "\nMedians over the rounds, least and greatest in brackets. {LIMITS}"
        )
    }
}

fn figure(spread: Spread) -> String {
    let Spread {
        median,
        least,
        greatest,
    } = spread;
    format!("{median:.1} ({least:.1}–{greatest:.1})")
}

fn ratio(spread: Spread) -> String {
    let Spread {
        median,
        least,
        greatest,
    } = spread;
    format!("{median:.3} ({least:.3}–{greatest:.3})")
}

fn verdict(one: &Comparison) -> String {
    if !one.is_difference() {
        return format!("no difference shown (p = {:.2})", one.p_value);
    }
    let (less, rounds) = (one.b_less, one.unequal);
    let (word, count) = if 2 * less > rounds {
        ("less", less)
    } else {
        ("greater", rounds - less)
    };
    format!(
        "b is {word} in {count} of {rounds} (p = {:.3})",
        one.p_value
    )
}
