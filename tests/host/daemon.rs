//! The daemon, as an operator has it: its configuration, its signals, what it serves, and to whom.

pub(crate) mod clients;
mod http;
pub(crate) mod past;
pub(crate) mod privileges;
pub(crate) mod prometheus;

use std::{
    fs,
    net::SocketAddr,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Output,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use self::{
    http::{get, get_with},
    prometheus::{Prometheus, complaints, free_address},
};
use crate::{
    Need, Test,
    host::{Host, PATIENCE, Running, hostler, start_hostler_with},
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "a_prometheus_scrapes_the_daemon_and_promtool_has_nothing_to_say",
        needs: &[Need::WritableCgroups, Need::Prometheus, Need::RealSpeed],
        run: a_prometheus_scrapes_the_daemon_and_promtool_has_nothing_to_say,
    },
    Test {
        name: "an_agents_counters_are_those_of_the_kernel",
        needs: &[Need::WritableCgroups],
        run: an_agents_counters_are_those_of_the_kernel,
    },
    Test {
        name: "a_configuration_is_taken_or_refused_as_a_whole_when_it_is_read_again",
        needs: &[Need::OwnMachine],
        run: a_configuration_is_taken_or_refused_as_a_whole_when_it_is_read_again,
    },
    Test {
        name: "the_service_manager_is_told_of_readiness_life_reloads_and_the_end",
        needs: &[],
        run: the_service_manager_is_told_of_readiness_life_reloads_and_the_end,
    },
    Test {
        name: "a_port_that_is_taken_is_said_before_anything_is_loaded",
        needs: &[],
        run: a_port_that_is_taken_is_said_before_anything_is_loaded,
    },
    Test {
        name: "commands_ask_the_daemon_and_say_what_their_own_probes_would",
        needs: &[Need::WritableCgroups, Need::RealSpeed],
        run: commands_ask_the_daemon_and_say_what_their_own_probes_would,
    },
    Test {
        name: "a_daemon_that_acts_is_paused_and_resumed_by_command_and_another_refuses",
        needs: &[],
        run: a_daemon_that_acts_is_paused_and_resumed_by_command_and_another_refuses,
    },
    Test {
        name: "a_daemon_that_was_killed_leaves_a_socket_that_the_next_one_replaces",
        needs: &[],
        run: a_daemon_that_was_killed_leaves_a_socket_that_the_next_one_replaces,
    },
    Test {
        name: "a_log_in_json_has_an_object_on_each_line",
        needs: &[],
        run: a_log_in_json_has_an_object_on_each_line,
    },
];

/// The control socket, in the daemon's folder.
const SOCKET: &str = "control.sock";

/// Its history, there too.
const HISTORY: &str = "history";

/// A daemon with a configuration of its own.
struct Daemon {
    running: Running,
    address: SocketAddr,
    file: PathBuf,
    folder: TempDir,
}

impl Daemon {
    /// Starts one; `more` is appended to a configuration that says where to listen.
    fn start(more: &str) -> Self {
        Self::start_with(more, &[])
    }

    fn start_with(more: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let file = folder.path().join("hostler.toml");
        let address = free_address();
        fs::write(&file, configuration(folder.path(), address, more)).expect("there is room");
        let words = ["run", "--config", file.to_str().expect("text")];
        let daemon = Self {
            running: start_hostler_with(&words, variables),
            address,
            file,
            folder,
        };
        daemon.wait_until_it_is_ready();
        daemon
    }

    /// A configuration of this daemon.
    fn configuration(&self, address: SocketAddr, more: &str) -> String {
        configuration(self.folder.path(), address, more)
    }

    /// What a command says that asks this daemon.
    fn ask(&self, words: &[&str]) -> Output {
        let socket = self.folder.path().join(SOCKET);
        let socket = socket.to_str().expect("text");
        hostler(&[words, &["--socket", socket]].concat())
    }

    /// The side that serves hears a little later that measuring has begun.
    fn wait_until_it_is_ready(&self) {
        let give_up = Instant::now() + PATIENCE;
        while get(self.address, "/readyz").status != 200 {
            assert!(Instant::now() < give_up, "it measures and is not ready");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A counter or gauge, by its name and labels as they are written.
    fn value(&self, series: &str) -> Option<f64> {
        let text = get(self.address, "/metrics").text();
        let line = text.lines().find_map(|line| line.strip_prefix(series))?;
        Some(line.trim().parse().expect("a number"))
    }

    /// Waits until a series satisfies something.
    fn wait_for(&self, series: &str, is_it: impl Fn(f64) -> bool) -> f64 {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.value(series) {
                Some(value) if is_it(value) => return value,
                value => assert!(Instant::now() < give_up, "{series} stays at {value:?}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn ticks(&self) -> f64 {
        self.wait_for("hostler_ticks_total ", |_| true)
    }

    /// Has it read its configuration again.
    fn reload(&mut self, text: &str) {
        fs::write(&self.file, text).expect("there is room");
        self.running.send(Signal::SIGHUP);
    }

    /// Ends it, and gives what it said.
    fn end(mut self) -> String {
        self.running.send(Signal::SIGTERM);
        let output = self.running.wait();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }
}

fn configuration(folder: &Path, address: SocketAddr, more: &str) -> String {
    let socket = folder.join(SOCKET);
    let socket = socket.display();
    let history = folder.join(HISTORY);
    let history = history.display();
    format!(
        "metrics.listen = '{address}'\ncontrol.socket = '{socket}'\nhistory.folder = '{history}'\n\
         {more}\n"
    )
}

fn a_prometheus_scrapes_the_daemon_and_promtool_has_nothing_to_say(host: &Host) {
    let cgroup = host.cgroup("scraped");
    let mut load = cgroup.start_load(&["sleep", "60000"]);
    let daemon = Daemon::start("");
    let prometheus = Prometheus::scraping(daemon.address);
    let agent = format!("{{agent=\"{}\"}}", cgroup.name);
    assert!(prometheus.value("up{job=\"hostler\"}") > 0.5);
    assert!(prometheus.value("hostler_scrapes_total{format=\"openmetrics\"}") > 0.5);
    assert!(prometheus.value(&format!("hostler_agent_threads{agent}")) > 0.5);
    let waits =
        "histogram_quantile(0.99, hostler_host_run_queue_wait_seconds_bucket{after=\"wakeup\"})";
    assert!(prometheus.value(waits) > 0.0);
    assert!(prometheus.value("count(hostler_group_thread_seconds_total)") > 0.0);
    let complaints = complaints(&get(daemon.address, "/metrics").text());
    assert!(complaints.is_empty(), "{complaints}");
    let plain = get(daemon.address, "/metrics");
    let zipped = get_with(daemon.address, "/metrics", "Accept-Encoding: gzip\r\n");
    assert!(
        zipped.head.contains("content-encoding: gzip"),
        "{}",
        zipped.head
    );
    assert!(zipped.body.len() * 3 < plain.body.len());
    daemon.end();
    load.kill().expect("it is there");
    load.wait().expect("it ends");
}

fn an_agents_counters_are_those_of_the_kernel(host: &Host) {
    let cgroup = host.cgroup("counted");
    let name = &cgroup.name;
    let daemon = Daemon::start(&format!("metrics.pinned = ['{name}']\ntick = '200ms'"));
    let mut load = cgroup.start_load(&["toil", "700"]);
    load.wait().expect("it ends");
    let labels = format!("{{agent=\"{name}\",group=\"/\"");
    let series = format!("hostler_agent_thread_seconds_total{labels},state=\"on_cpu\"}} ");
    let truth = cgroup.usage_ns() as f64 / 1e9;
    let measured = daemon.wait_for(&series, |seconds| seconds > truth * 0.9);
    assert!(measured < truth * 1.1 + 0.02, "{measured} s of {truth} s");
    let before = measured;
    // It has gone, and its counters stay.
    let ticks = daemon.ticks();
    daemon.wait_for("hostler_ticks_total ", |now| now > ticks + 3.0);
    let after = daemon.value(&series).expect("it lingers");
    assert!(after >= before, "{after} after {before}");
    daemon.end();
}

fn a_configuration_is_taken_or_refused_as_a_whole_when_it_is_read_again(_host: &Host) {
    let mut daemon = Daemon::start("");
    daemon.reload(&daemon.configuration(daemon.address, "tick = '200ms'\ncolour = 'red'"));
    let before = daemon.ticks();
    std::thread::sleep(Duration::from_secs(2));
    let slow = daemon.ticks() - before;
    daemon.reload(&daemon.configuration(daemon.address, "tick = '100ms'"));
    daemon.wait_for("hostler_ticks_total ", |ticks| ticks > before + slow + 20.0);
    // Other signals: the programs are loaded anew, and counters begin at zero.
    let elsewhere = free_address();
    daemon.reload(&daemon.configuration(elsewhere, "signals.wakes = true"));
    daemon.address = elsewhere;
    let give_up = Instant::now() + PATIENCE;
    while std::net::TcpStream::connect(elsewhere).is_err() {
        assert!(
            Instant::now() < give_up,
            "nobody listens at the new address"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    daemon.wait_for("hostler_host_threads ", |threads| threads > 0.0);
    let said = daemon.end();
    for words in [
        "unknown field `colour`",
        "all stays as it was",
        "tick: \"1s\" -> \"100ms\"",
        "signals.wakes: false -> true",
        "counters begin at zero",
    ] {
        assert!(said.contains(words), "no word of {words}: {said}");
    }
    assert!(
        slow < 8.0,
        "{slow} ticks in two seconds by a file that was refused"
    );
}

fn the_service_manager_is_told_of_readiness_life_reloads_and_the_end(_host: &Host) {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket can be made");
    manager.set_read_timeout(Some(PATIENCE)).expect("it can");
    let heard_until = |word: &str| {
        let mut buffer = [0; 1_024];
        loop {
            let length = manager.recv(&mut buffer).expect("the daemon tells");
            let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if told.contains(word) {
                return told;
            }
        }
    };
    let variables = [
        ("NOTIFY_SOCKET", path.to_str().expect("text")),
        ("WATCHDOG_USEC", "10000000"),
    ];
    let mut daemon = Daemon::start_with("", &variables);
    assert!(heard_until("READY=1").contains("STATUS=measuring"));
    heard_until("WATCHDOG=1");
    daemon.reload(&daemon.configuration(daemon.address, "tick = '300ms'"));
    assert!(heard_until("RELOADING=1").contains("MONOTONIC_USEC="));
    heard_until("READY=1");
    daemon.end();
    heard_until("STOPPING=1");
}

fn a_port_that_is_taken_is_said_before_anything_is_loaded(_host: &Host) {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it has one");
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("hostler.toml");
    fs::write(&file, configuration(folder.path(), address, "")).expect("there is room");
    let output = hostler(&["run", "--config", file.to_str().expect("text")]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("metrics can't be served at {address}")),
        "{said}"
    );
    assert!(said.contains("hint: another Hostler may run"), "{said}");
    assert!(!said.contains("observing"), "{said}");
}

fn a_log_in_json_has_an_object_on_each_line(_host: &Host) {
    let daemon = Daemon::start("log.format = 'json'");
    let said = daemon.end();
    assert!(said.contains("\"message\":\"stopping\""), "{said}");
    for line in said.lines() {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|line| line["level"].is_string()), "{line}");
    }
}

/// The words that a command has for it where it is asked for more.
const ASKED: &str = "the daemon is asked";

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    (stdout, stderr)
}

fn commands_ask_the_daemon_and_say_what_their_own_probes_would(host: &Host) {
    let cgroup = host.cgroup("asked");
    let mut load = cgroup.start_load(&["spin", "1", "60000"]);
    let daemon = Daemon::start("tick = '500ms'");
    let (status, _) = said(&daemon.ask(&["status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["tick_ms"], 500);
    assert_eq!(status["metrics_address"], daemon.address.to_string());
    let name = &*cgroup.name;
    let row_of = |words: &[&str]| {
        // A text shortens long names.
        let (report, log) = said(&daemon.ask(&[words, &["--json"]].concat()));
        assert!(report.contains(name), "{words:?}: {report}");
        log.contains(ASKED)
    };
    assert!(row_of(&["agents", "-v"]));
    assert!(!row_of(&["agents", "-v", "--own-probes"]));
    assert!(row_of(&["trace", "ledger", "--duration", "2s", "-v"]));
    assert!(row_of(&[
        "trace",
        "all",
        "--interval",
        "1s",
        "--duration",
        "2s",
        "-v"
    ]));
    assert!(row_of(&["explain", name, "--duration", "2s", "-v"]));
    // What the daemon does not measure, or not at that pace, is measured by the command's own probes.
    assert!(!row_of(&["trace", "ledger", "--duration", "200ms", "-v"]));
    let (_, log) = said(&daemon.ask(&["trace", "wakes", "--duration", "1s", "-v"]));
    assert!(!log.contains(ASKED), "{log}");
    assert!(log.contains("does not tell of who wakes whom"), "{log}");
    let (unchanged, _) = said(&daemon.ask(&["config", "reload"]));
    assert!(unchanged.contains("the same as before"), "{unchanged}");
    fs::write(
        &daemon.file,
        daemon.configuration(daemon.address, "tick = '250ms'"),
    )
    .expect("there is room");
    let (changed, _) = said(&daemon.ask(&["config", "reload"]));
    assert_eq!(changed, "tick: \"500ms\" -> \"250ms\"\n");
    fs::write(&daemon.file, "colour = 'red'").expect("there is room");
    let refused = daemon.ask(&["config", "reload"]);
    assert_eq!(refused.status.code(), Some(1));
    let refusal = String::from_utf8_lossy(&refused.stderr);
    assert!(refusal.contains("`colour`"), "{refusal}");
    daemon.end();
    let gone = hostler(&["status", "--socket", "/run/hostler/no-such.sock"]);
    let refusal = String::from_utf8_lossy(&gone.stderr);
    assert!(refusal.contains("no daemon listens at"), "{refusal}");
    load.kill().expect("it runs");
    load.wait().expect("it ends");
}

fn a_daemon_that_acts_is_paused_and_resumed_by_command_and_another_refuses(_host: &Host) {
    let daemon = Daemon::start("");
    let refused = daemon.ask(&["pause"]);
    assert_eq!(refused.status.code(), Some(1));
    let refusal = String::from_utf8_lossy(&refused.stderr);
    assert!(refusal.contains("`plan.mode` is not `act`"), "{refusal}");
    let (status, _) = said(&daemon.ask(&["status"]));
    assert!(status.contains("none: plan.mode is not act"), "{status}");
    let journal = daemon.folder.path().join("journal");
    let act = format!("[plan]\nmode = 'act'\njournal = '{}'", journal.display());
    let text = daemon.configuration(daemon.address, &act);
    fs::write(&daemon.file, text).expect("there is room");
    said(&daemon.ask(&["config", "reload"]));
    let changes = |words: &[&str]| said(&daemon.ask(words)).0;
    assert!(changes(&["pause"]).contains("paused; 0 in force"));
    assert!(changes(&["status"]).contains("paused; 0 in force"));
    assert!(!changes(&["resume"]).contains("paused"));
    assert_eq!(changes(&["undo", "--all"]), "nothing is in force\n");
    assert!(changes(&["status"]).contains("paused; 0 in force"));
    let unknown = daemon.ask(&["undo", "7"]);
    assert_eq!(unknown.status.code(), Some(1));
    let outcome = String::from_utf8_lossy(&unknown.stdout);
    assert!(outcome.contains("no step 7 is in force"), "{outcome}");
    daemon.end();
}

fn a_daemon_that_was_killed_leaves_a_socket_that_the_next_one_replaces(_host: &Host) {
    let mut daemon = Daemon::start("");
    daemon.running.send(Signal::SIGKILL);
    let socket = daemon.folder.path().join(SOCKET);
    let file = daemon.file.clone();
    let Daemon {
        running, folder, ..
    } = daemon;
    running.wait();
    assert!(socket.exists(), "it is left behind");
    let mut next = start_hostler_with(&["run", "--config", file.to_str().expect("text")], &[]);
    let asked = hostler(&["status", "--socket", socket.to_str().expect("text")]);
    assert!(asked.status.success(), "nobody answers there");
    next.send(Signal::SIGTERM);
    let output = next.wait();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!socket.exists(), "it stays behind");
    drop(folder);
}
