//! `cargo xtask compare`: two commands in one guest, in turns, by instruction time.

mod figures;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use self::figures::Figures;
use self::report::Report;
use crate::vm::{
    self, Choice, Interrupt, Job, Machine, Task,
    session::{self, Part, Program},
};

/// The two commands of a round change places from round to round.
const ORDER: [[&str; 2]; 2] = [[A, B], [B, A]];

const A: &str = "a";
const B: &str = "b";
const SETUP: &str = "setup";
const WARM_UP: &str = "warm-up";

/// With fewer the sign test can show nothing: five of five by chance are more likely than 5 %.
const MIN_ROUNDS: i64 = 6;

const AFTER_HELP: &str = "\
Both are command lines for `sh`, run as root in the working directory. Each prints its figures as \
lines of a name and a number, such as `round_trip_ns 23800`; other lines are passed over. They run \
once for warming up, then once each a round, in changing order. Reported are the medians, the \
ratio round by round, and whether the two differ (sign test, 5 %).

Time in the guest is instruction time: two nanoseconds for each instruction, whatever it does. So \
figures repeat to within a percent, on a busy machine too, and a shorter path shows. Not modelled \
are caches, memory bandwidth, branch prediction, the distance of NUMA nodes, and work at the same \
time: the CPUs take turns. A ratio says which path is shorter, not how fast a machine would be.";

/// Compare two commands in one guest, by instruction time.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompareArgs {
    /// The first command, for comparison.
    #[arg(long = "a", value_name = "COMMAND")]
    first: String,

    /// The second command.
    #[arg(long = "b", value_name = "COMMAND")]
    second: String,

    /// What to run once before both.
    #[arg(long, value_name = "COMMAND")]
    setup: Option<String>,

    /// How often each command runs and counts, six times at least.
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(MIN_ROUNDS..=1000))]
    rounds: u32,

    /// 6.1, 6.12, or a PATH as for `cargo xtask vm`.
    #[arg(long, default_value = "6.12")]
    kernel: Choice,

    /// NUMA nodes, each with two CPUs.
    #[arg(long, default_value = "1", value_parser = ["1", "2", "4"])]
    nodes: String,

    /// How long the guest may take.
    #[arg(long, value_name = "DURATION", default_value = "20min", value_parser = humantime::parse_duration)]
    timeout: std::time::Duration,

    /// All figures of all rounds, and what follows from them, as JSON into this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(crate) fn run(args: &CompareArgs) -> Result<ExitCode> {
    let job = Job {
        kernel: args.kernel.clone(),
        machine: Machine::new(args.nodes.parse()?, vm::MEMORY_MIB, true)?,
        task: Task::Script(String::new()),
        time_limit: Some(args.timeout),
        keep_console: false,
    };
    let finished = session::run(&job, &[], &programs(args), &Interrupt::watch()?, |_| Ok(()))?;
    let rounds = rounds(&finished.parts, args.rounds)
        .inspect_err(|_| eprint!("{}", what_was_printed(&finished.parts)))?;
    let report = Report::new(args, &finished, rounds)?;
    print!("{report}");
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&report).context("writing JSON")?;
        std::fs::write(path, json + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn programs(args: &CompareArgs) -> Vec<Program> {
    let shell = |name: &'static str, command: &str| Program {
        name,
        path: PathBuf::from("/bin/sh"),
        arguments: vec!["-c".to_owned(), command.to_owned()],
    };
    let mut programs = Vec::new();
    if let Some(command) = &args.setup {
        programs.push(shell(SETUP, command));
    }
    programs.push(shell(WARM_UP, &args.first));
    programs.push(shell(WARM_UP, &args.second));
    for round in ORDER.iter().cycle().take(args.rounds as usize) {
        for name in round {
            let command = if *name == A {
                &args.first
            } else {
                &args.second
            };
            programs.push(shell(name, command));
        }
    }
    programs
}

/// The figures of both commands, round by round.
fn rounds(parts: &[Part], wanted: u32) -> Result<Vec<(Figures, Figures)>> {
    for part in parts {
        ensure!(
            part.exit_code == Some(0),
            "{}: it ended with {}",
            part.name,
            part.exit_code
                .map_or("the guest".to_owned(), |code| format!("exit code {code}"))
        );
    }
    let of = |name: &str| -> Vec<Figures> {
        let runs = parts.iter().filter(|part| part.name == name);
        runs.map(|part| figures::parse(part.lines.iter().map(|line| line.text.as_str())))
            .collect()
    };
    let rounds: Vec<_> = of(A).into_iter().zip(of(B)).collect();
    ensure!(
        rounds.len() == wanted as usize,
        "only {} of {wanted} rounds ended",
        rounds.len()
    );
    if figures::compare(&rounds).is_empty() {
        bail!("there is no line `NAME NUMBER` that both commands print in each round");
    }
    Ok(rounds)
}

/// The output of the program that failed, or of the last one.
fn what_was_printed(parts: &[Part]) -> String {
    let failed = parts.iter().find(|part| part.exit_code != Some(0));
    let Some(part) = failed.or(parts.last()) else {
        return String::new();
    };
    let lines: Vec<&str> = part.lines.iter().map(|line| line.text.as_str()).collect();
    format!("---- {}\n{}\n", part.name, lines.join("\n"))
}
