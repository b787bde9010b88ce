//! Page faults are exactly those that the kernel counts of the process.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use nix::{
    fcntl::{PosixFadviseAdvice, posix_fadvise},
    sys::mman::{MlockAllFlags, mlockall},
    unistd::sync,
};
use serde_json::Value;

use crate::{
    Need, Test,
    attribution::{count, row_after_interrupt},
    block_io::Storage,
    host::{Host, PATIENCE, TestCgroup, start_hostler},
    load,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "faults_are_those_that_the_kernel_counts_also_of_memory_that_is_locked_or_populated",
        needs: &[Need::WritableCgroups],
        run: faults_are_those_that_the_kernel_counts_also_of_memory_that_is_locked_or_populated,
    },
    Test {
        name: "faults_before_a_thread_was_seen_below_proc_are_not_counted",
        needs: &[Need::WritableCgroups],
        run: faults_before_a_thread_was_seen_below_proc_are_not_counted,
    },
    Test {
        name: "faults_that_wait_for_storage_are_major_ones",
        needs: &[Need::WritableCgroups, Need::FileOnStorage],
        run: faults_that_wait_for_storage_are_major_ones,
    },
    Test {
        name: "as_many_faults_are_timed_as_the_kernel_counts_and_none_took_longer_than_was_waited",
        needs: &[Need::WritableCgroups, Need::FaultLatency],
        run: as_many_faults_are_timed_as_the_kernel_counts_and_none_took_longer_than_was_waited,
    },
    Test {
        name: "faults_that_wait_for_storage_are_timed_over_all_their_attempts",
        needs: &[
            Need::WritableCgroups,
            Need::Guest,
            Need::MemoryLimits,
            Need::FaultLatency,
        ],
        run: faults_that_wait_for_storage_are_timed_over_all_their_attempts,
    },
];

/// Pages that the load touches one by one, and as many again that are brought in at once.
const PAGES: usize = 512;
const PAGE_BYTES: usize = 4096;

/// Waits for a line, touches fresh memory page by page, says how long each page took in ns, and waits
/// for another line.
pub(crate) fn timed_load() -> ExitCode {
    let mut line = String::new();
    let mut lengths = Vec::with_capacity(PAGES);
    println!("ready");
    std::io::stdin().read_line(&mut line).expect("a line");
    // By chance, what is touched may lie so that huge pages hold all of it, with a fault or two.
    nix::sys::prctl::set_thp_disable(true).expect("it can do without");
    let mut touched = vec![0_u8; PAGES * PAGE_BYTES];
    // On the first page the allocator has left a note already.
    for page in touched.chunks_mut(PAGE_BYTES).skip(1) {
        let began = Instant::now();
        page[0] = 1;
        lengths.push(began.elapsed().as_nanos().to_string());
    }
    std::hint::black_box(&touched);
    println!("{}", lengths.join(" "));
    std::io::stdin().read_line(&mut line).expect("a line");
    ExitCode::SUCCESS
}

/// Waits for a line, touches fresh memory, lets the kernel bring in some more at once, says so, and
/// waits for another line.
pub(crate) fn load() -> ExitCode {
    let mut line = String::new();
    println!("ready");
    std::io::stdin().read_line(&mut line).expect("a line");
    let mut touched = vec![0_u8; PAGES * PAGE_BYTES];
    for page in touched.chunks_mut(PAGE_BYTES) {
        page[0] = 1;
    }
    // What is mapped from here on is populated at once, as with MAP_POPULATE, and locked.
    mlockall(MlockAllFlags::MCL_FUTURE).expect("root may lock memory");
    let populated = vec![0_u8; PAGES * PAGE_BYTES];
    std::hint::black_box((&touched, &populated));
    println!("done");
    std::io::stdin().read_line(&mut line).expect("a line");
    ExitCode::SUCCESS
}

/// A process that runs the load.
struct Load {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Load {
    fn start(mut child: Child) -> Self {
        let output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut load = Self { child, output };
        load.wait_for("ready");
        load
    }

    fn wait_for(&mut self, word: &str) {
        assert_eq!(self.line(), word);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it says something");
        line.trim().to_owned()
    }

    fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("it is a pipe");
        input.write_all(b"go\n").expect("the load reads");
    }

    fn faults(&self) -> [u64; 2] {
        faults_of(&self.child)
    }

    fn end(mut self) {
        self.go_on();
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// What the kernel has counted for a process once it is asleep: minor and major faults.
fn faults_of(process: &Child) -> [u64; 2] {
    let give_up = Instant::now() + PATIENCE;
    loop {
        let path = format!("/proc/{}/stat", process.id());
        let stat = fs::read_to_string(path).expect("it is there");
        // The fields after the name, which may hold anything.
        let (_, rest) = stat.rsplit_once(") ").expect("a name in brackets");
        let fields: Vec<&str> = rest.split(' ').collect();
        if fields[0] == "S" {
            return [fields[7], fields[9]].map(|field| field.parse().expect("a count"));
        }
        assert!(Instant::now() < give_up, "it does not sleep: {stat}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A loss is a switch that was not seen: faults until then are counted at the next one.
fn assert_exact(row: &Value, field: &str, truth: u64) {
    let (counted, lost) = (count(row, field), count(row, "lost"));
    assert!(
        counted == truth || lost > 0 && counted < truth,
        "{field}: {counted} is not {truth}: {row:#}"
    );
}

fn trace_load(host: &Host, threads_from: &str) {
    let cgroup = host.cgroup("faults");
    let mut load = Load::start(cgroup.start_load(&["faults"]));
    let before = load.faults();
    let words = ["trace", "faults", "--json", "--threads-from", threads_from];
    let tracer = start_hostler(&words);
    load.go_on();
    load.wait_for("done");
    let after = load.faults();
    let row = row_after_interrupt(tracer, &cgroup.name);
    let [minor, major] = [0, 1].map(|at| after[at] - before[at]);
    // What is populated may come in larger pieces than pages, but at least once.
    assert!(minor > PAGES as u64, "the kernel counted {minor}");
    assert_exact(&row, "minor_faults", minor);
    assert_exact(&row, "major_faults", major);
    load.end();
}

fn faults_are_those_that_the_kernel_counts_also_of_memory_that_is_locked_or_populated(host: &Host) {
    trace_load(host, "iterator");
}

fn faults_before_a_thread_was_seen_below_proc_are_not_counted(host: &Host) {
    trace_load(host, "procfs");
}

/// A program of which nothing is in memory: all of it that runs is read from storage.
struct ColdProgram(PathBuf);

impl ColdProgram {
    fn make(storage: &Storage) -> Self {
        let own = std::env::current_exe().expect("this binary has a path");
        let path = storage
            .folder()
            .join(format!("hostler-test-cold-{}", std::process::id()));
        fs::copy(own, &path).expect("there is room");
        let program = Self(path);
        sync();
        let file = fs::File::open(&program.0).expect("it is there");
        posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
            .expect("advice is taken");
        program
    }

    fn start(&self, cgroup: &TestCgroup) -> Child {
        let path = self.0.to_str().expect("its path is text");
        cgroup.start(&[path, load::WORD, "faults"])
    }
}

impl Drop for ColdProgram {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        let _absent = fs::remove_file(path);
    }
}

fn faults_that_wait_for_storage_are_major_ones(host: &Host) {
    let storage = Storage::find().expect("it was there a moment ago");
    let cgroup = host.cgroup("cold");
    let program = ColdProgram::make(&storage);
    let tracer = start_hostler(&["trace", "faults", "--json"]);
    let load = Load::start(program.start(&cgroup));
    let [_, major] = load.faults();
    let row = row_after_interrupt(tracer, &cgroup.name);
    assert!(major > 0, "nothing was read from storage");
    assert_exact(&row, "major_faults", major);
    let mut load = load;
    load.go_on();
    load.wait_for("done");
    load.end();
}

/// The buckets of a row's histogram: where each starts, in ns, and how many faults it holds.
fn buckets(row: &Value, histogram: &str) -> Vec<(u64, u64)> {
    let buckets = row[histogram]["buckets"]
        .as_array()
        .expect("it is measured");
    let number = |value: &Value| value.as_u64().expect("a number");
    buckets
        .iter()
        .map(|bucket| (number(&bucket[0]), number(&bucket[2])))
        .collect()
}

fn assert_all_are_timed(row: &Value) {
    for (field, histogram) in [
        ("minor_faults", "minor_latency"),
        ("major_faults", "major_latency"),
    ] {
        let timed: u64 = buckets(row, histogram).iter().map(|(_, count)| count).sum();
        assert_exact(row, field, timed);
    }
}

fn as_many_faults_are_timed_as_the_kernel_counts_and_none_took_longer_than_was_waited(host: &Host) {
    let cgroup = host.cgroup("timed");
    let mut load = Load::start(cgroup.start_load(&["timed-faults"]));
    let before = load.faults();
    let tracer = start_hostler(&["trace", "faults", "--json"]);
    load.go_on();
    let lengths_ns: Vec<u64> = load
        .line()
        .split(' ')
        .map(|word| word.parse().expect("a number"))
        .collect();
    let [minor, _] = load.faults();
    let row = row_after_interrupt(tracer, &cgroup.name);
    assert_exact(&row, "minor_faults", minor - before[0]);
    assert_all_are_timed(&row);
    // A page's touch holds its fault; those that were not for a touch may be as long as they like.
    let latencies = buckets(&row, "minor_latency");
    let timed: u64 = latencies.iter().map(|(_, count)| count).sum();
    let others = timed.saturating_sub(lengths_ns.len() as u64);
    for &(start_ns, _) in &latencies {
        let longer = latencies
            .iter()
            .filter(|(other_ns, _)| *other_ns >= start_ns);
        let longer: u64 = longer.map(|(_, count)| count).sum();
        let waited = lengths_ns.iter().filter(|&&ns| ns >= start_ns).count() as u64;
        assert!(
            longer <= waited + others,
            "{longer} faults took {start_ns} ns and more, {waited} touches did, {others} are others"
        );
    }
    load.end();
}

/// A file system on storage of its own, of which nothing is in memory when a program is started from
/// it. Gone when it is dropped.
struct ColdFiles(tempfile::TempDir);

impl ColdFiles {
    fn with(program: &str) -> Self {
        let files = Self(tempfile::tempdir().expect("there is room"));
        let image = files.0.path().join("image");
        let image_path = image.to_str().expect("its path is text");
        fs::File::create(&image)
            .and_then(|file| file.set_len(16 << 20))
            .expect("there is room");
        let mount_path = files.0.path().join("mount");
        fs::create_dir(&mount_path).expect("there is room");
        let mount_path = mount_path.to_str().expect("its path is text");
        let mount = ["mount", "-o", "loop", image_path, mount_path];
        run(&["modprobe", "loop"]);
        run(&["mkfs.ext4", "-q", image_path]);
        run(&mount);
        run(&["cp", program, &format!("{mount_path}/program")]);
        run(&["umount", mount_path]);
        run(&mount);
        files
    }

    fn program(&self) -> String {
        let path = self.0.path().join("mount/program");
        path.to_str().expect("its path is text").to_owned()
    }
}

impl Drop for ColdFiles {
    fn drop(&mut self) {
        let mount = self.0.path().join("mount");
        run(&["umount", mount.to_str().expect("its path is text")]);
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output();
    let output = output.unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(output.status.success(), "{words:?}: {output:?}");
}

/// How often a program that waits for lines has to fetch its pages.
const COLD_LINES: usize = 16;

fn faults_that_wait_for_storage_are_timed_over_all_their_attempts(host: &Host) {
    let files = ColdFiles::with("/bin/cat");
    let cgroup = host.cgroup("cold-timed");
    let mut child = cgroup.start(&[&files.program()]);
    let mut output = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let mut input = child.stdin.take().expect("it is a pipe");
    let mut repeat_a_line = || {
        input.write_all(b"go\n").expect("it reads");
        let mut line = String::new();
        output.read_line(&mut line).expect("it says the same");
    };
    repeat_a_line();
    let [_, before] = faults_of(&child);
    let tracer = start_hostler(&["trace", "faults", "--json"]);
    // Storage may be quicker than the thread that waits for it, so one fault may not have to wait.
    for _ in 0..COLD_LINES {
        // It waits for a line, and its pages that can be fetched again are taken away meanwhile.
        let _less = fs::write(cgroup.path().join("memory.reclaim"), "64M");
        repeat_a_line();
    }
    let [_, after] = faults_of(&child);
    let row = row_after_interrupt(tracer, &cgroup.name);
    assert!(after > before, "nothing had to be fetched");
    assert_exact(&row, "major_faults", after - before);
    assert_all_are_timed(&row);
    // It reads no files: whatever it was blocked for lies within a fault, if all attempts count.
    let longest_ns: u64 = row["major_latency"]["buckets"]
        .as_array()
        .expect("it is measured")
        .iter()
        .map(|bucket| bucket[1].as_u64().expect("an end") * bucket[2].as_u64().expect("a count"))
        .sum();
    let blocked_ns = count(&row, "blocked_io_ns");
    assert!(blocked_ns > 0, "no fault waited: {row:#}");
    assert!(
        longest_ns >= blocked_ns,
        "faults took {longest_ns} ns at the most, it was blocked for {blocked_ns} ns: {row:#}"
    );
    drop(input);
    assert!(child.wait().expect("it ends").success());
}
