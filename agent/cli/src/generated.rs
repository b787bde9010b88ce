//! Completion scripts and manual pages, made from the same description as the command line.

use std::{
    io,
    path::{Path, PathBuf},
};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::Args;

/// The script that makes `shell` complete Hostler's command line.
pub(crate) fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "hostler", &mut script);
    script
}

/// The main manual page, in roff.
pub(crate) fn main_page() -> String {
    page(built())
}

/// Writes `hostler.1`, `hostler-trace-runq.1` and so on into `dir`, which is made if it is
/// missing. Returns the paths written.
pub(crate) fn write_pages(dir: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir)?;
    let mut written = Vec::new();
    for command in with_subcommands(built()) {
        let path = dir.join(Man::new(command.clone()).get_filename());
        std::fs::write(&path, page(command))?;
        written.push(path);
    }
    Ok(written)
}

/// The command line with what subcommands inherit filled in, such as their full names.
fn built() -> Command {
    let mut command = Args::command();
    command.build();
    command
}

fn with_subcommands(command: Command) -> Vec<Command> {
    let subcommands: Vec<Command> = command
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set())
        .flat_map(|subcommand| with_subcommands(subcommand.clone()))
        .collect();
    std::iter::once(command).chain(subcommands).collect()
}

fn page(command: Command) -> String {
    let mut roff = Vec::new();
    Man::new(command)
        .manual("Hostler")
        .render(&mut roff)
        .expect("a Vec takes whatever is written to it");
    // clap_mangen can't name the section that a command's examples go into.
    String::from_utf8(roff)
        .expect("a page is made of strings")
        .replace(".SH EXTRA\nExamples:\n", ".SH EXAMPLES\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let pages = dir.path().join("made/on/demand");
        let mut names: Vec<String> = write_pages(&pages)
            .expect("pages are written")
            .iter()
            .map(|path| path.file_name().expect("a file").display().to_string())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "hostler-agents.1",
                "hostler-completions.1",
                "hostler-config-check.1",
                "hostler-config-default.1",
                "hostler-config-reload.1",
                "hostler-config-show.1",
                "hostler-config.1",
                "hostler-doctor.1",
                "hostler-exec.1",
                "hostler-explain.1",
                "hostler-export.1",
                "hostler-journal.1",
                "hostler-man.1",
                "hostler-pause.1",
                "hostler-plan.1",
                "hostler-record.1",
                "hostler-replay.1",
                "hostler-report.1",
                "hostler-resume.1",
                "hostler-run.1",
                "hostler-status.1",
                "hostler-topology.1",
                "hostler-trace-all.1",
                "hostler-trace-faults.1",
                "hostler-trace-ledger.1",
                "hostler-trace-pressure.1",
                "hostler-trace-rtt.1",
                "hostler-trace-runq.1",
                "hostler-trace-wakes.1",
                "hostler-trace.1",
                "hostler-trend.1",
                "hostler-undo.1",
                "hostler.1",
            ]
        );
    }

    #[test]
    fn the_help_and_the_page_of_each_command_hold_examples() {
        for mut command in with_subcommands(built()) {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            let examples = help.split_once("Examples:\n  hostler");
            let (_, examples) = examples.unwrap_or_else(|| panic!("{name}: {help}"));
            assert!(
                examples.lines().all(|line| line.len() < 80),
                "{name}: {help}"
            );
            let page = page(command);
            assert!(page.contains(".SH EXAMPLES\n  hostler"), "{name}: {page}");
        }
    }

    #[test]
    fn the_main_page_names_the_hidden_options_nowhere() {
        let page = main_page();
        assert!(page.contains(r"\-\-interval"));
        assert!(!page.contains(r"\-\-threads"), "{page}");
    }

    #[test]
    fn each_shell_has_a_script_that_knows_the_subcommands() {
        for &shell in <clap_complete::Shell as clap::ValueEnum>::value_variants() {
            let script = String::from_utf8(completions(shell)).expect("a script is text");
            assert!(script.contains("runq"), "{shell}");
        }
    }
}
