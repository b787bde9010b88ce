//! Loads that hold still before their work and after it, so that whoever looks from outside sees
//! the work and nothing else: not the start of this binary, not the end of its threads.

use std::{
    io::{Read, Write},
    process::ExitCode,
    sync::mpsc::{Sender, channel},
    thread,
    time::{Duration, Instant},
};

use super::{cpu_time, pin};

type Work = Box<dyn FnOnce() + Send>;

/// Says `ready`, does its work when a line comes, says `done` with the CPU time that the kernel
/// has counted for the work in µs, and ends at the next line. Its threads stay until then.
pub(super) fn run(words: &[String]) -> ExitCode {
    let number = |at: usize| {
        words
            .get(at)
            .and_then(|word| word.parse::<u64>().ok())
            .unwrap_or(1)
    };
    let jobs = match words.first().map(String::as_str) {
        Some("spinners") => spinners(number(1), Duration::from_millis(number(2))),
        Some("ping-pong") => ping_pong(number(1)),
        Some("naps") => vec![naps(number(1))],
        Some("mixed") => mixed(Duration::from_millis(number(1))),
        Some("nothing") => nothing(number(1)),
        _ => return ExitCode::FAILURE,
    };
    println!("ready");
    wait_for_line();
    let before = cpu_time();
    let (finished, all_finished) = channel();
    let count = jobs.len();
    for work in jobs {
        start(work, finished.clone());
    }
    for _ in 0..count {
        all_finished.recv().expect("a worker says when it is done");
    }
    println!("done {}", cpu_time().saturating_sub(before).as_micros());
    wait_for_line();
    ExitCode::SUCCESS
}

/// A thread that stays when its work is done.
fn start(work: Work, finished: Sender<()>) {
    thread::spawn(move || {
        work();
        finished.send(()).expect("the main thread listens");
        loop {
            thread::park();
        }
    });
}

fn wait_for_line() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).expect("a line");
}

/// Threads that compute side by side on CPU 0.
fn spinners(threads: u64, time: Duration) -> Vec<Work> {
    (0..threads)
        .map(|_| {
            let work: Work = Box::new(move || {
                pin();
                let end = Instant::now() + time;
                while Instant::now() < end {
                    std::hint::spin_loop();
                }
            });
            work
        })
        .collect()
}

/// Two threads on CPU 0 that pass a byte to and fro.
fn ping_pong(rounds: u64) -> Vec<Work> {
    let (mut there_read, mut there_write) = std::io::pipe().expect("a pipe");
    let (mut back_read, mut back_write) = std::io::pipe().expect("a pipe");
    vec![
        Box::new(move || {
            pin();
            let mut byte = [0];
            for _ in 0..rounds {
                there_write.write_all(&byte).expect("a byte");
                back_read.read_exact(&mut byte).expect("a byte");
            }
        }),
        Box::new(move || {
            pin();
            let mut byte = [0];
            for _ in 0..rounds {
                there_read.read_exact(&mut byte).expect("a byte");
                back_write.write_all(&byte).expect("a byte");
            }
        }),
    ]
}

/// Sleeps for a millisecond, again and again.
fn naps(times: u64) -> Work {
    Box::new(move || {
        for _ in 0..times {
            thread::sleep(Duration::from_millis(1));
        }
    })
}

/// A spinner, messages and naps on CPU 0: waits of every kind, short ones and long ones.
fn mixed(time: Duration) -> Vec<Work> {
    let rounds = 3_000;
    let mut jobs = spinners(2, time);
    jobs.extend(ping_pong(rounds));
    jobs.push(naps(300));
    jobs
}

/// Threads that are there.
fn nothing(threads: u64) -> Vec<Work> {
    (0..threads)
        .map(|_| {
            let work: Work = Box::new(|| {});
            work
        })
        .collect()
}
