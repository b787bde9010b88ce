//! `hostler journal` and `hostler undo`: what was changed on this host, and back.

use hostler_act::{Cause, Journal};
use hostler_daemon::{now_ms, open_changes};

use crate::{
    args::{JournalArgs, UndoArgs},
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

pub(crate) fn undo(args: &UndoArgs) -> Result<(), Failure> {
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
