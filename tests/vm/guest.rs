//! The guest: its kernel and shape, and the `hostler` that was built.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{changing, doctor, fleet, service};

/// The binary that these tests are about.
pub(crate) const HOSTLER: &str = env!("CARGO_BIN_EXE_hostler");

/// CPUs that each NUMA node of a guest has.
pub(crate) const CPUS_PER_NODE: usize = 2;

/// What the tests need to know of the guest.
#[derive(Clone)]
pub(crate) struct Guest {
    /// Version and patch level of its kernel, such as `6.1`.
    pub(crate) series: String,
    /// The CPUs of each NUMA node.
    pub(crate) nodes: Vec<Vec<usize>>,
    /// Whether tests were asked for by name: then they may take their time.
    pub(crate) is_asked_for: bool,
    /// Tests that can't run in this guest, and why.
    pub(crate) lacks: BTreeMap<&'static str, String>,
}

impl Guest {
    /// Looks at the guest; the reason if this is none.
    pub(crate) fn find(is_asked_for: bool) -> Result<Self, String> {
        if std::env::var_os("HOSTLER_GUEST").is_none() {
            return Err("runs in guests only: cargo xtask vm --test".to_owned());
        }
        let release = nix::sys::utsname::uname().map_err(|error| error.to_string())?;
        let release = release.release().to_string_lossy();
        let mut guest = Self {
            series: release.split('.').take(2).collect::<Vec<_>>().join("."),
            nodes: (0..).map_while(cpus_of_node).collect(),
            is_asked_for,
            lacks: BTreeMap::new(),
        };
        let lacks = doctor::lack(&guest).into_iter();
        guest.lacks = lacks
            .chain(changing::lack(&guest))
            .chain(service::lack(&guest))
            .chain(fleet::lack(&guest))
            .collect();
        Ok(guest)
    }
}

fn cpus_of_node(node: usize) -> Option<Vec<usize>> {
    let path = format!("/sys/devices/system/node/node{node}/cpulist");
    let list = fs::read_to_string(path).ok()?;
    let range = |word: &str| {
        let number = |text: &str| text.parse::<usize>().expect("a CPU's number");
        let (from, to) = word.split_once('-').unwrap_or((word, word));
        number(from)..=number(to)
    };
    Some(list.trim().split(',').flat_map(range).collect())
}

/// Runs `hostler` to its end, and returns the JSON values that it printed, one a line.
pub(crate) fn hostler(words: &[&str]) -> Vec<Value> {
    let output = Command::new(HOSTLER)
        .args(words)
        .output()
        .expect("hostler can be started");
    assert!(
        output.status.success(),
        "hostler {words:?} failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

/// The kernel's own balancing of memory between nodes, as it was before when this is dropped.
pub(crate) struct Balancing(String);

impl Balancing {
    const PATH: &str = "/proc/sys/kernel/numa_balancing";

    pub(crate) fn set(is_on: bool) -> Self {
        let before = fs::read_to_string(Self::PATH).expect("this kernel balances");
        let value = if is_on { "1" } else { "0" };
        fs::write(Self::PATH, value).expect("a guest's may be set");
        Self(before)
    }
}

impl Drop for Balancing {
    fn drop(&mut self) {
        fs::write(Self::PATH, &self.0).expect("it may be set back");
    }
}

/// A `hostler` that measures, until its end or a signal. Dropping it leaves it alone.
pub(crate) struct Running(Child);

impl Running {
    /// Starts it, and waits until it measures.
    pub(crate) fn start(words: &[&str]) -> Self {
        let mut child = Command::new(HOSTLER)
            .args(words)
            .arg("--verbose")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("hostler can be started");
        let said = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut said = said.lines().map_while(Result::ok);
        assert!(said.any(|line| line.contains("measuring")), "it measures");
        // Whatever else it says must have somewhere to go.
        thread::spawn(move || said.for_each(drop));
        Self(child)
    }

    /// Asks for its report, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let id = i32::try_from(self.0.id()).expect("a process id");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("it runs");
    }

    /// Waits for its only report.
    pub(crate) fn report(self) -> Value {
        let output = self.0.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{output:?}");
        serde_json::from_slice(&output.stdout).expect("a report")
    }
}
