//! What holds of the control API, with real clients at a real socket.

use std::{
    io::Read as _,
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use hostler_decide::{scene::Scene, signal::Reading, window::Window};
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};

use super::{connections::MAX_TRUSTED, watchers::MAX_WATCHERS, *};
use crate::{
    config::Config,
    control::{Client, WatchedError},
    reports::Schedule,
    service::{
        front::Front,
        tick::{Beginning, Pace, Tick, Told},
    },
    simulated,
};

/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A front of a simulated host, which listens at a socket of its own.
struct Daemon {
    front: Front,
    host: simulated::Host,
    socket: PathBuf,
    questions: Receiver<Question>,
    folder: TempDir,
}

impl Daemon {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let socket = folder.path().join("run/control.sock");
        let (asked, questions) = channel(1);
        let front = Front::start(&config(&socket, ""), asked).expect("it can listen");
        Self {
            front,
            host: simulated::Host::new(7),
            socket,
            questions,
            folder,
        }
    }

    fn begin(&mut self) -> Told {
        let told = told(&mut self.host);
        self.front.begin(Beginning {
            facts: simulated::facts(),
            told: told.clone(),
            tick: Duration::from_secs(1),
        });
        told
    }

    fn tick(&mut self) -> Told {
        let told = told(&mut self.host);
        let tick = Tick {
            window: Window::default(),
            told: told.clone(),
            paces: vec![Pace {
                read: Duration::ZERO,
                window: Duration::ZERO,
                is_late: false,
            }],
            cost: None,
        };
        self.front.hand_over(tick).expect("it takes it");
        told
    }

    fn client(&self) -> Client {
        let client = Client::connect(&self.socket).expect("root may");
        client.expect("it listens")
    }
}

fn config(socket: &std::path::Path, more: &str) -> Config {
    let text = format!(
        "metrics.listen = ''\nhistory.folder = ''\n[control]\nsocket = '{}'\n{more}",
        socket.display()
    );
    Config::parse("test.toml", &text).expect("it makes sense")
}

fn told(host: &mut simulated::Host) -> Told {
    let moment = host.read();
    Told {
        reading: Arc::new(moment.reading),
        wall_ms: moment.wall_ms,
    }
}

/// Waits until `is_so`.
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < give_up, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The front takes what the loop hands over a little later.
fn wait_until_it_begins(client: &Client) {
    wait_until("it begins", || {
        !client.status().expect("it answers").host.is_empty()
    });
}

#[test]
fn a_watcher_is_told_each_reading_bit_for_bit() {
    let mut daemon = Daemon::start();
    let beginning = daemon.begin();
    let client = daemon.client();
    wait_until_it_begins(&client);
    let watched = client.watch().expect("it tells");
    assert_eq!(watched.beginning().reading, *beginning.reading);
    assert_eq!(watched.beginning().wall_ms, beginning.wall_ms);
    assert_eq!(*watched.facts(), simulated::facts());
    let ticks: Vec<Told> = (0..8).map(|_| daemon.tick()).collect();
    let mut seen = Vec::new();
    let look = |reading: &Reading, _: &Scene| -> Result<bool, ()> {
        seen.push(reading.clone());
        Ok(seen.len() < 8)
    };
    let report = |_: &Window, _: &Scene| Ok(true);
    watched
        .run(Schedule::default(), look, report)
        .expect("all is told");
    let sent: Vec<Reading> = ticks.iter().map(|told| (*told.reading).clone()).collect();
    assert!(seen == sent, "the readings differ");
}

#[test]
fn whoever_watches_is_told_why_it_ends() {
    let mut daemon = Daemon::start();
    daemon.begin();
    let client = daemon.client();
    wait_until_it_begins(&client);
    let watched = client.watch().expect("it tells");
    daemon.begin();
    let look = |_: &Reading, _: &Scene| -> Result<bool, ()> { Ok(true) };
    let report = |_: &Window, _: &Scene| Ok(true);
    let ended = watched.run(Schedule::default(), look, report);
    let Err(WatchedError::Control(error)) = ended else {
        panic!("it ended well");
    };
    assert!(error.to_string().contains("loaded anew"), "{error}");
}

#[test]
fn a_watcher_that_does_not_keep_up_is_cut_off_and_others_go_on() {
    let mut daemon = Daemon::start();
    daemon.begin();
    let first = daemon.client();
    wait_until_it_begins(&first);
    // It takes what comes first, and nothing else.
    let slow = first.watch().expect("it tells");
    let status = daemon.client();
    wait_until("it watches", || {
        status.status().expect("it answers").watchers == 1
    });
    wait_until("it is cut off", || {
        daemon.tick();
        status.status().expect("it answers").watchers == 0
    });
    let look = |_: &Reading, _: &Scene| -> Result<bool, ()> { Ok(true) };
    let report = |_: &Window, _: &Scene| Ok(true);
    let ended = slow.run(Schedule::default(), look, report);
    assert!(matches!(ended, Err(WatchedError::Control(_))));
}

#[test]
fn before_anything_is_measured_there_is_nothing_to_watch() {
    let daemon = Daemon::start();
    let refused = daemon.client().watch().err().expect("nothing is measured");
    assert!(refused.to_string().contains("being loaded"), "{refused}");
}

#[test]
fn more_watchers_than_there_are_places_are_refused() {
    let mut daemon = Daemon::start();
    daemon.begin();
    let status = daemon.client();
    wait_until_it_begins(&status);
    let watchers: Vec<_> = (0..MAX_WATCHERS)
        .map(|_| daemon.client().watch().expect("there is a place"))
        .collect();
    let refused = daemon.client().watch().err().expect("there is none");
    assert!(refused.to_string().contains("watch already"), "{refused}");
    drop(watchers);
    wait_until("places are free again", || daemon.client().watch().is_ok());
}

#[test]
fn those_who_say_nothing_take_no_place_from_those_who_ask_later_for_long() {
    let daemon = Daemon::start();
    let silent: Vec<UnixStream> = (0..MAX_TRUSTED)
        .map(|_| UnixStream::connect(&daemon.socket).expect("it listens"))
        .collect();
    wait_until("they are cut off", || daemon.client().status().is_ok());
    for mut stream in silent {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let mut rest = Vec::new();
        // What a server says first, and then the end.
        let _may_be_reset = stream.read_to_end(&mut rest);
    }
}

#[test]
fn what_is_no_question_is_refused_and_the_next_one_is_answered() {
    let daemon = Daemon::start();
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0xff; 4096],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        let mut stream = UnixStream::connect(&daemon.socket).expect("it listens");
        let _may_be_cut = std::io::Write::write_all(&mut stream, bytes);
        stream.set_read_timeout(Some(PATIENCE)).expect("a time");
        let mut answer = Vec::new();
        let _may_be_reset = stream.read_to_end(&mut answer);
    }
    let status = daemon.client().status().expect("it answers");
    assert_eq!(status.pid, std::process::id());
}

#[test]
fn a_reload_is_answered_with_what_differs_or_why_it_is_refused() {
    let mut daemon = Daemon::start();
    let client = daemon.client();
    let asking = thread::spawn(move || (client.reload(), client.reload()));
    for answer in [Ok(vec!["tick: 1s -> 2s".to_owned()]), Err("no".to_owned())] {
        let Some(Question::Reload(to)) = daemon.questions.blocking_recv() else {
            panic!("something else is asked");
        };
        to.send(answer).expect("it waits");
    }
    let (first, second) = asking.join().expect("it ends");
    assert_eq!(first.expect("it went well"), ["tick: 1s -> 2s"]);
    let refused = second.expect_err("it is refused").to_string();
    assert!(refused.ends_with("refused: no"), "{refused}");
}

#[test]
fn a_socket_is_open_to_those_who_may_ask_and_goes_with_the_daemon() {
    let mut daemon = Daemon::start();
    let mode = |daemon: &Daemon| {
        let there = std::fs::metadata(&daemon.socket).expect("it is there");
        there.permissions().mode() & 0o777
    };
    assert_eq!(mode(&daemon), 0o600);
    let open = config(&daemon.socket, "others = 'read'");
    daemon.front.configure(&open).expect("it can be");
    assert_eq!(mode(&daemon), 0o666);
    let group = config(&daemon.socket, "group = 'root'");
    daemon.front.configure(&group).expect("it can be");
    assert_eq!(mode(&daemon), 0o660);
    let Daemon { front, socket, .. } = daemon;
    front.end();
    assert!(!socket.exists(), "it stays behind");
}

#[test]
fn where_metrics_cannot_be_served_the_control_api_stays_as_it_was() {
    let mut daemon = Daemon::start();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has one");
    let other = daemon.folder.path().join("other.sock");
    for socket in [String::new(), other.display().to_string()] {
        let text = format!(
            "metrics.listen = '{address}'\nhistory.folder = ''\ncontrol.socket = '{socket}'"
        );
        let refused = Config::parse("test.toml", &text).expect("it makes sense");
        assert!(daemon.front.configure(&refused).is_err());
        daemon.client().status().expect("it still answers");
        assert!(!other.exists(), "it stays behind");
    }
}

#[test]
fn another_socket_is_listened_at_before_the_old_one_goes() {
    let mut daemon = Daemon::start();
    let other = daemon.folder.path().join("other.sock");
    daemon
        .front
        .configure(&config(&other, ""))
        .expect("it can be");
    let before = std::mem::replace(&mut daemon.socket, other);
    daemon.client().status().expect("it answers");
    assert!(!before.exists(), "it stays behind");
}

#[test]
fn a_socket_that_is_listened_at_is_left_alone_and_one_that_was_left_behind_is_replaced() {
    let daemon = Daemon::start();
    let (asked, _questions) = channel(1);
    let again = config(&daemon.socket, "");
    let refused = Front::start(&again, asked.clone())
        .err()
        .expect("it is taken");
    assert!(
        refused
            .hint()
            .is_some_and(|hint| hint.contains("another Hostler"))
    );
    daemon.client().status().expect("it still answers");
    let left = daemon.folder.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&left).expect("it is free"));
    let front = Front::start(&config(&left, ""), asked.clone()).expect("nobody listens there");
    front.end();
    let file = daemon.folder.path().join("file");
    std::fs::write(&file, "mine").expect("there is room");
    assert!(Front::start(&config(&file, ""), asked).is_err());
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "mine");
}

#[test]
fn where_nobody_listens_there_is_no_daemon() {
    let folder = tempfile::tempdir().expect("there is room");
    let socket = folder.path().join("none.sock");
    assert!(
        Client::connect(&socket)
            .expect("that is no error")
            .is_none()
    );
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("there is room");
    let connected = Client::connect(&file).expect("that is no error either");
    assert!(connected.is_none());
}
