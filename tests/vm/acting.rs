//! Threads and memory of a running agent, moved to a node and back, as the kernel itself tells of them.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::Path};

use hostler_act::{
    Cause, CpuList, Executor, Journal, Kernel, Members, MemoryMove, Order, Thread, started,
};

use crate::{
    Test,
    guest::Guest,
    holder::{Holder, affinity_of, set_affinity},
    placement::{PAGES, anonymous_bytes},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "an_agent_s_threads_go_to_a_node_and_get_back_what_they_had",
        an_agent_s_threads_go_to_a_node_and_get_back_what_they_had,
    ),
    (
        "what_was_changed_before_hostler_was_killed_is_found_and_taken_back",
        what_was_changed_before_hostler_was_killed_is_found_and_taken_back,
    ),
    (
        "a_thread_that_somebody_else_has_set_is_left_to_them",
        a_thread_that_somebody_else_has_set_is_left_to_them,
    ),
    (
        "an_agent_s_memory_goes_to_a_node_some_pages_at_a_time",
        an_agent_s_memory_goes_to_a_node_some_pages_at_a_time,
    ),
];

/// Threads that a holder has beside its first one.
const MORE: usize = 5;

fn executor(journal: &Path) -> Executor<Kernel> {
    let kernel = Kernel::new(Path::new("/sys/fs/cgroup")).expect("it can be read");
    let journal = Journal::open(journal, "boot", 0).expect("it can be written");
    Executor::new(kernel, journal)
}

fn cpus_of(guest: &Guest, node: usize) -> CpuList {
    let cpus = guest.nodes[node].iter();
    cpus.map(|&cpu| u32::try_from(cpu).expect("they are few"))
        .collect()
}

fn order(holder: &Holder, cpus: CpuList) -> Order {
    Order {
        agent: holder.name.clone(),
        what: "run on one node".to_owned(),
        why: "a test wants it".to_owned(),
        members: Members::Cgroup {
            path: holder.name.clone().into(),
            id: fs::metadata(&holder.cgroup).expect("it is there").ino(),
        },
        cpus,
    }
}

/// The CPUs of each of a holder's threads, in the kernel's words.
fn allowed(holder: &Holder) -> BTreeMap<String, String> {
    let folder = format!("/proc/{}/task", holder.pid());
    let threads = fs::read_dir(folder).expect("it runs");
    threads
        .map(|thread| {
            let thread = thread.expect("it runs");
            let status = fs::read_to_string(thread.path().join("status")).expect("it runs");
            let list = status
                .lines()
                .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
            let list = list.expect("it is there").trim().to_owned();
            (thread.file_name().to_string_lossy().into_owned(), list)
        })
        .collect()
}

fn all_are(holder: &Holder, cpus: &CpuList) -> bool {
    let wanted = cpus.to_string();
    allowed(holder).values().all(|list| *list == wanted)
}

fn an_agent_s_threads_go_to_a_node_and_get_back_what_they_had(guest: &Guest) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut executor = executor(&folder.path().join("journal"));
    let mut holder = Holder::start("placed-threads", 1);
    holder.tell(&format!("threads {MORE}"));
    let before = allowed(&holder);
    for node in 0..guest.nodes.len() {
        let cpus = cpus_of(guest, node);
        let placed = executor.place(order(&holder, cpus.clone()), 1);
        let (step, receipt) = placed.expect("it is placed");
        assert_eq!(receipt.set, before.len() as u64, "{receipt:?}");
        assert!(all_are(&holder, &cpus), "{:?}", allowed(&holder));
        // Who is born now is where its parent is.
        holder.tell("threads 1");
        assert!(all_are(&holder, &cpus), "{:?}", allowed(&holder));
        executor
            .undo(step, Cause::Asked, 2)
            .expect("it is taken back");
        let mut after = allowed(&holder);
        assert!(
            after
                .values()
                .all(|list| before.values().any(|was| was == list))
        );
        after.retain(|thread, _| before.contains_key(thread));
        assert_eq!(after, before);
        holder.tell("end-thread");
    }
}

fn what_was_changed_before_hostler_was_killed_is_found_and_taken_back(guest: &Guest) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let journal = folder.path().join("journal");
    let mut holder = Holder::start("found-threads", 1);
    holder.tell(&format!("threads {MORE}"));
    let before = allowed(&holder);
    let last = cpus_of(guest, guest.nodes.len() - 1);
    let mut killed = executor(&journal);
    killed
        .place(order(&holder, last.clone()), 1)
        .expect("it is placed");
    // Nothing is done at its end: it might as well have been killed.
    drop(killed);
    assert!(all_are(&holder, &last));
    let mut next = executor(&journal);
    let outcomes = next.undo_all(&Cause::Found, 2);
    assert_eq!(outcomes.len(), 1);
    for (_, outcome) in outcomes {
        outcome.expect("it is taken back");
    }
    assert_eq!(allowed(&holder), before);
}

fn a_thread_that_somebody_else_has_set_is_left_to_them(guest: &Guest) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut executor = executor(&folder.path().join("journal"));
    let holder = Holder::start("foreign-threads", 1);
    let placed = executor.place(order(&holder, cpus_of(guest, 1)), 1);
    let (step, _) = placed.expect("it is placed");
    assert_eq!(executor.look(|_| true, 2).yielded, []);
    let theirs = guest.nodes[0][0];
    set_affinity(holder.pid(), theirs);
    let yielded = executor.look(|_| true, 3).yielded;
    assert_eq!(yielded.len(), 1, "{yielded:?}");
    let restored = executor
        .undo(step, Cause::Exit, 4)
        .expect("it is taken back");
    assert_eq!(restored.foreign, 1, "{restored:?}");
    assert_eq!(affinity_of(holder.pid()), [theirs]);
}

fn an_agent_s_memory_goes_to_a_node_some_pages_at_a_time(guest: &Guest) {
    /// What is asked for at a time; a batch may come on top.
    const AT_A_TIME: u64 = 256;
    const A_BATCH: u64 = 512;
    let mut holder = Holder::start("placed-memory", PAGES);
    holder.tell(&format!("run-on {}", guest.nodes[0][0]));
    holder.tell("touch");
    let held = 4096 * PAGES as u64;
    assert!(anonymous_bytes(guest, holder.pid())[0] >= held);
    let pid = holder.pid();
    let process = Thread {
        pid,
        tid: pid,
        started: started(pid).expect("it can be read").expect("it runs"),
    };
    let mut moving = MemoryMove::new([process], 1);
    let (mut calls, mut before) = (0, 0);
    while moving.advance(AT_A_TIME).expect("it can be moved") {
        let moved = moving.receipt().moved;
        assert!(moved - before <= AT_A_TIME + A_BATCH, "{before} {moved}");
        (calls, before) = (calls + 1, moved);
    }
    let receipt = moving.receipt();
    assert!(calls > 2, "{calls} calls: {receipt:?}");
    assert!(receipt.moved >= PAGES as u64, "{receipt:?}");
    let bytes = anonymous_bytes(guest, pid);
    let all: u64 = bytes.iter().sum();
    assert!(bytes[1] * 10 >= all * 9, "{bytes:?} {receipt:?}");
    // It is what it was: its memory can be read and written.
    holder.tell("touch");
    assert_eq!(anonymous_bytes(guest, pid)[1], bytes[1]);
}
