//! Whoever asks the daemon, also slowly, wrongly, or without end.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, Instant},
};

use super::{
    Daemon, SOCKET,
    http::{connect, get, get_with, read_answer},
};
use crate::{Need, Test, host::Host};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "who_asks_for_what_is_not_there_or_too_long_is_told_so",
        needs: &[],
        run: who_asks_for_what_is_not_there_or_too_long_is_told_so,
    },
    Test {
        name: "slow_and_broken_clients_hold_up_neither_ticks_nor_others_and_are_cut_off",
        needs: &[Need::OwnMachine],
        run: slow_and_broken_clients_hold_up_neither_ticks_nor_others_and_are_cut_off,
    },
    Test {
        name: "ten_thousand_scrapes_leave_no_memory_and_no_descriptor_behind",
        needs: &[Need::RealSpeed],
        run: ten_thousand_scrapes_leave_no_memory_and_no_descriptor_behind,
    },
];

fn who_asks_for_what_is_not_there_or_too_long_is_told_so(_host: &Host) {
    let daemon = Daemon::start("");
    let at = daemon.address;
    assert_eq!(get(at, "/healthz").text(), "ok\n");
    assert_eq!(get(at, "/readyz").text(), "ok\n");
    assert!(get(at, "/").text().contains("/metrics"));
    assert_eq!(get(at, "/nothing").status, 404);
    assert_eq!(get(at, &format!("/{}", "a".repeat(2_000))).status, 414);
    let long = format!("X-Long: {}\r\n", "a".repeat(40_000));
    assert_eq!(get_with(at, "/metrics", &long).status, 431);
    let many = "X-Many: 1\r\n".repeat(200);
    assert_eq!(get_with(at, "/metrics", &many).status, 431);
    let mut stream = connect(at);
    let request = b"POST /metrics HTTP/1.1\r\nHost: test\r\nContent-Length: 9999999\r\n\r\n";
    stream.write_all(request).expect("it is taken");
    assert_eq!(read_answer(&mut stream).status, 405);
    let mut stream = connect(at);
    stream
        .write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        .expect("it is taken");
    assert_eq!(read_answer(&mut stream).status, 400);
    assert_eq!(get(at, "/healthz").text(), "ok\n");
    daemon.end();
}

fn slow_and_broken_clients_hold_up_neither_ticks_nor_others_and_are_cut_off(_host: &Host) {
    const CLIENTS: usize = 200;
    let daemon = Daemon::start("");
    let (before, began) = (daemon.ticks(), Instant::now());
    let callers = slow_and_broken_callers(&daemon.folder.path().join(SOCKET), CLIENTS / 2);
    let silent: Vec<_> = (0..CLIENTS / 2).map(|_| connect(daemon.address)).collect();
    let mut unfinished: Vec<_> = (0..CLIENTS / 4).map(|_| connect(daemon.address)).collect();
    for stream in &mut unfinished {
        stream.write_all(b"GET /metrics HTT").expect("it is taken");
    }
    // Who asks again and again and does not read fills the sockets' buffers.
    let mut deaf: Vec<_> = (0..CLIENTS / 4).map(|_| connect(daemon.address)).collect();
    for stream in &mut deaf {
        stream.set_nonblocking(true).expect("it can");
        let requests = "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n".repeat(2_000);
        // As much as there is room for.
        let _written = stream.write(requests.as_bytes());
    }
    while began.elapsed() < Duration::from_secs(5) {
        assert_eq!(get(daemon.address, "/metrics").status, 200);
        std::thread::sleep(Duration::from_millis(200));
    }
    let ticks = daemon.ticks() - before;
    let seconds = began.elapsed().as_secs_f64();
    assert!(ticks > seconds / 2.0, "{ticks} ticks in {seconds} s");
    for mut stream in silent.into_iter().chain(unfinished) {
        let mut rest = Vec::new();
        // The end of the connection, also one with a word of why.
        let ended = stream.read_to_end(&mut rest);
        let is_open = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!is_open, "a client that says nothing is still held");
    }
    let cut = "hostler_connections_refused_total{interface=\"http\",reason=\"cut_off\"} ";
    daemon.wait_for(cut, |count| count >= CLIENTS as f64);
    drop(deaf);
    // Of those who call, some found no place, and the others are cut off by now, or soon.
    let refused = |reason| {
        let labels = format!("{{interface=\"control\",reason=\"{reason}\"}} ");
        format!("hostler_connections_refused_total{labels}")
    };
    daemon.wait_for(&refused("too_many"), |count| count >= 1.0);
    daemon.wait_for(&refused("cut_off"), |count| count >= 32.0);
    let asked = daemon.ask(&["status"]);
    assert!(asked.status.success(), "nobody else is answered");
    drop(callers);
    daemon.end();
}

fn ten_thousand_scrapes_leave_no_memory_and_no_descriptor_behind(_host: &Host) {
    let daemon = Daemon::start("");
    let scrape = |times: u32| {
        for _ in 0..times {
            assert_eq!(get(daemon.address, "/metrics").status, 200);
        }
    };
    scrape(1_000);
    let memory = "process_resident_memory_bytes ";
    let (ticks, before) = (daemon.ticks(), daemon.value(memory).expect("it is there"));
    let descriptors = daemon.value("process_open_fds ").expect("it is there");
    let began = Instant::now();
    scrape(10_000);
    let (seconds, passed) = (began.elapsed().as_secs_f64(), daemon.ticks() - ticks);
    assert!(passed > seconds / 2.0, "{passed} ticks in {seconds} s");
    let after = daemon.value(memory).expect("it is there");
    assert!(
        after < before + 4e6,
        "{before} bytes before and {after} after"
    );
    daemon.wait_for("process_open_fds ", |now| now <= descriptors + 2.0);
    daemon.end();
}

/// So many clients of the control API that say nothing, or what makes no sense, or do not read.
fn slow_and_broken_callers(socket: &Path, count: usize) -> Vec<UnixStream> {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    // Settings, and then a ping again and again, whose answers nobody reads.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let mut deaf = [PREFACE, &settings].concat();
    deaf.extend(ping.repeat(50_000));
    let says: [&[u8]; 4] = [b"", b"GET / HTTP/1.1\r\n\r\n", &PREFACE[..10], &deaf];
    let mut callers = Vec::with_capacity(count);
    for number in 0..count {
        // Where there is no place, it may be over before it has begun.
        let Ok(mut stream) = UnixStream::connect(socket) else {
            continue;
        };
        stream.set_nonblocking(true).expect("it can");
        let _written = stream.write(says[number % says.len()]);
        callers.push(stream);
    }
    callers
}
