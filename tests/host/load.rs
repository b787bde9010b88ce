//! Loads whose truth is known: this binary runs them in processes of their own.

mod staged;

use std::{
    io::{Read, Write},
    net::UdpSocket,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sched::{CpuSet, sched_setaffinity},
    sys::{
        resource::{UsageWho, getrusage},
        time::{TimeVal, TimeValLike as _},
    },
    unistd::Pid,
};

/// The first word of a command line that asks for a load.
pub(crate) const WORD: &str = "load";

/// In place of a load: waits for a line, then runs the load that the words after it name.
pub(crate) const LINES_THEN: &str = "line-then";

/// Runs a load and prints the context switches that the kernel has counted for this process:
/// voluntary ones up to the load and up to its end, then those that were not, likewise. What lies
/// before the load is the process's way into its cgroup and the start of this binary.
pub(crate) fn run(words: &[String]) -> ExitCode {
    if words.first().is_some_and(|word| word == LINES_THEN) {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).expect("a line");
        return run(&words[1..]);
    }
    let number = |at: usize| {
        words
            .get(at)
            .and_then(|word| word.parse::<u64>().ok())
            .unwrap_or(1)
    };
    match words.first().map(String::as_str) {
        Some("staged") => return staged::run(&words[1..]),
        Some("last-run") => return last_run(Duration::from_micros(number(1))),
        Some("listen") => return crate::sockets::run_listener(&words[1..]),
        Some("talk") => return crate::sockets::run_talker(&words[1..]),
        Some("refused") => return crate::sockets::run_refused(&words[1..]),
        Some("toil") => return toil(Duration::from_millis(number(1))),
        _ => {}
    }
    let before = switches();
    match words.first().map(String::as_str) {
        Some("spin") => spin(number(1), Duration::from_millis(number(2))),
        Some("sleep") => sleep(number(1)),
        Some("ping-pong") => ping_pong(number(1)),
        Some("flood") => flood(Duration::from_millis(number(1))),
        Some("exec-by-thread") => exec_by_thread(number(1)),
        Some("wait-for-word") => wait_for_word(number(1)),
        Some("hog") => crate::oom::load(),
        Some("faults") => return crate::faults::load(),
        Some("timed-faults") => return crate::faults::timed_load(),
        Some("storage") => return crate::block_io::load(&words[1..]),
        _ => return ExitCode::FAILURE,
    }
    let after = switches();
    println!("{} {} {} {}", before.0, after.0, before.1, after.1);
    ExitCode::SUCCESS
}

/// CPU time of this process so far, as the kernel has it.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel counts");
    let micros = |time: TimeVal| {
        u64::try_from(time.num_microseconds()).expect("time does not run backwards")
    };
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

/// Computes for a known time and exits, if nobody interferes in a single run: prints that time in
/// µs, and how often it was switched out meanwhile.
fn last_run(time: Duration) -> ExitCode {
    let (voluntary, involuntary) = switches();
    let before = cpu_time();
    while cpu_time().saturating_sub(before) < time {
        std::hint::spin_loop();
    }
    let ran = cpu_time().saturating_sub(before);
    let after = switches();
    let switched = after.0 - voluntary + after.1 - involuntary;
    println!("{} {switched}", ran.as_micros());
    ExitCode::SUCCESS
}

/// Waits until its input ends; then computes a little and sleeps a little, again and again.
fn toil(time: Duration) -> ExitCode {
    let mut input = String::new();
    std::io::stdin()
        .read_to_string(&mut input)
        .expect("it ends");
    let end = Instant::now() + time;
    while Instant::now() < end {
        let pause = Instant::now() + Duration::from_micros(500);
        while Instant::now() < pause {
            std::hint::spin_loop();
        }
        thread::sleep(Duration::from_millis(200));
    }
    ExitCode::SUCCESS
}

fn switches() -> (i64, i64) {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel counts");
    (
        usage.voluntary_context_switches(),
        usage.involuntary_context_switches(),
    )
}

/// Threads that compute side by side on CPU 0.
fn spin(threads: u64, time: Duration) {
    pin();
    let end = Instant::now() + time;
    let spinners: Vec<_> = (0..threads)
        .map(|_| {
            thread::spawn(move || {
                while Instant::now() < end {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    for spinner in spinners {
        spinner.join().expect("it only computes");
    }
}

/// One thread that sleeps for a millisecond, again and again.
fn sleep(times: u64) {
    for _ in 0..times {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Two threads on one CPU that pass a byte to and fro.
fn ping_pong(rounds: u64) {
    pin();
    let (mut there_read, mut there_write) = std::io::pipe().expect("a pipe");
    let (mut back_read, mut back_write) = std::io::pipe().expect("a pipe");
    let partner = thread::spawn(move || {
        let mut byte = [0];
        for _ in 0..rounds {
            there_read.read_exact(&mut byte).expect("a byte");
            back_write.write_all(&byte).expect("a byte");
        }
    });
    let mut byte = [0];
    for _ in 0..rounds {
        there_write.write_all(&byte).expect("a byte");
        back_read.read_exact(&mut byte).expect("a byte");
    }
    partner.join().expect("it only passes bytes");
}

/// Datagrams to this machine itself, from CPU 0: the kernel takes each in by a softirq on that CPU.
fn flood(time: Duration) {
    pin();
    let receiver = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let to = receiver.local_addr().expect("it is bound");
    let end = Instant::now() + time;
    while Instant::now() < end {
        // Nobody reads, so that most find no room: that is no failure here.
        let _sent = sender.send_to(&[0; 1_024], to);
    }
}

/// A second thread that becomes another load: it takes on the id of the first.
fn exec_by_thread(spin_ms: u64) {
    let own = std::env::current_exe().expect("this binary has a path");
    let mut load = Command::new(own);
    load.args([WORD, "spin", "1", &spin_ms.to_string()]);
    let thread = thread::spawn(move || load.exec());
    let error = thread.join();
    panic!("exec returned: {error:?}");
}

/// Threads that do nothing until a line comes, then wake once a millisecond for 100 times.
fn wait_for_word(threads: u64) {
    let mut line = String::new();
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let receiver = std::sync::Arc::new(std::sync::Mutex::new(receiver));
    let waiters: Vec<_> = (1..threads)
        .map(|_| {
            let receiver = std::sync::Arc::clone(&receiver);
            thread::spawn(move || {
                // The sender is dropped when the line has come, which ends the wait of each.
                let _dropped = receiver.lock().map(|receiver| receiver.recv());
                sleep(100);
            })
        })
        .collect();
    println!("ready");
    std::io::stdin().read_line(&mut line).expect("a line");
    drop(sender);
    sleep(100);
    for waiter in waiters {
        waiter.join().expect("it only sleeps");
    }
}

fn pin() {
    let mut first = CpuSet::new();
    first.set(0).expect("there is a CPU 0");
    sched_setaffinity(Pid::from_raw(0), &first).expect("CPU 0 is allowed");
}
