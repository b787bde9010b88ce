//! What holds of telling, with real servers on loopback.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

use hostler_decide::samples::{Numbers, Sample};

use super::*;

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that takes each request with what `answer` says, and tells of it.
fn server(
    answer: impl Fn(usize) -> Option<&'static str> + Send + 'static,
) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it has one");
    let (tell, heard) = channel();
    thread::spawn(move || {
        // Who is not answered is kept waiting.
        let mut unanswered = Vec::new();
        for number in 0.. {
            let Ok((mut stream, _)) = listener.accept() else {
                return;
            };
            let request = request(&mut stream);
            if tell.send(request).is_err() {
                return;
            }
            match answer(number) {
                Some(status) => {
                    let text = format!(
                        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
                    );
                    stream.write_all(text.as_bytes()).expect("it is read");
                }
                None => unanswered.push(stream),
            }
        }
    });
    (address, heard)
}

fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let count = stream.read(&mut buffer).expect("it is written");
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
            if body.len() >= length || count == 0 {
                return text;
            }
        }
    }
}

fn desk(text: &str) -> (AlertDesk, AlertThread) {
    let rule = "[[alert]]\nname = 'busy'\nof = 'host'\nmeasure = 'cpu'\nabove = 1\nover = '1s'\n\
                for = '0s'\nsummary = 'It is busy.'\n";
    let config = Config::parse("test", &format!("{text}\n{rule}")).expect("it makes sense");
    let (desk, thread) = AlertDesk::start().expect("a thread can be started");
    desk.configure(&config);
    (desk, thread)
}

/// A second in which the host used so many CPUs.
fn second(cpus: u64) -> Samples {
    let numbers = Numbers {
        length_us: 1_000_000,
        on_cpu_us: cpus * 1_000_000,
        ..Numbers::default()
    };
    Samples {
        length_us: 1_000_000,
        host: Sample {
            numbers,
            ..Sample::default()
        },
        ..Samples::default()
    }
}

fn body(request: &str) -> &str {
    let (_, body) = request.split_once("\r\n\r\n").expect("a head and a body");
    body
}

#[test]
fn a_webhook_is_told_of_each_change_and_again_of_what_it_did_not_take() {
    let (address, heard) = server(|number| {
        Some(if number == 0 {
            "503 Unavailable"
        } else {
            "200 OK"
        })
    });
    let token = tempfile::NamedTempFile::new().expect("there is room");
    std::fs::write(token.path(), "secret-1\n").expect("there is room");
    let (desk, thread) = desk(&format!(
        "[notify.webhook]\nurl = 'http://{address}/hook'\ntoken_file = '{}'",
        token.path().display()
    ));
    desk.judge(&second(2), 1_000);
    desk.judge(&second(0), 2_000);
    let requests: Vec<String> = (0..3)
        .map(|_| heard.recv_timeout(PATIENCE).expect("it is told"))
        .collect();
    assert!(
        requests[0].starts_with("POST /hook HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    assert!(
        requests[0].contains("authorization: Bearer secret-1\r\n"),
        "{}",
        requests[0]
    );
    assert_eq!(body(&requests[0]), body(&requests[1]));
    for text in [
        "\"status\":\"firing\"",
        "\"alert\":\"busy\"",
        "\"value\":2.0",
        "\"measure\":\"cpu\"",
        "It is busy.",
    ] {
        assert!(body(&requests[0]).contains(text), "{}", requests[0]);
    }
    assert!(
        body(&requests[2]).contains("\"status\":\"over\""),
        "{}",
        requests[2]
    );
    drop(desk);
    thread.end(PATIENCE);
}

#[test]
fn an_alertmanager_is_told_what_fires_and_until_when() {
    let (address, heard) = server(|_| Some("200 OK"));
    let (desk, thread) = desk(&format!(
        "[notify.alertmanager]\nurl = 'http://{address}/am/'"
    ));
    desk.judge(&second(2), 1_764_165_780_000);
    let request = heard.recv_timeout(PATIENCE).expect("it is told");
    assert!(
        request.starts_with("POST /am/api/v2/alerts HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(body(&request).starts_with('['), "{request}");
    for text in [
        "\"alertname\":\"busy\"",
        "\"severity\":\"warning\"",
        "\"startsAt\":\"2025-11-26T14:02:59.000Z\"",
        "\"endsAt\":",
    ] {
        assert!(body(&request).contains(text), "{request}");
    }
    assert!(!body(&request).contains("\"agent\""), "{request}");
    desk.judge(&second(0), 1_764_165_781_000);
    heard.recv_timeout(PATIENCE).expect("it is told");
    drop(desk);
    thread.end(PATIENCE);
}

#[test]
fn an_alertmanager_that_did_not_answer_hears_what_there_is_now_however_much_has_happened() {
    // The first request is never answered, and meanwhile more happens than any queue holds.
    let (address, heard) = server(|number| (number > 0).then_some("200 OK"));
    let (desk, thread) = desk(&format!(
        "[notify.alertmanager]\nurl = 'http://{address}'\ntimeout = '2s'"
    ));
    desk.judge(&second(2), 1_000);
    heard.recv_timeout(PATIENCE).expect("it is told");
    for at in 1..=1_001 {
        desk.judge(&second(if at % 2 == 0 { 2 } else { 0 }), at * 1_000);
        thread::sleep(Duration::from_micros(200));
    }
    let request = heard.recv_timeout(PATIENCE).expect("it is told again");
    let now = crate::instants::exact_instant(crate::instants::now_ms());
    let ends = body(&request).split("\"endsAt\":\"").skip(1);
    let ends: Vec<&str> = ends.map(|rest| &rest[..now.len()]).collect();
    assert!(
        !ends.is_empty() && ends.iter().all(|end| **end <= *now),
        "{request}"
    );
    assert!(desk.firing().is_empty());
    drop(desk);
    thread.end(PATIENCE);
}

#[test]
fn whoever_never_answers_holds_up_nobody_and_what_finds_no_room_is_counted() {
    let (address, heard) = server(|_| None);
    let (desk, thread) = desk(&format!("[notify.webhook]\nurl = 'http://{address}/'"));
    let began = Instant::now();
    for at in 0..500 {
        desk.judge(&second(if at % 2 == 0 { 2 } else { 0 }), at * 1_000);
        // As ticks do, it leaves the thread time to listen.
        thread::sleep(Duration::from_micros(200));
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    heard.recv_timeout(PATIENCE).expect("it is told");
    assert!(desk.deliveries().webhook.lost.load(Relaxed) > 300);
    drop(desk);
    let began = Instant::now();
    thread.end(PATIENCE);
    assert!(began.elapsed() < PATIENCE, "it ends all the same");
}

#[test]
fn what_is_refused_is_not_told_again() {
    let (address, heard) = server(|_| Some("400 Bad Request"));
    let (desk, thread) = desk(&format!("[notify.webhook]\nurl = 'http://{address}/'"));
    desk.judge(&second(2), 1_000);
    heard.recv_timeout(PATIENCE).expect("it is told");
    desk.judge(&second(0), 2_000);
    let next = heard.recv_timeout(PATIENCE).expect("the next one is told");
    assert!(body(&next).contains("\"status\":\"over\""), "{next}");
    drop(desk);
    thread.end(PATIENCE);
}
