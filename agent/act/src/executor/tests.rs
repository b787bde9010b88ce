use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::fake::{
    FakeHost, FakeThread,
    Happening::{self, Birth, Death},
};

fn cpus(text: &str) -> CpuList {
    text.parse().expect("a list")
}

fn thread(number: u32) -> Thread {
    Thread {
        pid: 100 + number / 4,
        tid: 200 + number,
        started: u64::from(number),
    }
}

fn ordinary() -> FakeThread {
    FakeThread {
        cpus: cpus("0-7"),
        usual: cpus("0-7"),
        is_realtime: false,
    }
}

fn host(rows: impl IntoIterator<Item = FakeThread>) -> FakeHost {
    FakeHost {
        threads: (0..).map(thread).zip(rows).collect(),
        ..FakeHost::default()
    }
}

fn order() -> Order {
    Order {
        agent: "agents/coder".to_owned(),
        what: "run on node 1".to_owned(),
        why: "its memory lies there".to_owned(),
        members: Members::Cgroup {
            path: PathBuf::from("agents/coder"),
            id: 7,
        },
        cpus: cpus("4-7"),
    }
}

fn all(_step: u64) -> bool {
    true
}

/// A host and its journal, in a folder of their own.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { folder }
    }

    fn journal(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn executor(&self, host: FakeHost) -> Executor<FakeHost> {
        let journal = Journal::open(&self.journal(), "boot", 0).expect("it can be opened");
        let host = FakeHost {
            journal: Some(self.journal()),
            ..host
        };
        Executor::new(host, journal)
    }
}

#[test]
fn threads_get_the_cpus_and_get_back_what_they_had() {
    let site = Site::new();
    let mut executor = site.executor(host(vec![ordinary(); 5]));
    let before = executor.host.threads.clone();
    let (step, receipt) = executor.place(order(), 1).expect("it is placed");
    assert_eq!((step, receipt.set), (1, 5));
    let mut rows = executor.host.threads.values();
    assert!(rows.all(|row| row.cpus == cpus("4-7")));
    let restored = executor.undo(step, Cause::Asked, 2).expect("it is undone");
    assert_eq!(restored.restored, 5);
    assert_eq!(executor.host.threads, before);
    let again = executor.undo(step, Cause::Asked, 3);
    assert!(matches!(again, Err(ActError::NotInForce { step: 1 })));
}

#[test]
fn threads_that_somebody_placed_with_care_are_left_alone() {
    let pinned = FakeThread {
        cpus: cpus("2"),
        ..ordinary()
    };
    let realtime = FakeThread {
        is_realtime: true,
        ..ordinary()
    };
    let site = Site::new();
    let mut executor = site.executor(host([ordinary(), pinned.clone(), realtime.clone()]));
    let (_, receipt) = executor.place(order(), 1).expect("it is placed");
    assert_eq!((receipt.set, receipt.pinned, receipt.realtime), (1, 1, 1));
    let rows: Vec<&FakeThread> = executor.host.threads.values().collect();
    assert_eq!(rows[1..], [&pinned, &realtime]);
}

/// Somebody had given it the CPUs that it would have got: it keeps them when the step is taken back.
#[test]
fn a_thread_that_had_these_cpus_before_keeps_them() {
    let pinned = FakeThread {
        cpus: cpus("4-7"),
        ..ordinary()
    };
    let site = Site::new();
    let mut executor = site.executor(host([ordinary(), pinned.clone()]));
    let (step, _) = executor.place(order(), 1).expect("it is placed");
    executor.undo(step, Cause::Asked, 2).expect("it is undone");
    let rows: Vec<&FakeThread> = executor.host.threads.values().collect();
    assert_eq!(rows, [&ordinary(), &pinned]);
}

#[test]
fn where_nothing_can_be_changed_nothing_is_begun() {
    let elsewhere = FakeThread {
        cpus: cpus("0-3"),
        usual: cpus("0-3"),
        ..ordinary()
    };
    let site = Site::new();
    let mut executor = site.executor(host([elsewhere]));
    let refused = executor
        .place(order(), 1)
        .expect_err("it has none of these CPUs");
    assert!(
        matches!(refused, ActError::NothingToChange { .. }),
        "{refused}"
    );
    assert_eq!(executor.past().steps.len(), 0);
}

#[test]
fn an_agent_is_placed_once_at_a_time() {
    let site = Site::new();
    let mut executor = site.executor(host([ordinary()]));
    executor.place(order(), 1).expect("it is placed");
    let refused = executor
        .place(order(), 2)
        .expect_err("it is placed already");
    assert!(
        matches!(refused, ActError::InForce { step: 1, .. }),
        "{refused}"
    );
}

#[test]
fn what_somebody_else_sets_is_noticed_once_and_is_theirs() {
    let site = Site::new();
    let mut executor = site.executor(host([ordinary(), ordinary()]));
    let (step, _) = executor.place(order(), 1).expect("it is placed");
    assert_eq!(executor.look(all, 2).yielded, []);
    let row = executor.host.threads.get_mut(&thread(1));
    row.expect("it is there").cpus = cpus("0");
    let yielded = executor.look(all, 3).yielded;
    assert_eq!(yielded.len(), 1);
    assert_eq!(yielded[0].found, Value::Cpus(cpus("0")));
    assert_eq!(executor.look(all, 4).yielded, []);
    let restored = executor.undo(step, Cause::Exit, 5).expect("it is undone");
    assert_eq!((restored.restored, restored.foreign), (1, 1));
    assert_eq!(executor.host.threads[&thread(1)].cpus, cpus("0"));
}

#[test]
fn a_knob_that_can_t_be_read_does_not_hide_what_was_done_to_others() {
    let site = Site::new();
    let mut executor = site.executor(host([ordinary(), ordinary()]));
    executor.place(order(), 1).expect("it is placed");
    let row = executor.host.threads.get_mut(&thread(1));
    row.expect("it is there").cpus = cpus("0");
    executor.host.fails = Some((executor.host.calls + 1, false));
    let looked = executor.look(all, 2);
    assert!(looked.failed.is_some());
    assert_eq!(looked.yielded.len(), 1);
}

#[test]
fn whoever_comes_later_is_set_as_well_and_gets_back_what_they_had() {
    let site = Site::new();
    let mut executor = site.executor(host(vec![ordinary(); 4]));
    let (step, _) = executor.place(order(), 1).expect("it is placed");
    let tended = |executor: &mut Executor<FakeHost>| {
        let tended = executor.tend(step, None, 2);
        tended.expect("it is tended")
    };
    assert_eq!(tended(&mut executor), Tended::Followed(0));
    // Of another process, and so of none that was set.
    let newcomer = thread(50);
    executor.host.threads.insert(newcomer, ordinary());
    assert_eq!(tended(&mut executor), Tended::Followed(1));
    assert_eq!(executor.host.threads[&newcomer].cpus, cpus("4-7"));
    assert_eq!(tended(&mut executor), Tended::Followed(0));
    executor.undo(step, Cause::Exit, 3).expect("it is undone");
    let mut rows = executor.host.threads.values();
    assert!(rows.all(|row| *row == ordinary()));
}

#[test]
fn a_process_of_which_somebody_else_has_set_a_thread_gets_nothing_later() {
    let site = Site::new();
    let mut executor = site.executor(host(vec![ordinary(); 4]));
    let (step, _) = executor.place(order(), 1).expect("it is placed");
    let row = executor.host.threads.get_mut(&thread(0));
    row.expect("it is there").cpus = cpus("0-7");
    assert_eq!(executor.look(all, 2).yielded.len(), 1);
    let child = Thread {
        tid: 999,
        ..thread(0)
    };
    executor.host.threads.insert(child, ordinary());
    let tended = executor.tend(step, None, 3);
    assert_eq!(tended.expect("it is tended"), Tended::Followed(0));
    assert_eq!(executor.host.threads[&child], ordinary());
}

#[test]
fn an_agent_that_has_gone_has_no_step_in_force() {
    let site = Site::new();
    let mut executor = site.executor(host(vec![ordinary(); 4]));
    let (step, _) = executor.place(order(), 1).expect("it is placed");
    executor.host.threads.clear();
    let tended = executor.tend(step, None, 2);
    assert_eq!(tended.expect("it is tended"), Tended::Departed);
    assert_eq!(executor.past().in_force().count(), 0);
}

#[test]
fn threads_that_have_ended_are_forgotten_when_they_are_many() {
    let site = Site::new();
    let mut executor = site.executor(host(vec![ordinary(); 100]));
    let (step, _) = executor.place(order(), 1).expect("it is placed");
    executor
        .host
        .threads
        .retain(|thread, _| thread.started >= 70);
    assert_eq!(executor.look(all, 2).yielded, []);
    assert_eq!(executor.past().steps[&step].begun.changes.len(), 30);
    executor.undo(step, Cause::Exit, 3).expect("it is undone");
    let mut rows = executor.host.threads.values();
    assert!(rows.all(|row| *row == ordinary()));
}

/// A rule's agent, of whose processes the first one is a member, and all others descend from it.
fn order_of_first_process() -> Order {
    let process = Thread {
        tid: thread(0).pid,
        ..thread(0)
    };
    Order {
        members: Members::Processes(vec![process]),
        ..order()
    }
}

#[test]
fn those_who_descend_from_an_agent_and_are_none_of_it_keep_what_they_have() {
    let pinned = FakeThread {
        cpus: cpus("4-7"),
        ..ordinary()
    };
    let site = Site::new();
    let rows = vec![ordinary(); 8].into_iter().chain([pinned.clone()]);
    let mut executor = site.executor(host(rows));
    let before = executor.host.threads.clone();
    let (step, receipt) = executor
        .place(order_of_first_process(), 1)
        .expect("it is placed");
    assert_eq!(receipt.set, 4);
    executor.undo(step, Cause::Exit, 2).expect("it is undone");
    assert_eq!(executor.host.threads, before);
}

#[test]
fn what_was_born_after_a_step_is_watched_as_well() {
    let site = Site::new();
    let mut executor = site.executor(host(vec![ordinary(); 4]));
    let (step, _) = executor
        .place(order_of_first_process(), 1)
        .expect("it is placed");
    // Another process, born with the CPUs that its parent had been given.
    let child = thread(50);
    let placed = FakeThread {
        cpus: cpus("4-7"),
        ..ordinary()
    };
    executor.host.threads.insert(child, placed);
    let process = Thread {
        tid: child.pid,
        ..child
    };
    let members = Members::Processes(vec![process]);
    let tended = executor.tend(step, Some(members), 2);
    assert_eq!(tended.expect("it is tended"), Tended::Followed(0));
    let row = executor.host.threads.get_mut(&child);
    row.expect("it is there").cpus = cpus("0-7");
    assert_eq!(executor.look(all, 3).yielded.len(), 1);
}

#[test]
fn what_could_be_put_back_of_a_step_is_not_taken_for_somebody_elses() {
    let site = Site::new();
    let mut executor = site.executor(host(vec![ordinary(); 4]));
    let (step, _) = executor.place(order(), 1).expect("it is placed");
    // The third of its calls: one thread has been put back.
    executor.host.fails = Some((executor.host.calls + 3, false));
    executor
        .undo(step, Cause::Exit, 2)
        .expect_err("a call fails");
    assert_eq!(executor.look(all, 3).yielded, []);
    executor.undo(step, Cause::Exit, 4).expect("it is undone");
    let mut rows = executor.host.threads.values();
    assert!(rows.all(|row| *row == ordinary()));
}

#[test]
fn only_those_steps_are_looked_at_whose_turn_it_is() {
    let site = Site::new();
    let mut executor = site.executor(host([ordinary()]));
    executor.place(order(), 1).expect("it is placed");
    let row = executor.host.threads.get_mut(&thread(0));
    row.expect("it is there").cpus = cpus("0");
    assert_eq!(executor.look(|step| step != 1, 2).yielded, []);
    assert_eq!(executor.look(all, 3).yielded.len(), 1);
}

fn rows() -> impl Strategy<Value = Vec<FakeThread>> {
    let row = prop_oneof![
        6 => Just(ordinary()),
        1 => Just(FakeThread { is_realtime: true, ..ordinary() }),
        1 => Just(FakeThread { cpus: cpus("3-4"), ..ordinary() }),
        1 => Just(FakeThread { cpus: cpus("4-7"), ..ordinary() }),
        1 => Just(FakeThread { cpus: cpus("2-5"), usual: cpus("2-5"), ..ordinary() }),
    ];
    prop::collection::vec(row, 1..12)
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let happening = prop_oneof![(0_usize..40).prop_map(Birth), (0_usize..40).prop_map(Death),];
    prop::collection::vec((1_u64..60, happening), 0..8)
}

/// Those who are there still have what they had; of those who are new, children of threads that were set
/// have what these had before. Whose child a thread is can't be told where another of its process had
/// the step's CPUs before: it may have those.
fn all_is_as_it_was(before: &BTreeMap<Thread, FakeThread>, now: &BTreeMap<Thread, FakeThread>) {
    for (thread, row) in now {
        if let Some(was) = before.get(thread) {
            assert_eq!(row, was, "{thread:?}");
            continue;
        }
        let siblings: Vec<&FakeThread> = before
            .iter()
            .filter(|(sibling, _)| sibling.pid == thread.pid)
            .map(|(_, row)| row)
            .collect();
        let had = siblings.iter().any(|sibling| sibling.cpus == row.cpus);
        let is_unsure = siblings.iter().any(|sibling| {
            sibling.cpus != sibling.usual && sibling.cpus == sibling.usual.common(&cpus("4-7"))
        });
        assert!(had || is_unsure, "{thread:?} has {}", row.cpus);
    }
}

proptest! {
    #[test]
    fn taking_a_step_back_leaves_everything_as_it_was(rows in rows(), happenings in happenings()) {
        let site = Site::new();
        let mut executor = site.executor(FakeHost { happenings, ..host(rows) });
        let before = executor.host.threads.clone();
        if let Ok((step, _)) = executor.place(order(), 1) {
            executor.undo(step, Cause::Asked, 2).expect("it is undone");
        }
        all_is_as_it_was(&before, &executor.host.threads);
    }

    #[test]
    fn a_call_that_fails_leaves_everything_as_it_was(rows in rows(), first in 1_u64..40) {
        let site = Site::new();
        let fails = Some((first, false));
        let mut executor = site.executor(FakeHost { fails, ..host(rows) });
        let before = executor.host.threads.clone();
        match executor.place(order(), 1) {
            Err(_) => all_is_as_it_was(&before, &executor.host.threads),
            Ok((step, _)) => {
                // What fails while it is taken back is tried again.
                for _ in 0..2 {
                    let _outcome = executor.undo(step, Cause::Asked, 2);
                }
                all_is_as_it_was(&before, &executor.host.threads);
            }
        }
    }

    #[test]
    fn whenever_it_ends_the_next_one_finds_what_to_take_back(
        rows in rows(),
        happenings in happenings(),
        first in 1_u64..60,
        takes_back in any::<bool>(),
    ) {
        let site = Site::new();
        let fails = Some((first, true));
        let mut executor = site.executor(FakeHost { happenings, fails, ..host(rows) });
        let before = executor.host.threads.clone();
        if let (Ok((step, _)), true) = (executor.place(order(), 1), takes_back) {
            let _outcome = executor.undo(step, Cause::Asked, 2);
        }
        let host = FakeHost { fails: None, ..executor.host.clone() };
        drop(executor);
        let mut next = site.executor(host);
        for (_, outcome) in next.undo_all(&Cause::Found, 3) {
            outcome.expect("it is undone");
        }
        all_is_as_it_was(&before, &next.host.threads);
        prop_assert_eq!(next.past().in_force().count(), 0);
    }

    #[test]
    fn what_others_set_is_never_overwritten(
        rows in rows(),
        theirs in prop::collection::vec((0_usize..12, 0_u32..8), 1..5),
        looks in any::<bool>(),
    ) {
        let site = Site::new();
        let mut executor = site.executor(host(rows));
        let Ok((step, _)) = executor.place(order(), 1) else { return Ok(()) };
        let mut set = BTreeMap::new();
        for (number, cpu) in theirs {
            let all: Vec<Thread> = executor.host.threads.keys().copied().collect();
            let thread = all[number % all.len()];
            let only: CpuList = [cpu].into_iter().collect();
            executor.host.threads.get_mut(&thread).expect("it is there").cpus = only.clone();
            set.insert(thread, only);
        }
        if looks {
            prop_assert!(executor.look(all, 2).failed.is_none());
        }
        executor.undo(step, Cause::Exit, 3).expect("it is undone");
        for (thread, only) in set {
            prop_assert_eq!(&executor.host.threads[&thread].cpus, &only);
        }
    }
}
