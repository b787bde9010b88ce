//! The fleet on a real kernel: what it tells of itself, and what it leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread,
    time::{Duration, Instant},
};

use hostler_common::peer::class;
use hostler_daemon::recording::{Reader, Writer};
use hostler_decide::{
    peers::{PeerCounts, PeerWindow},
    scene::CpuView,
    window::{Window, WindowSum},
};
use hostler_observe::{Observer, Options};
use libtest_mimic::{Arguments, Trial};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

const FLEET: &str = env!("CARGO_BIN_EXE_hostler-fleet");

const AGENTS: u64 = 20;

/// How long anything may take before it counts as hung.
const PATIENCE: Duration = Duration::from_mins(1);

type Test = (&'static str, fn(&Path));

const TESTS: [Test; 6] = [
    (
        "a_fleet_tells_what_each_agent_did",
        a_fleet_tells_what_each_agent_did,
    ),
    (
        "the_same_seed_gives_the_same_turns_in_each_run",
        the_same_seed_gives_the_same_turns_in_each_run,
    ),
    (
        "hostler_counts_the_requests_of_each_agent_as_the_agents_themselves_do",
        hostler_counts_the_requests_of_each_agent_as_the_agents_themselves_do,
    ),
    (
        "a_recorded_fleet_replays_into_the_same_windows_bit_for_bit",
        a_recorded_fleet_replays_into_the_same_windows_bit_for_bit,
    ),
    (
        "nothing_is_left_of_a_fleet_that_is_interrupted",
        nothing_is_left_of_a_fleet_that_is_interrupted,
    ),
    (
        "agents_end_with_a_fleet_that_is_killed_and_the_next_one_removes_their_cgroups",
        agents_end_with_a_fleet_that_is_killed_and_the_next_one_removes_their_cgroups,
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1);
    let root = cgroup_root();
    let mut trials = Vec::new();
    for (name, run) in TESTS {
        if let Err(reason) = &root {
            eprintln!("skipped: {name}: {reason}");
        }
        let is_skipped = root.is_err();
        let root = root.clone();
        let trial = Trial::test(name, move || {
            run(&root?);
            Ok(())
        });
        trials.push(trial.with_ignored_flag(is_skipped));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Where the v2 hierarchy is, if cgroups can be made there.
fn cgroup_root() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    let root = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&"cgroup2"))
        .map(|fields| PathBuf::from(fields[1]))
        .ok_or("no cgroup v2 hierarchy is mounted")?;
    let probe = root.join(format!("hostler-probe-{}", std::process::id()));
    fs::create_dir(&probe)
        .and_then(|()| fs::remove_dir(&probe))
        .map_err(|error| format!("cgroups can't be made: {error}"))?;
    Ok(root)
}

fn start(words: &[&str]) -> Child {
    Command::new(FLEET)
        .args(["run", "--servers=2", "--mean-idle=200ms"])
        .arg(format!("--agents={AGENTS}"))
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the fleet can be started")
}

/// Waits until all agents are ready; returns the start in ns.
fn start_ns(fleet: &mut Child) -> u64 {
    let output = fleet.stdout.as_mut().expect("it is a pipe");
    let mut line = String::new();
    BufReader::new(output)
        .read_line(&mut line)
        .expect("it can be read");
    let start = line
        .strip_prefix("ready ")
        .expect("it says when it is ready");
    start.trim().parse().expect("a number")
}

/// Runs a fleet to its end; its start, and its truth.
fn run(words: &[&str]) -> (u64, Vec<Value>) {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    let path = file.path().to_str().expect("its path is text");
    let mut fleet = start(&[&["--duration=2s", "--truth", path], words].concat());
    let start_ns = start_ns(&mut fleet);
    assert!(fleet.wait().expect("it ends").success());
    let truth = fs::read_to_string(path).expect("it was written");
    let lines = truth
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    (start_ns, lines.collect())
}

fn of_kind<'a>(truth: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    truth.iter().filter(move |line| line["line"] == kind)
}

fn a_fleet_tells_what_each_agent_did(_root: &Path) {
    let (_, truth) = run(&[]);
    let agents: Vec<&Value> = of_kind(&truth, "agent").collect();
    assert_eq!(agents.len() as u64, AGENTS);
    let cgroups: BTreeSet<&str> = agents
        .iter()
        .filter_map(|it| it["cgroup"].as_str())
        .collect();
    assert_eq!(cgroups.len() as u64, AGENTS, "a cgroup for each");
    for agent in &agents {
        let turns = || of_kind(&truth, "turn").filter(|turn| turn["agent"] == agent["agent"]);
        assert_eq!(agent["turns"], turns().count());
        let computed: u64 = turns().filter_map(|turn| turn["compute_ns"].as_u64()).sum();
        // The kernel counts in its own way what a thread's clock counts.
        assert!(
            agent["cpu_ns"].as_u64() >= Some(computed / 2),
            "{agent} against {computed}"
        );
    }
    let requests = of_kind(&truth, "turn").filter(|turn| turn["request"].is_object());
    let asked: u64 = agents.iter().filter_map(|it| it["requests"].as_u64()).sum();
    assert!(asked > 0);
    assert_eq!(requests.count() as u64, asked);
}

fn the_same_seed_gives_the_same_turns_in_each_run(_root: &Path) {
    let turns = |seed: &str| -> Vec<String> {
        let (start_ns, truth) = run(&[seed]);
        let turn = |turn: &Value| {
            let at_ns = turn["at_ns"].as_u64().expect("a number") - start_ns;
            let request = &turn["request"];
            let sizes = [
                &request["server"],
                &request["sent_bytes"],
                &request["received_bytes"],
            ];
            format!("{} {at_ns} {} {sizes:?}", turn["agent"], turn["pages"])
        };
        of_kind(&truth, "turn").map(turn).collect()
    };
    let first = turns("--seed=7");
    assert!(first.len() > 50);
    assert_eq!(first, turns("--seed=7"));
    assert_ne!(first, turns("--seed=8"));
}

/// What Hostler has counted of each agent and loopback, by the name of its cgroup.
fn counted_by_hostler(window: &Window) -> BTreeMap<&str, &PeerWindow> {
    let peers = window.peers.iter();
    peers
        .filter(|(key, _)| key.peer == class::LOOPBACK)
        .filter_map(|(key, peer)| Some((&*window.agents.get(&key.agent)?.0.name, peer)))
        .collect()
}

fn a_recorded_fleet_replays_into_the_same_windows_bit_for_bit(_root: &Path) {
    let mut observer = Observer::start(Options {
        cpu_view: CpuView::All,
        pairs: true,
        wakes: true,
        placement: true,
        wait_events: true,
        long_wait_ns: 100_000,
        sockets: true,
        pressure: true,
        ..Options::default()
    })
    .expect("root may observe");
    let mut fleet = start(&["--duration=4s"]);
    start_ns(&mut fleet);
    let mut file = Vec::new();
    let recording = "the fleet's".to_owned();
    // Once: a virtual machine may be given memory, or lose some, meanwhile.
    let facts = observer.facts();
    let mut writer = Writer::new(recording.clone(), &mut file, &facts).expect("memory");
    let mut readings = vec![observer.beginning().clone()];
    while fleet.try_wait().expect("its state can be read").is_none() {
        thread::sleep(Duration::from_millis(200));
        readings.push(observer.read().expect("the host can be read"));
    }
    for (reading, number) in readings.iter().zip(0..) {
        writer.add(reading, number).expect("memory takes it");
    }
    writer.finish().expect("memory takes it");

    let mut reader = Reader::new(recording, &*file).expect("a recording");
    assert_eq!(*reader.facts(), facts);
    let mut sums: Option<(WindowSum, WindowSum)> = None;
    let mut busy = 0;
    for reading in readings {
        let moment = reader.read().expect("it is whole").expect("one more");
        assert_eq!(moment.reading, reading);
        let again = moment.reading.clone();
        let Some((of_host, of_recording)) = &mut sums else {
            sums = Some((WindowSum::new(reading), WindowSum::new(again)));
            continue;
        };
        of_host.add(reading);
        of_recording.add(again);
        let (window, replayed) = (of_host.take(), of_recording.take());
        assert_eq!(window, replayed);
        let is_agent = |name: &str| name.contains("/agent-");
        let agents = window.agents.values();
        busy += agents
            .filter(|(agent, row)| is_agent(&agent.name) && !row.is_idle())
            .count() as u64;
        assert_eq!(window.losses.records_not_made, 0);
    }
    assert!(busy >= AGENTS, "{busy} agents were busy in all windows");
    assert_eq!(reader.read().expect("it is whole"), None);
}

fn hostler_counts_the_requests_of_each_agent_as_the_agents_themselves_do(_root: &Path) {
    /// Before each request, see `wire.rs`.
    const HEAD_BYTES: u64 = 8;
    let mut observer = Observer::start(Options {
        sockets: true,
        ..Options::default()
    })
    .expect("root may observe");
    let (_, truth) = run(&[]);
    let reading = observer.read().expect("the host can be read");
    let window = Window::between(observer.beginning(), &reading);
    assert_eq!(window.losses.sockets_without_record, 0);
    assert_eq!(window.losses.peers_not_counted, 0);
    let counted = counted_by_hostler(&window);
    for agent in of_kind(&truth, "agent") {
        let requests: Vec<&Value> = of_kind(&truth, "turn")
            .filter(|turn| turn["agent"] == agent["agent"] && turn["request"].is_object())
            .map(|turn| &turn["request"])
            .collect();
        let sum = |field: &str| -> u64 {
            let numbers = requests.iter().map(|request| request[field].as_u64());
            numbers.map(|number| number.expect("a number")).sum()
        };
        let connections = requests
            .iter()
            .filter(|request| request["connect_ns"].is_u64())
            .count() as u64;
        let path = agent["cgroup"].as_str().expect("it has one");
        let found = counted.iter().find(|(name, _)| path.ends_with(**name));
        let Some((_, peer)) = found else {
            assert!(requests.is_empty(), "{path} is missing");
            continue;
        };
        let PeerCounts {
            sent_bytes,
            received_bytes,
            connected,
            closed,
            ..
        } = peer.counts;
        assert_eq!(connected, connections, "{path}");
        assert_eq!(closed, connections, "{path}");
        // The kernel counts a connection's beginning and its end as a byte each.
        let sent = sum("sent_bytes") + HEAD_BYTES * requests.len() as u64;
        assert!(
            (sent..=sent + 2 * connections).contains(&sent_bytes),
            "{path}: {sent}, {peer:?}"
        );
        let received = sum("received_bytes");
        assert!(
            (received..=received + 2 * connections).contains(&received_bytes),
            "{path}: {received}, {peer:?}"
        );
        assert!(peer.round_trip.total() >= connections, "{path}: {peer:?}");
    }
}

/// Processes and the folder of cgroups that are left of a fleet.
fn left_of(fleet: u32, root: &Path) -> (usize, bool) {
    let folder = root.join(format!("hostler-fleet-{fleet}"));
    let members = |path: PathBuf| fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
    let inner = fs::read_dir(&folder).into_iter().flatten().flatten();
    let processes = inner
        .map(|entry| members(entry.path()).lines().count())
        .sum();
    (processes, folder.exists())
}

fn nothing_is_left_of_a_fleet_that_is_interrupted(root: &Path) {
    let mut fleet = start(&["--duration=60s"]);
    start_ns(&mut fleet);
    let pid = fleet.id();
    assert!(
        left_of(pid, root).0 as u64 > AGENTS,
        "agents and servers run"
    );
    send(pid, Signal::SIGTERM);
    assert!(!fleet.wait().expect("it ends").success());
    assert_eq!(left_of(pid, root), (0, false));
}

fn agents_end_with_a_fleet_that_is_killed_and_the_next_one_removes_their_cgroups(root: &Path) {
    let mut fleet = start(&["--duration=60s"]);
    start_ns(&mut fleet);
    let pid = fleet.id();
    send(pid, Signal::SIGKILL);
    fleet.wait().expect("it ends");
    let give_up = Instant::now() + PATIENCE;
    while left_of(pid, root).0 > 0 {
        assert!(Instant::now() < give_up, "agents outlive their fleet");
        thread::sleep(Duration::from_millis(20));
    }
    run(&[]);
    assert_eq!(left_of(pid, root), (0, false));
}

fn send(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(pid.try_into().expect("a process id"));
    kill(pid, signal).expect("it runs");
}
