//! `hostler journal`, `undo`, `pause` and `resume`: what was changed on this host, back, and no more of it.

use hostler_act::{ActError, Cause, Journal};
use hostler_daemon::{
    control::{Client, UndoneStep},
    now_ms, open_changes,
};

use super::status::daemon;
use crate::{
    args::{GlobalArgs, JournalArgs, UndoArgs},
    failure::Failure,
    output::{self, Stdout},
    render::{journal_json, journal_text, undone_text},
};

pub(crate) fn show(args: &JournalArgs, stdout: Stdout) -> Result<(), Failure> {
    let path = args.file.path();
    // Where that can't be told, opening it says why.
    if matches!(path.try_exists(), Ok(false)) {
        return Err(Failure::NoJournal { path });
    }
    let past = Journal::read(&path).map_err(Failure::from)?;
    output::write_only(&if args.json {
        journal_json(&past, args.limit)
    } else {
        journal_text(&past, args.limit, stdout.size().0, stdout.color)
    })
}

pub(crate) fn undo(args: &UndoArgs, global: &GlobalArgs) -> Result<(), Failure> {
    let outcomes = match undone_by_daemon(args, global)? {
        Some(outcomes) => {
            if args.all {
                let hint = "the daemon changes nothing more until `hostler resume`";
                eprintln!("{hint}");
            }
            outcomes
        }
        None => undone_here(args)?,
    };
    let failed = outcomes
        .iter()
        .filter(|(_, undone)| undone.is_err())
        .count();
    output::write_only(&undone_text(&outcomes))?;
    if failed > 0 {
        return Err(Failure::NotUndone { failed });
    }
    Ok(())
}

/// What the daemon has taken back; `None` if none runs that changes anything, or another journal is meant.
fn undone_by_daemon(
    args: &UndoArgs,
    global: &GlobalArgs,
) -> Result<Option<Vec<UndoneStep>>, Failure> {
    if args.file.is_named() {
        return Ok(None);
    }
    let Some(daemon) = Client::connect(&global.socket)? else {
        return Ok(None);
    };
    match daemon.undo(args.steps.clone()) {
        Ok(outcomes) => Ok(Some(outcomes)),
        // It changes nothing: what an earlier one may have left is here to be taken back.
        Err(error) if error.is_refusal() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn undone_here(args: &UndoArgs) -> Result<Vec<UndoneStep>, Failure> {
    let path = args.file.path();
    // Where that can't be told, opening it says why.
    if matches!(path.try_exists(), Ok(false)) {
        return Err(Failure::NoJournal { path });
    }
    let mut executor = open_changes(&path)?;
    let outcomes = if args.all {
        executor.undo_all(&Cause::Asked, now_ms())
    } else {
        let undo = |&step| (step, executor.undo(step, Cause::Asked, now_ms()));
        args.steps.iter().map(undo).collect()
    };
    let in_words = |(step, undone): (u64, Result<_, ActError>)| {
        (step, undone.map_err(|error| error.to_string()))
    };
    Ok(outcomes.into_iter().map(in_words).collect())
}

pub(crate) fn pause(global: &GlobalArgs) -> Result<(), Failure> {
    let changes = daemon(global)?.pause()?;
    output::write_only(&format!("changes: {changes}\n"))
}

pub(crate) fn resume(global: &GlobalArgs) -> Result<(), Failure> {
    let changes = daemon(global)?.resume()?;
    output::write_only(&format!("changes: {changes}\n"))
}
