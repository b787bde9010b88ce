//! A daemon that acts: what it changes, what it leaves to others, and what is left of it at its end.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use hostler_act::{Cause, Journal, Past};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    Test,
    guest::{Guest, HOSTLER},
    holder::{Holder, affinity_of, set_affinity},
    placement::PAGES,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_daemon_brings_an_agent_together_and_all_is_as_it_was_after_its_end",
        a_daemon_brings_an_agent_together_and_all_is_as_it_was_after_its_end,
    ),
    (
        "what_a_killed_daemon_has_changed_the_next_one_takes_back",
        what_a_killed_daemon_has_changed_the_next_one_takes_back,
    ),
    (
        "what_a_killed_daemon_has_changed_is_taken_back_without_another_one",
        what_a_killed_daemon_has_changed_is_taken_back_without_another_one,
    ),
    (
        "a_signal_takes_all_back_at_once",
        a_signal_takes_all_back_at_once,
    ),
];

/// An emulated machine takes its time, and a plan needs some seconds to go by.
const PATIENCE: Duration = Duration::from_mins(3);

/// Threads that the holder has beside its first one.
const MORE: usize = 3;

/// A daemon with a folder of its own.
struct Daemon {
    child: Child,
    journal: PathBuf,
    folder: TempDir,
}

impl Daemon {
    fn start(mode: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("there is room"), mode)
    }

    /// In the folder of one before it.
    fn start_in(folder: TempDir, mode: &str) -> Self {
        let path = folder.path().display();
        let config = format!(
            "control.socket = '{path}/control.sock'\nhistory.folder = ''\n\
             [signals]\nwakes = true\n\
             [plan]\nmode = '{mode}'\ninterval = '10s'\njournal = '{path}/journal'\n"
        );
        let file = folder.path().join("hostler.toml");
        fs::write(&file, config).expect("there is room");
        let mut child = Command::new(HOSTLER)
            .args(["run", "--config"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .expect("hostler can be started");
        let said = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut said = said.lines().map_while(Result::ok);
        let measures = |line: String| {
            println!("{line}");
            line.contains("measuring")
        };
        assert!(said.any(measures), "it measures");
        thread::spawn(move || said.for_each(|line| println!("{line}")));
        Self {
            child,
            journal: folder.path().join("journal"),
            folder,
        }
    }

    fn past(&self) -> Past {
        past(&self.journal)
    }

    fn tell(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("it runs");
    }

    /// Sends a signal and waits for the end. Its folder is left.
    fn end(mut self, signal: Signal) -> TempDir {
        self.tell(signal);
        self.child.wait().expect("it ends");
        self.folder
    }
}

/// What `hostler journal` says.
fn told(journal: &Path) -> String {
    let output = Command::new(HOSTLER)
        .args(["journal", "--journal"])
        .arg(journal)
        .output()
        .expect("hostler can be started");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

fn past(journal: &Path) -> Past {
    Journal::read(journal).expect("it can be read")
}

/// A process that runs on node 0, may run anywhere, and has its memory on node 1.
fn apart(guest: &Guest) -> Holder {
    let mut apart = Holder::start("apart", PAGES);
    apart.tell(&format!("run-on {}", guest.nodes[1][0]));
    apart.tell("touch");
    apart.tell(&format!("run-on {}", guest.nodes[0][0]));
    apart.tell("run-anywhere");
    apart.tell(&format!("threads {MORE}"));
    apart
}

fn threads(holder: &Holder) -> Vec<u32> {
    let folder = format!("/proc/{}/task", holder.pid());
    let entries = fs::read_dir(folder).expect("it runs");
    let names = entries.map(|entry| entry.expect("it is there").file_name());
    let number = |name: std::ffi::OsString| name.to_str()?.parse().ok();
    names.filter_map(number).collect()
}

fn affinities(holder: &Holder) -> Vec<(u32, Vec<usize>)> {
    let all = threads(holder).into_iter();
    all.map(|thread| (thread, affinity_of(thread))).collect()
}

/// Has the holder compute until the daemon has placed it. On which node.
fn until_placed(guest: &Guest, holder: &mut Holder) -> usize {
    let give_up = Instant::now() + PATIENCE;
    loop {
        holder.tell("compute 500");
        let all = affinities(holder);
        let is_on = |node: &&Vec<usize>| all.iter().all(|(_, cpus)| cpus == *node);
        if let Some(node) = guest.nodes.iter().position(|node| is_on(&node)) {
            return node;
        }
        assert!(Instant::now() < give_up, "nothing was changed: {all:?}");
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "never: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn a_daemon_brings_an_agent_together_and_all_is_as_it_was_after_its_end(guest: &Guest) {
    let mut apart = apart(guest);
    let before = affinities(&apart);
    let daemon = Daemon::start("act");
    let node = until_placed(guest, &mut apart);
    let past = daemon.past();
    let (&number, step) = past.steps.iter().next().expect("it is written down");
    assert_eq!(step.begun.agent, apart.name);
    assert!(
        step.begun.why.contains("lie on node 1"),
        "{}",
        step.begun.why
    );
    let is_on_node = || {
        let stat = fs::read_to_string(apart.cgroup.join("memory.numa_stat"));
        let stat = stat.expect("it is told");
        let line = stat.lines().find(|line| line.starts_with("anon "));
        let line = line.expect("it is told");
        let on = |node: usize| -> u64 {
            let field = line
                .split(' ')
                .find_map(|word| word.strip_prefix(&format!("N{node}=")));
            field.map_or(0, |bytes| bytes.parse().expect("a number"))
        };
        let all: u64 = (0..guest.nodes.len()).map(on).sum();
        on(node) * 10 >= all * 9
    };
    until("the memory is on the same node", is_on_node);
    // Somebody else wants one of the threads elsewhere.
    let (theirs, _) = before[1];
    let other = guest.nodes[(node + 1) % guest.nodes.len()][0];
    set_affinity(theirs, other);
    let is_yielded = || !daemon.past().steps[&number].yielded.is_empty();
    until(
        "it is noticed that somebody else has set a thread",
        is_yielded,
    );
    let journal = daemon.journal.clone();
    let said = told(&journal);
    assert!(
        said.contains("step 1, in force") && said.contains("somebody else"),
        "{said}"
    );
    let _folder = daemon.end(Signal::SIGTERM);
    for (thread, cpus) in before {
        let now = affinity_of(thread);
        if thread == theirs {
            assert_eq!(now, [other], "what is theirs was changed");
        } else {
            assert_eq!(now, cpus, "thread {thread} has not what it had");
        }
    }
    let (_, cause, _) = self::past(&journal).steps[&number]
        .undone
        .clone()
        .expect("it is taken back");
    assert_eq!(cause, Cause::Exit);
}

fn what_a_killed_daemon_has_changed_the_next_one_takes_back(guest: &Guest) {
    let mut apart = apart(guest);
    let before = affinities(&apart);
    let daemon = Daemon::start("act");
    until_placed(guest, &mut apart);
    let folder = daemon.end(Signal::SIGKILL);
    assert_ne!(
        affinities(&apart),
        before,
        "it is killed before it can take anything back"
    );
    let daemon = Daemon::start_in(folder, "observe");
    until("all is as it was", || affinities(&apart) == before);
    let is_found = |past: &Past| {
        let mut steps = past.steps.values();
        steps.all(|step| matches!(step.undone, Some((_, Cause::Found, _))))
    };
    until("the journal says so", || is_found(&daemon.past()));
    daemon.end(Signal::SIGTERM);
}

fn what_a_killed_daemon_has_changed_is_taken_back_without_another_one(guest: &Guest) {
    let mut apart = apart(guest);
    let before = affinities(&apart);
    let daemon = Daemon::start("act");
    until_placed(guest, &mut apart);
    let journal = daemon.journal.clone();
    let undo = || {
        let mut command = Command::new(HOSTLER);
        command.args(["undo", "--all", "--journal"]).arg(&journal);
        command.output().expect("hostler can be started")
    };
    let refused = undo();
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(sentence.contains("kill -USR1"), "{sentence}");
    let _folder = daemon.end(Signal::SIGKILL);
    let undone = undo();
    assert!(undone.status.success(), "{undone:?}");
    assert_eq!(affinities(&apart), before);
}

fn a_signal_takes_all_back_at_once(guest: &Guest) {
    let mut apart = apart(guest);
    let before = affinities(&apart);
    let daemon = Daemon::start("act");
    until_placed(guest, &mut apart);
    daemon.tell(Signal::SIGUSR1);
    until("all is as it was", || affinities(&apart) == before);
    // Two plans would have been made since.
    for _ in 0..40 {
        apart.tell("compute 500");
        assert_eq!(affinities(&apart), before, "it goes on");
    }
    daemon.end(Signal::SIGTERM);
}
