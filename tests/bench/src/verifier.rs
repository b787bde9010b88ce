//! What the verifier makes of every program on this kernel.

use anyhow::{Context, Result, anyhow};
use hostler_observe::{ObserveError, ProgramBill, program_bills};
use serde::Serialize;

use crate::spread::Spread;

/// How often the programs are loaded.
#[derive(clap::Args)]
pub(crate) struct VerifierArgs {
    /// Loads of all programs; times are the medians
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
}

/// One program's figures, as `cargo xtask verify` reads them.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    program: String,
    instructions: u32,
    stack_bytes: u32,
    verification_us: f64,
    memory_bytes: u64,
}

/// Prints a row for each program, as one JSON array.
pub(crate) fn run(args: &VerifierArgs) -> Result<()> {
    let mut rounds = Vec::new();
    for _ in 0..args.rounds {
        rounds.push(program_bills().map_err(with_whole_log)?);
    }
    println!(
        "{}",
        serde_json::to_string(&rows(&rounds)).context("writing JSON")?
    );
    Ok(())
}

/// A refusal is why this is run: it comes with all that the verifier said.
fn with_whole_log(error: ObserveError) -> anyhow::Error {
    match error {
        ObserveError::Unverified {
            program,
            reason,
            log,
        } => anyhow!("the kernel refused program {program}: {reason}; its verifier said:\n{log}"),
        other => other.into(),
    }
}

/// The last round's figures, with the median of all rounds' times.
fn rows(rounds: &[Vec<ProgramBill>]) -> Vec<Row> {
    let times_of = |name: &str| {
        let bills = rounds.iter().flatten().filter(|bill| bill.name == name);
        Spread::of(
            bills
                .map(|bill| bill.verification.as_secs_f64() * 1e6)
                .collect::<Vec<_>>(),
        )
    };
    let row = |bill: &ProgramBill| Row {
        program: bill.name.clone(),
        instructions: bill.instructions,
        stack_bytes: bill.stack_bytes,
        verification_us: times_of(&bill.name).map_or(0.0, |times| times.median.round()),
        memory_bytes: bill.memory_bytes,
    };
    rounds.last().into_iter().flatten().map(row).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_program_s_time_is_the_median_of_its_loads() {
        let bill = |microseconds| ProgramBill {
            name: "sched_switch".to_owned(),
            instructions: 4822,
            stack_bytes: 120,
            verification: Duration::from_micros(microseconds),
            memory_bytes: 8192,
        };
        let rows = rows(&[vec![bill(900)], vec![bill(100)], vec![bill(110)]]);
        assert_eq!(rows.len(), 1);
        assert!((rows[0].verification_us - 110.0).abs() < 1e-9);
    }
}
