//! What was changed on a host: each step with its reason and what became of it.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use hostler_act::{Cause, Knob, Past, Restored, Stored, Value};
use hostler_daemon::control::UndoneStep;
use serde::Serialize;

use super::{
    foreign::printable,
    machine::json_line,
    paint::Paint,
    wrap::{phrases, wrapped},
};

/// The narrowest that sentences become.
const NARROWEST: usize = 40;

/// The journal as text, its last line's end included.
pub(crate) fn journal_text(past: &Past, limit: usize, width: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let in_force = past.in_force().count();
    let shown = shown(past, limit);
    let mut text = match past.steps.len() {
        0 => "Nothing was changed.\n".to_owned(),
        all => format!("{}, {in_force} in force\n", counted(all as u64, "step")),
    };
    let left_out = past.steps.len() - shown.len();
    if left_out > 0 {
        let _infallible = writeln!(
            text,
            "{}",
            paint.faint(format!(
                "{left_out} of them, taken back earlier, are left out: --limit"
            ))
        );
    }
    if past.damaged > 0 {
        let _infallible = writeln!(
            text,
            "{} left out for making no sense: somebody else wrote to it, or the disk is ill",
            counted(past.damaged, "line")
        );
    }
    for (number, stored) in shown {
        let title = format!(
            "step {number}, {}: {}",
            state(stored),
            printable(&stored.begun.agent)
        );
        let _infallible = writeln!(text, "\n{}", paint.strong(title));
        for sentence in sentences(stored) {
            let lines = wrapped(phrases(&sentence), " ", width.max(NARROWEST) - 2);
            let _infallible = writeln!(text, "  {}", lines.join("\n  "));
        }
    }
    text
}

/// Those in force, and the last ones of the others.
fn shown(past: &Past, limit: usize) -> Vec<(u64, &Stored)> {
    let over = past.steps.values().filter(|step| step.undone.is_some());
    let mut left_out = over.count().saturating_sub(limit);
    let mut shown = Vec::new();
    for (&number, stored) in &past.steps {
        if stored.undone.is_some() && left_out > 0 {
            left_out -= 1;
        } else {
            shown.push((number, stored));
        }
    }
    shown
}

fn state(stored: &Stored) -> &'static str {
    match &stored.undone {
        Some(_) => "taken back",
        None if stored.receipt.is_some() => "in force",
        None => "under way, or cut off",
    }
}

fn sentences(stored: &Stored) -> Vec<String> {
    let begun = &stored.begun;
    let threads = stored.receipt.map_or_else(String::new, |receipt| {
        let mut words = format!(": {}", counted(receipt.set, "thread"));
        for (count, what) in [
            (receipt.pinned, "left since they have CPUs of their own"),
            (receipt.realtime, "left since they run in real time"),
            (receipt.gone, "ended meanwhile"),
        ] {
            if count > 0 {
                let _infallible = write!(words, ", {count} {what}");
            }
        }
        words
    });
    let mut all = vec![
        format!(
            "{} {}, on CPUs {}{threads}",
            time(begun.at_ms),
            begun.what,
            begun.cpus
        ),
        format!("because {}", printable(&begun.why)),
    ];
    all.extend(stored.yielded.iter().map(|(at_ms, knob, found)| {
        let Knob::Affinity(thread) = knob;
        let Value::Cpus(cpus) = found;
        format!(
            "{} somebody else has set thread {} of process {} to CPUs {cpus}: it is theirs",
            time(*at_ms),
            thread.tid,
            thread.pid
        )
    }));
    all.extend(stored.undone.as_ref().map(|(at_ms, cause, restored)| {
        format!(
            "{} taken back {}: {}",
            time(*at_ms),
            because(cause),
            outcome(restored)
        )
    }));
    all
}

fn because(cause: &Cause) -> String {
    match cause {
        Cause::Asked => "since somebody asked for it".to_owned(),
        Cause::Exit => "since Hostler ended".to_owned(),
        Cause::Found => "since Hostler had ended without doing so".to_owned(),
        Cause::Worse { how } => format!("since it did not help ({})", printable(how)),
        Cause::Failed { reason } => format!("since it failed ({})", printable(reason)),
        Cause::Replaced => "for another step".to_owned(),
        Cause::LeftAlone => "since it is to be left alone".to_owned(),
        Cause::Departed => "since the agent has gone".to_owned(),
        Cause::Reboot => "since the host was started anew".to_owned(),
    }
}

fn outcome(restored: &Restored) -> String {
    let mut parts = Vec::new();
    for (count, what) in [
        (restored.restored + restored.as_was, "as before"),
        (
            restored.born,
            "born meanwhile and now as their parents were before",
        ),
        (restored.gone, "ended"),
        (restored.foreign, "left to who has set them since"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if parts.is_empty() {
        return "there was nothing to put back".to_owned();
    }
    format!("of its threads, {}", parts.join(", "))
}

/// So many of something.
fn counted(many: u64, what: &str) -> String {
    let end = if many == 1 { "" } else { "s" };
    format!("{many} {what}{end}")
}

fn time(at_ms: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at_ms);
    humantime::format_rfc3339_seconds(at).to_string()
}

/// What came of taking steps back, its last line's end included.
pub(crate) fn undone_text(outcomes: &[UndoneStep]) -> String {
    if outcomes.is_empty() {
        return "nothing is in force\n".to_owned();
    }
    let line = |(step, undone): &UndoneStep| match undone {
        Ok(restored) => format!("step {step} is taken back: {}\n", outcome(restored)),
        Err(error) => format!("step {step} is not taken back: {}\n", printable(error)),
    };
    outcomes.iter().map(line).collect()
}

/// The journal as one JSON object for each step.
pub(crate) fn journal_json(past: &Past, limit: usize) -> String {
    #[derive(Serialize)]
    struct Yielded<'a> {
        at_ms: u64,
        knob: &'a Knob,
        found: &'a Value,
    }
    #[derive(Serialize)]
    struct Undone<'a> {
        at_ms: u64,
        #[serde(flatten)]
        cause: &'a Cause,
        restored: &'a Restored,
    }
    #[derive(Serialize)]
    struct Step<'a> {
        #[serde(rename = "step")]
        number: u64,
        in_force: bool,
        #[serde(flatten)]
        begun: &'a hostler_act::Begun,
        receipt: Option<hostler_act::Receipt>,
        yielded: Vec<Yielded<'a>>,
        undone: Option<Undone<'a>>,
    }
    let line = |(number, stored): (u64, &Stored)| {
        let yielded = stored.yielded.iter();
        let undone = stored.undone.as_ref();
        json_line(&Step {
            number,
            in_force: undone.is_none(),
            begun: &stored.begun,
            receipt: stored.receipt,
            yielded: yielded
                .map(|(at_ms, knob, found)| Yielded {
                    at_ms: *at_ms,
                    knob,
                    found,
                })
                .collect(),
            undone: undone.map(|(at_ms, cause, restored)| Undone {
                at_ms: *at_ms,
                cause,
                restored,
            }),
        })
    };
    shown(past, limit).into_iter().map(line).collect()
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_act::{Begun, Change, CpuList, Members, Receipt, Thread};

    use super::*;

    fn cpus(text: &str) -> CpuList {
        text.parse().expect("a list")
    }

    fn past() -> Past {
        let thread = |tid| Thread {
            pid: 7,
            tid,
            started: 5,
        };
        let change = |tid| Change {
            knob: Knob::Affinity(thread(tid)),
            old: Value::Cpus(cpus("0-7")),
            new: Value::Cpus(cpus("0-3")),
        };
        let begun = Begun {
            at_ms: 1_795_808_086_000,
            agent: "agents/coder".to_owned(),
            what: "run on node 0 alone, with its memory".to_owned(),
            why: "it needs 99 % of a CPU and runs 100 % of its time on node 0; 100 % of its 8.1 MiB lie on \
                  node 1, at distance 20"
                .to_owned(),
            members: Members::Cgroup {
                path: "agents/coder".into(),
                id: 9,
            },
            cpus: cpus("0-3"),
            left: Vec::new(),
            changes: vec![change(7), change(8)],
        };
        let restored = Restored {
            restored: 1,
            foreign: 1,
            ..Restored::default()
        };
        let how = "turns take 12 % longer than they would have".to_owned();
        let over = Stored {
            begun: begun.clone(),
            receipt: Some(Receipt {
                set: 2,
                pinned: 1,
                ..Receipt::default()
            }),
            yielded: vec![(
                1_795_808_090_000,
                Knob::Affinity(thread(8)),
                Value::Cpus(cpus("5")),
            )],
            undone: Some((1_795_808_100_000, Cause::Worse { how }, restored)),
        };
        let now = Stored {
            begun,
            receipt: None,
            yielded: Vec::new(),
            undone: None,
        };
        Past {
            steps: [(1, over), (2, now)].into(),
            ..Past::default()
        }
    }

    #[test]
    fn a_step_reads_like_an_explanation() {
        expect![[r#"
            2 steps, 1 in force

            step 1, taken back: agents/coder
              2026-11-27T19:34:46Z run on node 0 alone, with its memory, on CPUs 0-3: 2
              threads, 1 left since they have CPUs of their own
              because it needs 99 % of a CPU and runs 100 % of its time on node 0; 100 % of
              its 8.1 MiB lie on node 1, at distance 20
              2026-11-27T19:34:50Z somebody else has set thread 8 of process 7 to CPUs 5: it
              is theirs
              2026-11-27T19:35:00Z taken back since it did not help (turns take 12 % longer
              than they would have): of its threads, 1 as before, 1 left to who has set them
              since

            step 2, under way, or cut off: agents/coder
              2026-11-27T19:34:46Z run on node 0 alone, with its memory, on CPUs 0-3
              because it needs 99 % of a CPU and runs 100 % of its time on node 0; 100 % of
              its 8.1 MiB lie on node 1, at distance 20
        "#]]
        .assert_eq(&journal_text(&past(), 20, 80, false));
    }

    #[test]
    fn older_steps_are_left_out_and_counted() {
        expect![[r#"
            2 steps, 1 in force
            1 of them, taken back earlier, are left out: --limit

            step 2, under way, or cut off: agents/coder
              2026-11-27T19:34:46Z run on node 0 alone, with its memory, on CPUs 0-3
              because it needs 99 % of a CPU and runs 100 % of its time on node 0; 100 % of
              its 8.1 MiB lie on node 1, at distance 20
        "#]]
        .assert_eq(&journal_text(&past(), 0, 80, false));
    }
}
