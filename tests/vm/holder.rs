//! A process in a cgroup of its own that holds memory, and does with it what it is told.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitCode, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The first word of a command line that asks for the process.
pub(crate) const WORD: &str = "hold";

const PAGE_BYTES: usize = 4096;

/// How often and how long to wait for what a killed process leaves.
const TRIES: u32 = 100;
const TRY: Duration = Duration::from_millis(50);

/// Runs the process: goes to a CPU, alone or with all of its threads, or may run on any again, starts
/// threads that wait, or ends one of them, or two that work in turns, begun on two CPUs, computes for some
/// ms, or on and on in a thread of its own, or touches all of its memory, which it takes when it does so for
/// the first time, as it is told. Each line is answered.
pub(crate) fn run(words: &[String]) -> ExitCode {
    let pages: usize = words[0].parse().expect("a number of pages");
    let mut memory = Vec::new();
    let mut threads = Vec::new();
    println!("ready");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        if let Some(cpu) = line.strip_prefix("run-on ") {
            run_on(cpu.parse().expect("a number"));
        } else if let Some(cpu) = line.strip_prefix("go-to ") {
            // All of it, and from there on anywhere.
            let cpu = cpu.parse().expect("a number");
            set_all(&[cpu]);
            set_all(&anywhere());
        } else if line == "run-anywhere" {
            set_all(&anywhere());
        } else if let Some(many) = line.strip_prefix("threads ") {
            let many: usize = many.parse().expect("a number");
            threads.extend((0..many).map(|_| waiting()));
        } else if line == "end-thread" {
            let (end, thread) = threads.pop().expect("it has one");
            drop(end);
            thread.join().expect("it ends");
        } else if let Some(cpus) = line.strip_prefix("work-on ") {
            let (one, other) = cpus.split_once(' ').expect("two numbers");
            work_on([one, other].map(|cpu| cpu.parse().expect("a number")));
        } else if line == "compute-on" {
            thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        } else if let Some(ms) = line.strip_prefix("compute ") {
            compute(Duration::from_millis(ms.parse().expect("a number")));
        } else {
            memory.resize(pages * PAGE_BYTES, 0_u8);
            for (number, page) in memory.chunks_mut(PAGE_BYTES).enumerate() {
                // Compresses as text does, and is never all zeroes.
                page[0] = page[0].wrapping_add(1).max(1);
                page[1..9].copy_from_slice(&number.to_le_bytes());
            }
        }
        println!("done");
    }
    ExitCode::SUCCESS
}

fn compute(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {}
}

/// Two threads that hand work to each other for as long as the process runs: each computes for a while and
/// wakes the other, and the second one rests before it does.
fn work_on(cpus: [usize; 2]) {
    const WORK: Duration = Duration::from_millis(6);
    const REST: Duration = Duration::from_millis(88);
    let (to_second, from_first) = mpsc::sync_channel(1);
    let (to_first, from_second) = mpsc::sync_channel(1);
    to_first.send(()).expect("there is room");
    let begun = [(); 2].map(|()| mpsc::channel());
    let [first_begun, second_begun] = begun.each_ref().map(|(begun, _)| begun.clone());
    let works = move |cpu,
                      begun: mpsc::Sender<()>,
                      from: mpsc::Receiver<()>,
                      to: mpsc::SyncSender<()>,
                      rest| {
        run_on(cpu);
        begun.send(()).expect("it is waited for");
        while from.recv().is_ok() {
            compute(WORK);
            thread::sleep(rest);
            if to.send(()).is_err() {
                return;
            }
        }
    };
    thread::spawn(move || works(cpus[0], first_begun, from_second, to_second, Duration::ZERO));
    thread::spawn(move || works(cpus[1], second_begun, from_first, to_first, REST));
    for (_, begun) in begun {
        begun.recv().expect("it begins");
    }
}

fn anywhere() -> Vec<usize> {
    (0..CpuSet::count()).collect()
}

fn set_all(cpus: &[usize]) {
    for thread in threads_of(std::process::id()) {
        set_cpus(thread, cpus.iter().copied());
    }
}

/// The threads of a process.
pub(crate) fn threads_of(process: u32) -> Vec<u32> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let names = entries.map(|entry| entry.expect("it is there").file_name());
    let numbers = names.filter_map(|name| name.to_str()?.parse().ok());
    numbers.collect()
}

/// A thread that waits until it is told to end.
fn waiting() -> (mpsc::Sender<()>, thread::JoinHandle<()>) {
    let (end, ended) = mpsc::channel::<()>();
    let wait = move || {
        let _ended = ended.recv();
    };
    (end, thread::spawn(wait))
}

/// Puts this thread on a CPU.
pub(crate) fn run_on(cpu: usize) {
    set_affinity(0, cpu);
}

/// Puts a thread on a CPU; 0 is this one.
pub(crate) fn set_affinity(thread: u32, cpu: usize) {
    set_cpus(thread, [cpu]);
}

fn set_cpus(thread: u32, cpus: impl IntoIterator<Item = usize>) {
    let mut set = CpuSet::new();
    for cpu in cpus {
        set.set(cpu).expect("it is small");
    }
    sched_setaffinity(Pid::from_raw(thread.cast_signed()), &set).expect("a CPU of these is there");
}

/// The CPUs on which a thread may run.
pub(crate) fn affinity_of(thread: u32) -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(thread.cast_signed())).expect("it runs");
    let is_set = |&cpu: &usize| set.is_set(cpu).expect("it is small");
    (0..CpuSet::count()).filter(is_set).collect()
}

/// The process, with its cgroup. Both are gone when it is dropped.
pub(crate) struct Holder {
    pub(crate) name: String,
    pub(crate) cgroup: PathBuf,
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Holder {
    pub(crate) fn start(label: &str, pages: usize) -> Self {
        let name = format!("hostler-test-{}-{label}", std::process::id());
        let cgroup = PathBuf::from("/sys/fs/cgroup").join(&name);
        fs::create_dir(&cgroup).expect("a guest's cgroups can be made");
        let own = std::env::current_exe().expect("this binary has a path");
        let mut child = Command::new(own)
            .args([WORD, &pages.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary can be started");
        // Memory is charged where it is touched first: nothing of note until it is told to.
        fs::write(cgroup.join("cgroup.procs"), child.id().to_string()).expect("it can be moved");
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut holder = Self {
            name,
            cgroup,
            child,
            output,
        };
        assert_eq!(holder.answer(), "ready");
        holder
    }

    /// The process's id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something, and waits until it is done.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.child.stdin.as_mut().expect("it is a pipe");
        writeln!(input, "{line}").expect("it reads");
        assert_eq!(self.answer(), "done");
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line.trim().to_owned()
    }

    /// A number of one of its cgroup's files; 0 if the kernel does not tell it.
    pub(crate) fn number(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.cgroup.join(file)).expect("the file is there");
        number_in(&text, name)
    }
}

/// The number behind a name at the beginning of a line; 0 if there is none.
pub(crate) fn number_in(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
        .unwrap_or(0)
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.child.kill().expect("it runs until here");
        self.child.wait().expect("it ends");
        for _ in 0..TRIES {
            if fs::remove_dir(&self.cgroup).is_ok() {
                return;
            }
            thread::sleep(TRY);
        }
    }
}
