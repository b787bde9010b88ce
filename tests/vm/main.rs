//! Hostler in guests: what only a machine of another shape, or one that is ours alone, can show.
//!
//! `cargo xtask vm --test` runs these in each guest, after those of `tests/host`. Elsewhere all of
//! them are skipped, with the reason printed and counted.

mod acting;
mod changing;
mod controllers;
mod doctor;
mod fleet;
mod guest;
mod holder;
mod hotplug;
mod launching;
mod nodes;
mod placement;
mod planning;
mod reclaim;
mod service;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// A test's name, and the test.
type Test = (&'static str, fn(&guest::Guest));

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|word| word == holder::WORD) {
        return holder::run(&words[2..]);
    }
    let mut arguments = Arguments::from_args();
    // One at a time: they look at what is loaded into the one kernel that they share.
    arguments.test_threads = Some(1);
    let guest = guest::Guest::find(arguments.filter.is_some());
    let mut trials = Vec::new();
    for (name, run) in [
        acting::TESTS,
        changing::TESTS,
        controllers::TESTS,
        doctor::TESTS,
        fleet::TESTS,
        hotplug::TESTS,
        launching::TESTS,
        nodes::TESTS,
        placement::TESTS,
        planning::TESTS,
        reclaim::TESTS,
        service::TESTS,
    ]
    .concat()
    {
        let lack = guest.as_ref().err();
        let lack = lack.or_else(|| guest.as_ref().ok()?.lacks.get(name));
        if let Some(reason) = lack {
            eprintln!("skipped: {name}: {reason}");
        }
        let is_skipped = lack.is_some();
        let guest = guest.clone();
        let trial = Trial::test(name, move || {
            run(&guest.map_err(Failed::from)?);
            Ok(())
        });
        trials.push(trial.with_ignored_flag(is_skipped));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}
