//! What holds of a history as a whole, with real files.

use std::{fs, path::Path, sync::Arc};

use hostler_common::slot::SlotLease;
use hostler_decide::{
    identity::Kind,
    samples::{Numbers, Sample, Samples},
    signal::{Agent, AgentSource},
};
use tempfile::TempDir;

use super::*;

const HOUR_MS: u64 = 3_600_000;

/// Some hour of 2023.
const BEGIN_MS: u64 = 472_222 * HOUR_MS;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn retention() -> Retention {
    Retention {
        spans: [15 * 60, 2 * 86_400, 90 * 86_400].map(Duration::from_secs),
        size_bytes: 1 << 30,
    }
}

fn agent(slot: u32, name: &str) -> Arc<Agent> {
    Arc::new(Agent {
        id: SlotLease {
            slot,
            generation: 1,
        },
        name: name.into(),
        group: "group".into(),
        kind: Kind::Agent,
        source: AgentSource::Cgroup,
        place: "".into(),
    })
}

fn busy(length_us: u64, on_cpu_us: u64) -> Sample {
    let numbers = Numbers {
        length_us,
        on_cpu_us,
        ..Numbers::default()
    };
    let mut sample = Sample {
        numbers,
        ..Sample::default()
    };
    for wait in 0..on_cpu_us % 7 {
        sample.waits.count(1_000 << wait);
    }
    sample
}

/// A second in which each agent was on a CPU for so long, in µs.
fn second(agents: &[(Arc<Agent>, u64)]) -> Samples {
    let mut samples = Samples {
        length_us: 1_000_000,
        host: busy(1_000_000, 0),
        ..Samples::default()
    };
    let mut group = busy(1_000_000, 0);
    for (agent, on_cpu_us) in agents {
        let sample = busy(1_000_000, *on_cpu_us);
        samples.host.join(&sample);
        group.join(&sample);
        samples.agents.insert(agent.id, (Arc::clone(agent), sample));
    }
    samples.groups.insert("group".into(), group);
    samples
}

fn store(folder: &Path, retention: Retention) -> Store {
    Store::open(folder, retention).expect("it can be opened").0
}

fn history(folder: &Path) -> History {
    let opened = History::open(folder).expect("it can be read");
    opened.expect("there is one")
}

fn on_cpu_us(trend: &Trend) -> Vec<Option<u64>> {
    let parts = trend.parts.iter();
    parts
        .map(|part| part.as_ref().map(|sample| sample.numbers.on_cpu_us))
        .collect()
}

fn named(history: &History, title: &str) -> Series {
    let all = history.series().expect("it can be read");
    let found = all.into_iter().find(|series| series.title() == title);
    found.unwrap_or_else(|| panic!("{title} has a series"))
}

fn trend_of(history: &History, title: &str, from_ms: u64, to_ms: u64, parts: usize) -> Trend {
    let series = named(history, title);
    let empty = history
        .trend(from_ms, to_ms, parts)
        .expect("it can be read");
    let mut trends = history.trends(&[series], &empty).expect("it can be read");
    trends.pop().expect("one was asked for")
}

#[test]
fn seconds_become_minutes_and_hours_and_each_says_the_same_in_sum() {
    let folder = folder();
    let mut store = store(folder.path(), retention());
    let (steady, late) = (agent(70, "steady"), agent(71, "late"));
    let seconds = 2 * 3_600 + 90;
    let mut sum_us = 0;
    for at in 0..seconds {
        let used_us = at % 1_000;
        let mut agents = vec![(Arc::clone(&steady), used_us)];
        if at >= 3_600 {
            agents.push((Arc::clone(&late), 500));
        }
        sum_us += used_us;
        let samples = second(&agents);
        let at_ms = BEGIN_MS + at * 1_000;
        store.write(at_ms, &samples).expect("there is room");
    }
    let history = history(folder.path());
    let end_ms = BEGIN_MS + seconds * 1_000;
    for (resolution, from_ms) in [
        (Resolution::Seconds, end_ms - 900_000),
        (Resolution::Minutes, BEGIN_MS),
        (Resolution::Hours, BEGIN_MS),
    ] {
        let covered = history.covered(resolution).expect("it can be read");
        let covered = covered.expect("there is something");
        assert!(
            covered.from_ms.abs_diff(from_ms) <= 2_000,
            "{resolution:?}: {covered:?}"
        );
    }
    for parts in [1, 2, 30, 122] {
        let trend = trend_of(&history, "steady", BEGIN_MS, end_ms, parts);
        assert_eq!(trend.whole().numbers.on_cpu_us, sum_us, "{parts} parts");
        assert_eq!(trend.whole().numbers.length_us, seconds * 1_000_000);
        assert!(trend.parts.iter().all(Option::is_some));
    }
    let trend = trend_of(&history, "late", BEGIN_MS, BEGIN_MS + 2 * HOUR_MS, 2);
    assert_eq!(on_cpu_us(&trend), [None, Some(3_600 * 500)]);
    let totals = history.totals(BEGIN_MS, end_ms).expect("it can be read");
    let of_late = &totals[&named(&history, "late").number];
    assert_eq!(of_late.numbers.on_cpu_us, (seconds - 3_600) * 500);
    assert_eq!(of_late.numbers.length_us, seconds * 1_000_000);
}

#[test]
fn who_did_nothing_for_a_while_did_nothing_and_is_not_gone() {
    let folder = folder();
    let mut store = store(folder.path(), retention());
    let sleeper = agent(70, "sleeper");
    for (at, used_us) in [(0, 5), (1, 0), (2, 0), (3, 7), (4, 0)] {
        let samples = second(&[(Arc::clone(&sleeper), used_us)]);
        let at_ms = BEGIN_MS + at * 1_000;
        store.write(at_ms, &samples).expect("there is room");
    }
    let trend = trend_of(
        &history(folder.path()),
        "sleeper",
        BEGIN_MS,
        BEGIN_MS + 5_000,
        5,
    );
    assert_eq!(
        on_cpu_us(&trend),
        [Some(5), Some(0), Some(0), Some(7), None]
    );
}

#[test]
fn whoever_reads_sees_each_second_as_it_is_written() {
    let folder = folder();
    assert!(
        History::open(folder.path())
            .expect("none is no error")
            .is_none()
    );
    let mut store = store(folder.path(), retention());
    let history = history(folder.path());
    for at in 0..5 {
        let samples = second(&[(agent(70, "agent"), 3)]);
        let at_ms = BEGIN_MS + at * 1_000;
        store.write(at_ms, &samples).expect("there is room");
        let covered = history.whole().expect("it can be read");
        assert_eq!(covered.expect("there is something").to_ms, at_ms + 1_000);
    }
}

#[test]
fn whoever_ends_the_writer_takes_no_second_that_was_written_and_the_next_start_says_so() {
    let (before, after) = (folder(), folder());
    let mut store = store(before.path(), retention());
    let last_ms = BEGIN_MS + 200_000;
    for at_ms in (BEGIN_MS..=last_ms).step_by(1_000) {
        let samples = second(&[(agent(70, "agent"), 3)]);
        store.write(at_ms, &samples).expect("there is room");
    }
    // What is on disk while it is open is what a killed process leaves.
    fs::copy(before.path().join(FILE), after.path().join(FILE)).expect("it can be copied");
    let trend = trend_of(
        &history(after.path()),
        "agent",
        BEGIN_MS,
        last_ms + 1_000,
        1,
    );
    assert_eq!(trend.whole().numbers.on_cpu_us, 3 * 201);
    let (again, opened) = Store::open(after.path(), retention()).expect("it is whole");
    assert_eq!(
        opened,
        Opened {
            was_cut_off: true,
            newest_ms: Some(last_ms)
        }
    );
    again.close().expect("it can be closed");
    let (_, opened) = Store::open(after.path(), retention()).expect("it is whole");
    assert!(!opened.was_cut_off);
}

#[test]
fn what_is_too_old_or_too_much_goes_the_oldest_first_and_the_file_stays_within_its_size() {
    let folder = folder();
    let retention = Retention {
        spans: [
            Duration::from_mins(10),
            Duration::from_hours(2),
            Duration::from_hours(100),
        ],
        size_bytes: 4 << 20,
    };
    let mut store = store(folder.path(), retention);
    let mut expelled = 0;
    let mut random = fastrand::Rng::with_seed(1);
    for at in 0..600 {
        let agents: Vec<(Arc<Agent>, u64)> = (0..1_000)
            .map(|slot| {
                (
                    agent(slot, &format!("agent-{slot}")),
                    random.u64(1..1_000_000),
                )
            })
            .collect();
        let at_ms = BEGIN_MS + at * 1_000;
        let written = store.write(at_ms, &second(&agents)).expect("there is room");
        expelled += written.expelled;
    }
    assert!(expelled > 0, "there was too much of it");
    let size = fs::metadata(folder.path().join(FILE))
        .expect("it is there")
        .len();
    assert!(size <= retention.size_bytes, "{size} bytes");
    let covered = history(folder.path()).whole().expect("it can be read");
    assert_eq!(
        covered.expect("there is something").to_ms,
        BEGIN_MS + 600_000
    );
}

#[test]
fn names_of_those_that_have_long_been_gone_go_too() {
    let folder = folder();
    let retention = Retention {
        spans: [60, 600, 7_200].map(Duration::from_secs),
        size_bytes: 1 << 30,
    };
    let mut store = store(folder.path(), retention);
    let stays = agent(1, "stays");
    for at in 0..300_u64 {
        let comes = agent(2, &format!("goes-{}", at / 60));
        let at_ms = BEGIN_MS + at * 60_000;
        let samples = second(&[(Arc::clone(&stays), 1), (comes, 1)]);
        store.write(at_ms, &samples).expect("there is room");
    }
    let series = history(folder.path()).series().expect("it can be read");
    let titles: Vec<&str> = series.iter().map(Series::title).collect();
    assert!(
        titles.contains(&"stays") && titles.contains(&"goes-4"),
        "{titles:?}"
    );
    assert!(!titles.contains(&"goes-0"), "{titles:?}");
    // Numbers of those that are gone are not given to others.
    let numbers: Vec<u32> = series.iter().map(|series| series.number).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
}

#[test]
fn a_clock_that_is_set_back_or_far_ahead_for_a_moment_takes_nothing_with_it() {
    let folder = folder();
    let mut store = store(folder.path(), retention());
    let mut write = |at_ms| {
        let samples = second(&[(agent(70, "agent"), 3)]);
        store.write(at_ms, &samples).expect("there is room");
    };
    for at in 0..300 {
        write(BEGIN_MS + at * 1_000);
    }
    write(BEGIN_MS + 5_000 * HOUR_MS);
    for at in 200..400 {
        write(BEGIN_MS + at * 1_000);
    }
    let trend = trend_of(
        &history(folder.path()),
        "agent",
        BEGIN_MS,
        BEGIN_MS + 400_000,
        1,
    );
    let seconds = trend.whole().numbers.on_cpu_us / 3;
    assert!((380..=400).contains(&seconds), "{seconds}");
}

#[test]
fn what_is_no_history_is_refused_and_can_be_put_aside() {
    let folder = folder();
    let file = folder.path().join(FILE);
    fs::write(&file, "nothing of the kind").expect("there is room");
    let refused = Store::open(folder.path(), retention()).err();
    let refused = refused.expect("it is no history");
    assert!(refused.is_damage(), "{refused}");
    assert!(History::open(folder.path()).is_err());
    let aside = Store::put_aside(folder.path()).expect("it can be renamed");
    assert_eq!(
        fs::read(aside).expect("it is there"),
        b"nothing of the kind"
    );
    store(folder.path(), retention());
}

#[test]
fn nobody_writes_a_history_that_another_writes() {
    let folder = folder();
    let _first = store(folder.path(), retention());
    let refused = Store::open(folder.path(), retention()).err();
    let refused = refused.expect("it is open");
    assert!(matches!(refused, HistoryError::InUse { .. }), "{refused}");
}
