//! `hostler exec`: a command that begins as an agent.

use std::{
    ffi::OsStr,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{self, ExitCode, ExitStatus},
};

use hostler_daemon::{LaunchOrder, launch};

use crate::{args::ExecArgs, failure::Failure};

/// What shells add to the number of a signal that has ended a command.
const ENDED_BY_SIGNAL: i32 = 128;

pub(crate) fn run(args: &ExecArgs) -> Result<ExitCode, Failure> {
    let agent = args.agent.clone();
    let order = LaunchOrder {
        group: args.group.clone(),
        agent: agent.unwrap_or_else(|| usual_name(&args.command[0], process::id())),
        node: args.node,
        threads: args.threads,
        hints: args.hints.clone(),
        command: args.command.clone(),
    };
    Ok(as_it_ended(launch(&order)?))
}

/// The program's name, as far as it can be part of an agent's, and a number.
fn usual_name(program: &OsStr, number: u32) -> String {
    let name = Path::new(program).file_name().unwrap_or(program);
    let letters = name.to_string_lossy();
    let fit = |letter: char| {
        if letter.is_ascii_alphanumeric() || "._@".contains(letter) {
            letter
        } else {
            '-'
        }
    };
    let name: String = letters
        .trim_start_matches('.')
        .chars()
        .take(64)
        .map(fit)
        .collect();
    format!("{name}-{number}")
}

fn as_it_ended(status: ExitStatus) -> ExitCode {
    let by_signal = || status.signal().map(|signal| signal + ENDED_BY_SIGNAL);
    let code = status.code().or_else(by_signal).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_named_after_its_program() {
        let name = |program: &str| usual_name(OsStr::new(program), 7);
        assert_eq!(name("/usr/bin/python3"), "python3-7");
        assert_eq!(name("./my agent\u{202e}"), "my-agent--7");
        assert_eq!(name("..hidden"), "hidden-7");
        assert_eq!(name("/"), "--7");
    }
}
