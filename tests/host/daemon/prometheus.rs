//! A real Prometheus that scrapes a daemon.

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use super::http::get;
use crate::host::PATIENCE;

/// Where a program of Prometheus' is: installed, or unpacked beside the build by `scripts/setup`.
fn program(name: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_hostler"))
        .ancestors()
        .nth(2)?;
    let unpacked = target.join("tools/prometheus/usr/bin").join(name);
    let path = std::env::var_os("PATH")?;
    let installed = std::env::split_paths(&path).map(|folder| folder.join(name));
    std::iter::once(unpacked)
        .chain(installed)
        .find(|candidate| candidate.is_file())
}

/// Why there is none.
pub(crate) fn lack() -> Option<String> {
    ["prometheus", "promtool"]
        .into_iter()
        .find(|name| program(name).is_none())
        .map(|name| format!("{name} is not installed; scripts/setup unpacks it"))
}

/// What `promtool check metrics` says of a text; nothing if it has nothing to say.
pub(super) fn complaints(text: &str) -> String {
    let mut promtool = Command::new(program("promtool").expect("it is there"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool can be started");
    let mut input = promtool.stdin.take().expect("it is a pipe");
    input.write_all(text.as_bytes()).expect("it reads");
    drop(input);
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    let mut said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        said.push_str(&output.status.to_string());
    }
    said
}

/// A Prometheus that scrapes once a second; it ends when dropped.
pub(super) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    pub(super) fn scraping(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let configuration = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs: [{{job_name: hostler, static_configs: [{{targets: ['{target}']}}]}}]\n"
        );
        fs::write(&configuration, text).expect("there is room");
        let address = free_address();
        let child = Command::new(program("prometheus").expect("it is there"))
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus can be started");
        let mut started = Self {
            child,
            address,
            _folder: folder,
        };
        started.wait_until_it_is_ready();
        started
    }

    /// Prometheus listens before it has opened its store, and answers queries with 503 and a
    /// sentence till then.
    fn wait_until_it_is_ready(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        while !self.is_ready() {
            let ended = self.child.try_wait().expect("its state can be read");
            assert!(ended.is_none(), "prometheus ended: {ended:?}");
            assert!(Instant::now() < give_up, "prometheus does not become ready");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn is_ready(&self) -> bool {
        let listens = std::net::TcpStream::connect(self.address).is_ok();
        listens && get(self.address, "/-/ready").status == 200
    }

    /// The value of a query that gives one, once it gives one.
    pub(super) fn value(&self, query: &str) -> f64 {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let answer = get(
                self.address,
                &format!("/api/v1/query?query={}", escaped(query)),
            );
            let answer: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
            assert_eq!(answer["status"], "success", "{query}: {answer}");
            let value = answer["data"]["result"][0]["value"][1].as_str();
            if let Some(value) = value {
                return value.parse().expect("a number");
            }
            assert!(Instant::now() < give_up, "{query} gives nothing: {answer}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// A query as a part of a path.
fn escaped(query: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    query.bytes().map(byte).collect()
}

/// An address at which nobody listens just now.
pub(super) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it has one")
}
