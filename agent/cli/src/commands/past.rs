//! The history that is looked at, and which time of it.

use std::time::Duration;

use hostler_daemon::{
    config::history_folder,
    history::{Covered, History},
    instants::now_ms,
};

use crate::{args::PastArgs, failure::Failure, render::past_span};

/// Opens the history, and says from when to when it is to be looked at, in ms since 1970.
pub(super) fn open(args: &PastArgs, usual: Duration) -> Result<(History, u64, u64), Failure> {
    let folder = args.history.clone().unwrap_or_else(history_folder);
    let history = History::open(&folder)?.ok_or(Failure::NoHistory { folder })?;
    let (from_ms, to_ms) = asked(args, usual)?;
    match history.whole()? {
        Some(whole) if from_ms < whole.to_ms && whole.from_ms < to_ms => {
            // Of what was before it, a plot would be empty; who asks for a time of day sees that it is.
            let first_ms = args.from.unwrap_or(from_ms.max(whole.from_ms));
            Ok((history, first_ms, to_ms))
        }
        whole => Err(nothing(&history, whole)),
    }
}

fn asked(args: &PastArgs, usual: Duration) -> Result<(u64, u64), Failure> {
    let to_ms = args.to.unwrap_or_else(now_ms);
    let last_ms = milliseconds(args.last.unwrap_or(usual));
    let from_ms = args.from.unwrap_or(to_ms.saturating_sub(last_ms));
    if from_ms >= to_ms {
        return Err(Failure::Usage {
            sentence: "the time that is asked for ends before it begins".to_owned(),
            hint: "times of day are in UTC.".to_owned(),
        });
    }
    Ok((from_ms, to_ms))
}

/// Nothing is kept of the time that was asked for.
fn nothing(history: &History, whole: Option<Covered>) -> Failure {
    let path = history.path().display();
    let hint = whole.map_or_else(
        || "the daemon has only just begun it.".to_owned(),
        |whole| format!("it tells of {}.", past_span(whole.from_ms, whole.to_ms)),
    );
    Failure::Usage {
        sentence: format!("{path} tells nothing of that time"),
        hint,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
