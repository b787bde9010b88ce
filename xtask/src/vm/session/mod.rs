//! Several programs in one boot, which takes longer than most of them.
//!
//! Their streams share one connection, on which lines that no program prints by chance say where
//! one begins and ends.

mod output;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};

pub(crate) use self::output::{Line, Part};
use self::output::{Lines, Session};
use super::command::quote;
use super::guest::Output;
use super::interrupt::Interrupt;
use super::run::{End, Job, Mode, Run, Task, random_marker};

/// A program to run, with its arguments.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
}

/// What came of all programs.
#[derive(Debug)]
pub(crate) struct Finished {
    /// A part for each program that began in the last guest.
    pub(crate) parts: Vec<Part>,
    /// How often a guest was started.
    pub(crate) boots: usize,
    /// Why guests died, one for each that did.
    pub(crate) deaths: Vec<String>,
    /// The last guest's console.
    pub(crate) console: String,
    /// What `uname -r` says in it.
    pub(crate) kernel_version: String,
}

/// Runs the programs in turn in one guest, whatever becomes of each, with these variables beside
/// the usual ones. The job's task is not used. `watch` sees each line as it comes.
pub(crate) fn run(
    job: &Job,
    variables: &[(&str, &str)],
    programs: &[Program],
    interrupt: &Interrupt,
    watch: fn(&str) -> io::Result<()>,
) -> Result<Finished> {
    let marker = random_marker("program");
    let exports = variables.iter();
    let exports = exports.map(|(name, value)| format!("export {name}='{value}'\n"));
    let exports: Vec<String> = exports.collect();
    let job = Job {
        task: Task::Script(exports.concat() + &script_of(programs, &marker)),
        ..job.clone()
    };
    let run = Run::prepare(&job, Mode::Streams)?;
    let mut last = None;
    let ran = run.to_end(interrupt, || {
        let session = Arc::new(Mutex::new(Session::new(marker.clone(), watch)));
        let output = Output::Streams {
            end_marker: run.end_marker(),
            stdout: Box::new(Lines::of(&session)),
            stderr: Box::new(io::stderr()),
        };
        last = Some(session);
        output
    })?;
    match ran.end {
        End::Interrupted(signal) => bail!("signal {signal} asked to stop"),
        End::Exited(code) if code != 0 => bail!("the guest's shell failed (exit code {code})"),
        End::Exited(_) | End::Died => {}
    }
    let parts = |session: Arc<Mutex<Session>>| {
        // Of a guest that died, a stream's thread may still hold its end.
        let mut session = session.lock().unwrap_or_else(PoisonError::into_inner);
        session.take_parts()
    };
    Ok(Finished {
        parts: last.map(parts).unwrap_or_default(),
        boots: ran.deaths.len() + usize::from(ran.end != End::Died),
        deaths: ran.deaths,
        console: ran.console,
        kernel_version: run.kernel_version().to_owned(),
    })
}

/// A shell script that runs the programs in turn.
fn script_of(programs: &[Program], marker: &str) -> String {
    let mut script = Vec::new();
    for program in programs {
        let begin = format!("printf '%s\\n' '{marker} begin {}'\n", program.name);
        script.extend_from_slice(begin.as_bytes());
        quote(program.path.as_os_str(), &mut script);
        for argument in &program.arguments {
            script.push(b' ');
            quote(argument.as_ref(), &mut script);
        }
        // One stream keeps what a test prints and what it panics with in order.
        let end = format!(" 2>&1 </dev/null\nprintf '%s\\n' \"{marker} end $?\"\n");
        script.extend_from_slice(end.as_bytes());
    }
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::Command;

    use super::*;

    fn program(name: &'static str, path: &str, arguments: &[&str]) -> Program {
        Program {
            name,
            path: PathBuf::from(path),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    #[test]
    fn each_program_s_lines_and_exit_code_are_told_apart() {
        let print = "echo one; echo two >&2; printf unfinished; exit 3";
        let programs = [
            program("first", "/bin/sh", &["-c", print]),
            program("second", "/bin/echo", &["it's", "$HOME"]),
        ];
        let output = Command::new("sh")
            .args(["-c", &script_of(&programs, "<mark>")])
            .output()
            .expect("sh runs");
        let session = Arc::new(Mutex::new(Session::new("<mark>".to_owned(), |_| Ok(()))));
        let mut lines = Lines::of(&session);
        // However the bytes are cut.
        for chunk in output.stdout.chunks(5) {
            lines.write_all(chunk).expect("a vector takes everything");
        }
        drop(lines);
        let parts = session.lock().expect("nobody panicked").take_parts();
        let texts = |part: &Part| -> Vec<String> {
            part.lines.iter().map(|line| line.text.clone()).collect()
        };
        assert_eq!(texts(&parts[0]), ["one", "two", "unfinished"]);
        assert_eq!((&*parts[0].name, parts[0].exit_code), ("first", Some(3)));
        assert_eq!(texts(&parts[1]), ["it's $HOME"]);
        assert_eq!((&*parts[1].name, parts[1].exit_code), ("second", Some(0)));
    }
}
