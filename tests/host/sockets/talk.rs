//! Processes that talk to each other by TCP, and what the kernel tells of their sockets.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, ExitCode},
    thread,
};

use crate::{host::TestCgroup, load};

/// A process, with the number that it printed first: its port.
pub(crate) struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    /// Its end's port.
    pub(crate) number: u16,
}

impl Process {
    fn start(cgroup: &TestCgroup, before: &[&str], words: &[&str]) -> Self {
        let own = std::env::current_exe().expect("this binary has a path");
        let own = own.to_str().expect("its path is text");
        let words = [before, &[own, load::WORD], words].concat();
        let mut child = cgroup.start(&words);
        let mut output = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("it says something");
        let number = line.trim().parse().expect("it prints its port");
        Self {
            child,
            output,
            number,
        }
    }

    /// Lets a talker send and receive that many bytes, so many times.
    pub(crate) fn rounds(&mut self, rounds: u64, bytes: u64) {
        let input = self.child.stdin.as_mut().expect("it is a pipe");
        writeln!(input, "{rounds} {bytes}").expect("it reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it says something");
        assert_eq!(line.trim(), "done");
    }

    /// Ends it, and waits until it has.
    pub(crate) fn end(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().expect("it ends").success());
    }
}

/// Starts who sends back whatever comes; `before` are words in front of the command.
pub(crate) fn listen(cgroup: &TestCgroup, before: &[&str], address: &str) -> Process {
    Process::start(cgroup, before, &["listen", address])
}

/// Starts who connects to that.
pub(crate) fn talk(cgroup: &TestCgroup, before: &[&str], address: &str, port: u16) -> Process {
    Process::start(cgroup, before, &["talk", address, &port.to_string()])
}

/// The load of [`listen`]: until there is nothing more to read from its input.
pub(crate) fn run_listener(words: &[String]) -> ExitCode {
    let address: IpAddr = words[0].parse().expect("an address");
    let listener = TcpListener::bind((address, 0)).expect("there are ports");
    println!("{}", listener.local_addr().expect("it has one").port());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || send_back(stream.expect("it was accepted")));
        }
    });
    let mut rest = String::new();
    std::io::stdin().read_to_string(&mut rest).expect("its end");
    ExitCode::SUCCESS
}

fn send_back(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("TCP has it");
    let mut bytes = vec![0; 64 << 10];
    while let Ok(read) = stream.read(&mut bytes)
        && read > 0
    {
        if stream.write_all(&bytes[..read]).is_err() {
            return;
        }
    }
}

/// The load of [`talk`].
pub(crate) fn run_talker(words: &[String]) -> ExitCode {
    let address: IpAddr = words[0].parse().expect("an address");
    let port = words[1].parse().expect("a port");
    let end = SocketAddr::new(address, port);
    let mut stream = TcpStream::connect(end).expect("somebody listens");
    stream.set_nodelay(true).expect("TCP has it");
    println!("{}", stream.local_addr().expect("it has one").port());
    for line in std::io::stdin().lines() {
        let line = line.expect("it is text");
        let numbers: Vec<usize> = line
            .split(' ')
            .map(|word| word.parse().expect("a number"))
            .collect();
        let mut bytes = vec![7; numbers[1]];
        for _ in 0..numbers[0] {
            stream.write_all(&bytes).expect("the other end reads");
            stream.read_exact(&mut bytes).expect("the other end writes");
        }
        println!("done");
    }
    ExitCode::SUCCESS
}

/// The load that connects where nobody listens.
pub(crate) fn run_refused(words: &[String]) -> ExitCode {
    let port: u16 = words[0].parse().expect("a port");
    let times: u32 = words[1].parse().expect("a number");
    for _ in 0..times {
        TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
    }
    ExitCode::SUCCESS
}

/// What `TCP_INFO` tells of a socket, by way of `ss`.
#[derive(Debug, Default)]
pub(crate) struct Info {
    pub(crate) rtt_us: u64,
    pub(crate) min_rtt_us: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) received_bytes: u64,
    pub(crate) retransmitted: u64,
}

impl Info {
    /// Of the one connection whose own port is that; `before` are words in front of the command.
    pub(crate) fn of(before: &[&str], port: u16) -> Self {
        let own_port = format!("sport = :{port}");
        let words = [before, &["ss", "-tinH", "state", "established", &own_port]].concat();
        let output = Command::new(words[0])
            .args(&words[1..])
            .output()
            .expect("ss can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let field = |name: &str| {
            let after = |word: &str| Some(word.strip_prefix(name)?.strip_prefix(':')?.to_owned());
            text.split_whitespace().find_map(after)
        };
        let number = |name: &str| field(name).map_or(0, |text| text.parse().expect("a count"));
        // Milliseconds with three digits after the point.
        let microseconds = |text: &str| {
            let ms: f64 = text.parse().expect("a time");
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a time of some seconds at the most"
            )]
            let us = (ms * 1e3).round() as u64;
            us
        };
        let of_slash = |name: &str, part: usize| {
            let text = field(name)?;
            Some(text.split('/').nth(part)?.to_owned())
        };
        Self {
            rtt_us: of_slash("rtt", 0).map_or(0, |text| microseconds(&text)),
            min_rtt_us: field("minrtt").map_or(0, |text| microseconds(&text)),
            sent_bytes: number("bytes_acked"),
            received_bytes: number("bytes_received"),
            retransmitted: of_slash("retrans", 1).map_or(0, |text| text.parse().expect("a count")),
        }
    }
}
