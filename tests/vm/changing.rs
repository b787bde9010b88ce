//! A daemon that acts: what it changes, what it leaves to others, and what is left of it at its end.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use hostler_act::{Cause, Journal, Members, Past};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    Test,
    guest::{Balancing, Guest, HOSTLER},
    holder::{self, Holder, affinity_of, set_affinity, threads_of},
    placement::PAGES,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "a_daemon_brings_an_agent_together_and_all_is_as_it_was_after_its_end",
        a_daemon_brings_an_agent_together_and_all_is_as_it_was_after_its_end,
    ),
    (
        "whenever_a_daemon_is_killed_all_can_be_put_back",
        whenever_a_daemon_is_killed_all_can_be_put_back,
    ),
    (
        "a_signal_takes_all_back_at_once",
        a_signal_takes_all_back_at_once,
    ),
    (
        "an_agent_of_a_rule_is_moved_and_given_back_by_hand",
        an_agent_of_a_rule_is_moved_and_given_back_by_hand,
    ),
];

/// Tests that take long, and need not run in each guest unless they are asked for: each runs on an old
/// kernel, or with four nodes, or both.
pub(crate) fn lack(guest: &Guest) -> Vec<(&'static str, String)> {
    let is_old = guest.series == "6.1";
    let runs_elsewhere = |at: usize| {
        let (name, _) = TESTS[at];
        let reason =
            format!("it takes a minute, and another guest runs it; by name: --test {name}");
        (name, reason)
    };
    let kills = (!is_old).then(|| runs_elsewhere(1));
    let others =
        (!is_old && guest.nodes.len() == 2).then(|| [runs_elsewhere(2), runs_elsewhere(3)]);
    let all = kills.into_iter().chain(others.into_iter().flatten());
    all.filter(|_| !guest.is_asked_for).collect()
}

/// An emulated machine takes its time, and a plan needs some seconds to go by.
const PATIENCE: Duration = Duration::from_mins(3);

/// How long to wait before looking again.
const TRY: Duration = Duration::from_millis(500);

/// After so many looks a holder that should run on one node is taken there once more.
const GONE_AFTER: u32 = 50;

/// Threads that the holder has beside its first one, and the one that computes.
const MORE: usize = 3;

/// A daemon with a folder of its own.
pub(crate) struct Daemon {
    process: Process,
    pub(crate) journal: PathBuf,
    folder: TempDir,
}

/// It is gone when this is dropped, also by a test that fails: the next one's daemon needs its port.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already can't be killed, and need not be.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

impl Daemon {
    pub(crate) fn start(mode: &str) -> Self {
        Self::start_in(tempfile::tempdir().expect("there is room"), mode, "")
    }

    /// In the folder of one before it, with some rules.
    fn start_in(folder: TempDir, mode: &str, rules: &str) -> Self {
        let file = configure(folder.path(), mode, rules);
        let child = Command::new(HOSTLER)
            .args(["run", "--config"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .expect("hostler can be started");
        let mut process = Process(child);
        let said = BufReader::new(process.0.stderr.take().expect("it is a pipe"));
        let mut said = said.lines().map_while(Result::ok);
        let measures = |line: String| {
            println!("{line}");
            line.contains("measuring")
        };
        assert!(said.any(measures), "it measures");
        thread::spawn(move || said.for_each(|line| println!("{line}")));
        Self {
            process,
            journal: folder.path().join("journal"),
            folder,
        }
    }

    /// Has it read another configuration.
    pub(crate) fn reload_with(&self, mode: &str) {
        configure(self.folder.path(), mode, "");
        self.asked(&["config", "reload"]);
    }

    fn past(&self) -> Past {
        past(&self.journal)
    }

    /// Runs a command that asks it; what it said.
    pub(crate) fn asked(&self, words: &[&str]) -> String {
        let mut command = Command::new(HOSTLER);
        let socket = self.folder.path().join("control.sock");
        command.args(words).arg("--socket").arg(socket);
        let output = command.output().expect("hostler can be started");
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn tell(&self, signal: Signal) {
        let id = i32::try_from(self.process.0.id()).expect("a process id");
        kill(Pid::from_raw(id), signal).expect("it runs");
    }

    /// Sends a signal and waits for the end. Its folder is left.
    pub(crate) fn end(mut self, signal: Signal) -> TempDir {
        self.tell(signal);
        self.process.0.wait().expect("it ends");
        self.folder
    }
}

/// Writes a daemon's configuration.
fn configure(folder: &Path, mode: &str, rules: &str) -> PathBuf {
    let path = folder.display();
    let config = format!(
        "control.socket = '{path}/control.sock'\nhistory.folder = ''\n\
         [signals]\nwakes = true\n\
         [plan]\nmode = '{mode}'\ninterval = '10s'\njournal = '{path}/journal'\n{rules}"
    );
    let file = folder.join("hostler.toml");
    fs::write(&file, config).expect("there is room");
    file
}

/// What `hostler journal` says.
pub(crate) fn told(journal: &Path) -> String {
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

/// A process that computes on node 0, may run anywhere, and has its memory on node 1.
///
/// The kernel has hidden some of its pages to see who touches them, as it does on any host that balances
/// memory between nodes, and balances no longer: it would take the process to its memory. Nor does the
/// process ever sleep: whoever wakes it up would take it to its own node.
fn apart(guest: &Guest) -> (Holder, Balancing) {
    let mut apart = Holder::start("apart", PAGES);
    apart.tell(&format!("run-on {}", guest.nodes[1][0]));
    apart.tell("touch");
    apart.tell(&format!("run-on {}", guest.nodes[0][0]));
    let balances = Balancing::set(true);
    apart.tell("compute 2000");
    drop(balances);
    let off = Balancing::set(false);
    apart.tell("compute-on");
    apart.tell(&format!("threads {MORE}"));
    apart.tell("run-anywhere");
    (apart, off)
}

pub(crate) fn affinities(holder: &Holder) -> Vec<(u32, Vec<usize>)> {
    let all = threads_of(holder.pid()).into_iter();
    all.map(|thread| (thread, affinity_of(thread))).collect()
}

/// Waits until the daemon has placed the holder. On which node.
fn until_placed(guest: &Guest, holder: &mut Holder) -> usize {
    let give_up = Instant::now() + PATIENCE;
    for looks in 1_u32.. {
        thread::sleep(TRY);
        let all = affinities(holder);
        let is_on = |node: &&Vec<usize>| all.iter().all(|(_, cpus)| cpus == *node);
        if let Some(node) = guest.nodes.iter().position(|node| is_on(&node)) {
            return node;
        }
        assert!(Instant::now() < give_up, "nothing was changed: {all:?}");
        // The kernel may have taken it to its memory, where it is well placed.
        if looks.is_multiple_of(GONE_AFTER) {
            holder.tell(&format!("go-to {}", guest.nodes[0][0]));
        }
    }
    unreachable!("it is given up before")
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "never: {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn a_daemon_brings_an_agent_together_and_all_is_as_it_was_after_its_end(guest: &Guest) {
    let (mut apart, _off) = apart(guest);
    let before = affinities(&apart);
    let daemon = Daemon::start("act");
    let node = until_placed(guest, &mut apart);
    let past = daemon.past();
    let (&number, step) = past.steps.iter().next().expect("it is written down");
    assert_eq!(step.begun.agent, apart.name);
    assert!(step.begun.why.contains("MiB lie "), "{}", step.begun.why);
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

/// When a daemon is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after it has begun to measure.
    Measuring(Duration),
    /// So long after it has begun to write a step down.
    Placing(Duration),
    /// So long after it was told to end, with a step in force.
    Ending(Duration),
}

impl Moment {
    /// By chance; the more often where most happens.
    fn by_chance(round: usize) -> Self {
        let chance = RandomState::new().hash_one(round);
        let within =
            |most: Duration| most.mul_f64(f64::from((chance >> 32) as u32) / 2.0_f64.powi(32));
        match round % 5 {
            0 => Self::Measuring(within(Duration::from_secs(14))),
            1 | 2 => Self::Placing(within(Duration::from_millis(60))),
            3 => Self::Placing(within(Duration::from_millis(600))),
            _ => Self::Ending(within(Duration::from_millis(60))),
        }
    }

    fn wait_for(self, guest: &Guest, daemon: &Daemon, agent: &mut Holder, written: u64) {
        let after = match self {
            Self::Measuring(after) => after,
            Self::Placing(after) => {
                let length = || fs::metadata(&daemon.journal).map_or(0, |file| file.len());
                let give_up = Instant::now() + PATIENCE;
                while length() <= written && Instant::now() < give_up {
                    thread::sleep(Duration::from_millis(1));
                }
                after
            }
            Self::Ending(after) => {
                until_placed(guest, agent);
                daemon.tell(Signal::SIGTERM);
                after
            }
        };
        thread::sleep(after);
    }
}

/// In each guest, so that each of the moments has its turn: emulated machines take half a minute for one.
const KILLS: usize = 5;

/// As many in each of three guests are fifty and one.
const KILLS_ASKED_FOR: usize = 17;

fn whenever_a_daemon_is_killed_all_can_be_put_back(guest: &Guest) {
    let _off = Balancing::set(false);
    let mut folder = tempfile::tempdir().expect("there is room");
    let journal = folder.path().join("journal");
    let mut placed = 0;
    let kills = if guest.is_asked_for {
        KILLS_ASKED_FOR
    } else {
        KILLS
    };
    for round in 0..kills {
        let moment = Moment::by_chance(round);
        let mut agent = Holder::start(&format!("killed-{round}"), PAGES);
        agent.tell(&format!("run-on {}", guest.nodes[1][0]));
        agent.tell("touch");
        agent.tell(&format!("run-on {}", guest.nodes[0][0]));
        agent.tell("compute-on");
        agent.tell("threads 60");
        agent.tell("run-anywhere");
        let before = affinities(&agent);
        let daemon = Daemon::start_in(folder, "act", "");
        let written = fs::metadata(&journal).map_or(0, |file| file.len());
        moment.wait_for(guest, &daemon, &mut agent, written);
        folder = daemon.end(Signal::SIGKILL);
        let changed = affinities(&agent)
            .iter()
            .zip(&before)
            .filter(|(now, was)| now != was)
            .count();
        println!(
            "round {round}: killed at {moment:?}: {changed} of {} threads changed",
            before.len()
        );
        placed += usize::from(changed > 0);
        if round % 2 == 0 {
            let mut command = Command::new(HOSTLER);
            command.args(["undo", "--all", "--journal"]).arg(&journal);
            let undone = command.output().expect("hostler can be started");
            assert!(undone.status.success() || !journal.exists(), "{undone:?}");
        } else {
            let next = Daemon::start_in(folder, "observe", "");
            until("all is as it was", || affinities(&agent) == before);
            folder = next.end(Signal::SIGTERM);
        }
        assert_eq!(affinities(&agent), before, "{moment:?}");
        if journal.exists() {
            assert_eq!(past(&journal).in_force().count(), 0, "{moment:?}");
        }
    }
    assert!(placed > 0, "no kill came while something was changed");
}

fn a_signal_takes_all_back_at_once(guest: &Guest) {
    let (mut apart, _off) = apart(guest);
    let before = affinities(&apart);
    let daemon = Daemon::start("act");
    until_placed(guest, &mut apart);
    // The journal is the daemon's.
    let mut command = Command::new(HOSTLER);
    command
        .args(["undo", "--all", "--journal"])
        .arg(&daemon.journal);
    let refused = command.output().expect("hostler can be started");
    let sentence = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(sentence.contains("kill -USR1"), "{sentence}");
    daemon.tell(Signal::SIGUSR1);
    until("all is as it was", || affinities(&apart) == before);
    // Two plans would have been made since.
    for _ in 0..40 {
        thread::sleep(TRY);
        assert_eq!(affinities(&apart), before, "it goes on");
    }
    daemon.end(Signal::SIGTERM);
}

fn an_agent_of_a_rule_is_moved_and_given_back_by_hand(guest: &Guest) {
    let (mut apart, _off) = apart(guest);
    let before = affinities(&apart);
    let folder = tempfile::tempdir().expect("there is room");
    let rule = format!(
        "[[rule]]\nname = 'held'\nmatch.cmdline = ' {} {PAGES}$'\n",
        holder::WORD
    );
    let daemon = Daemon::start_in(folder, "act", &rule);
    until_placed(guest, &mut apart);
    let past = daemon.past();
    let mut steps = past.in_force();
    let held = steps.find(|(_, step)| matches!(step.begun.members, Members::Processes(_)));
    let (step, _) = held.expect("the agent is its processes");
    until("it is carried out", || {
        daemon.asked(&["status"]).contains("1 in force")
    });
    assert!(daemon.asked(&["pause"]).contains("paused; 1 in force"));
    let undone = daemon.asked(&["undo", &step.to_string()]);
    assert!(undone.contains("is taken back"), "{undone}");
    assert_eq!(affinities(&apart), before);
    let resumed = daemon.asked(&["resume"]);
    assert!(!resumed.contains("paused"), "{resumed}");
    daemon.end(Signal::SIGTERM);
}
