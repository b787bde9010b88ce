//! The machine under test: where its v2 cgroups are, and the `hostler` that was built.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{Need, needs};

/// The binary that these tests are about.
pub(crate) const HOSTLER: &str = env!("CARGO_BIN_EXE_hostler");

/// How long anything may take before it counts as hung. Guests without hardware support are slow.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// What the tests need to know of the machine.
#[derive(Clone)]
pub(crate) struct Host {
    cgroup_root: PathBuf,
}

impl Host {
    /// Looks at the machine; the reason if it can run none of the tests.
    pub(crate) fn find() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("needs root".to_owned());
        }
        let mounts = fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
        let cgroup_root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&"cgroup2"))
            .map(|fields| PathBuf::from(fields[1]))
            .ok_or("no cgroup v2 hierarchy is mounted")?;
        Ok(Self { cgroup_root })
    }

    /// Why something that a test needs can't be had; `None` if it can.
    pub(crate) fn lack(&self, need: Need) -> Option<String> {
        match need {
            Need::WritableCgroups => {
                let probe = self
                    .cgroup_root
                    .join(format!("hostler-probe-{}", std::process::id()));
                let made = fs::create_dir(&probe).and_then(|()| fs::remove_dir(&probe));
                made.err()
                    .map(|error| format!("cgroups can't be made: {error}"))
            }
            Need::RealSpeed => std::env::var_os("HOSTLER_GUEST")
                .map(|_| "it would take minutes in an emulated guest".to_owned()),
            Need::OwnMachine => std::env::var_os("HOSTLER_GUEST")
                .map(|_| "it is about files and clients, not about the kernel".to_owned()),
            Need::ChosenProcessIds => needs::chosen_process_ids(),
            Need::MemoryLimits => needs::controller(&self.cgroup_root, "memory"),
            Need::Storage => crate::block_io::Storage::find().err(),
            Need::FileOnStorage => match crate::block_io::Storage::find() {
                Ok(storage) if storage.is_file() => None,
                Ok(_) => Some("files are in memory here".to_owned()),
                Err(reason) => Some(reason),
            },
            Need::MountNamespaces => {
                let made = Command::new("unshare").args(["--mount", "true"]).status();
                match made {
                    Ok(status) if status.success() => None,
                    Ok(status) => Some(format!("mount namespaces can't be made ({status})")),
                    Err(error) => Some(format!("unshare can't be run: {error}")),
                }
            }
            Need::Schedstat => needs::schedstat(),
            Need::CpuController => needs::controller(&self.cgroup_root, "cpu"),
            Need::Runqlat => needs::runqlat(),
            Need::SocketStatistics => needs::socket_statistics(),
            Need::AskedFromOutside => needs::has_samples_of_old_sockets()
                .then(|| "sockets can be asked as they begin only (before Linux 6.12)".to_owned()),
            Need::NetworkNamespaces => needs::network("ip link add near type veth peer name far"),
            Need::Netem => needs::network("tc qdisc add dev lo root netem delay 1ms"),
            Need::Pressure => needs::pressure(),
            Need::FaultLatency => needs::fault_latency(),
            Need::Prometheus => crate::daemon::prometheus::lack(),
            Need::Guest => needs::guest(),
        }
    }

    /// Where the v2 hierarchy is mounted.
    pub(crate) fn cgroup_root(&self) -> &Path {
        &self.cgroup_root
    }

    /// A new cgroup with a name that no other test uses.
    pub(crate) fn cgroup(&self, label: &str) -> TestCgroup {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("hostler-test-{}-{number}-{label}", std::process::id());
        let path = self.cgroup_root.join(&name);
        fs::create_dir(&path).expect("the cgroup can be made");
        TestCgroup { name, path }
    }
}

/// A cgroup that a test made. It ends what runs in it, and removes it, when dropped.
pub(crate) struct TestCgroup {
    pub(crate) name: String,
    path: PathBuf,
}

impl TestCgroup {
    /// A new cgroup in this one.
    pub(crate) fn inner(&self, label: &str) -> Self {
        let path = self.path.join(label);
        fs::create_dir(&path).expect("the cgroup can be made");
        let name = format!("{}/{label}", self.name);
        Self { name, path }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies, for a command line.
    pub(crate) fn path_text(&self) -> &str {
        self.path.to_str().expect("its path is text")
    }

    /// CPU time of everything that ran in it, as the kernel has it, in ns. Of a thread that moves,
    /// each cgroup gets what was accounted while the thread was there.
    pub(crate) fn usage_ns(&self) -> u64 {
        1_000 * self.cpu_stat("usage_usec")
    }

    /// One number of its `cpu.stat`.
    pub(crate) fn cpu_stat(&self, key: &str) -> u64 {
        let text = fs::read_to_string(self.path.join("cpu.stat")).expect("each cgroup has it");
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
            .unwrap_or_else(|| panic!("cpu.stat has no {key}: {text}"))
    }

    /// Moves a process into it.
    pub(crate) fn admit(&self, process: u32) {
        fs::write(self.path.join("cgroup.procs"), process.to_string())
            .expect("the process can be moved");
    }

    /// Starts a command in the cgroup. A shell moves itself there first, so that nothing of the
    /// command runs elsewhere.
    pub(crate) fn start(&self, words: &[&str]) -> Child {
        Command::new("sh")
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.path)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell can be started")
    }

    /// Writes one of the cgroup's files.
    pub(crate) fn write(&self, file: &str, value: &str) {
        fs::write(self.path.join(file), value).expect("the file takes it");
    }

    /// Reads one of the cgroup's files.
    pub(crate) fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path.join(file)).expect("the file is there")
    }

    /// Starts one of this binary's own loads in the cgroup.
    pub(crate) fn start_load(&self, words: &[&str]) -> Child {
        let own = std::env::current_exe().expect("this binary has a path");
        let own = own.to_str().expect("its path is text");
        self.start(&[&[own, crate::load::WORD], words].concat())
    }
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.path).is_err() && self.path.exists() && Instant::now() < give_up
        {
            let processes = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
            for process in processes.lines().filter_map(|line| line.parse().ok()) {
                // It may have ended by itself meanwhile.
                let _gone = kill(Pid::from_raw(process), Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Runs `hostler` to its end.
pub(crate) fn hostler(words: &[&str]) -> Output {
    Command::new(HOSTLER)
        .args(words)
        .output()
        .expect("hostler can be started")
}

/// A `hostler` that runs beside the test, and ends with it whatever happens.
pub(crate) struct Running {
    child: Option<Child>,
    /// What it said until it measured.
    beginning: String,
    errors: BufReader<ChildStderr>,
}

/// Starts `hostler` and waits until it measures.
pub(crate) fn start_hostler(words: &[&str]) -> Running {
    start_hostler_with(words, &[])
}

/// The same, with variables in its environment.
pub(crate) fn start_hostler_with(words: &[&str], variables: &[(&str, &str)]) -> Running {
    let mut child = Command::new(HOSTLER)
        .args(words)
        .envs(variables.iter().copied())
        .arg("--verbose")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("hostler can be started");
    let mut errors = BufReader::new(child.stderr.take().expect("it is a pipe"));
    let mut said = String::new();
    while !said.contains("measuring") {
        let read = errors.read_line(&mut said).expect("it can be read");
        assert!(read > 0, "hostler ended before it measured: {said}");
    }
    Running {
        child: Some(child),
        beginning: said,
        errors,
    }
}

impl Running {
    /// Its process id.
    pub(crate) fn pid(&mut self) -> u32 {
        self.child().id()
    }

    /// What it said until it measured; the rest is in the output for which one waits.
    pub(crate) fn beginning(&self) -> &str {
        &self.beginning
    }

    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it was not waited for yet")
    }

    /// Sends it a signal.
    pub(crate) fn send(&mut self, signal: Signal) {
        let pid = Pid::from_raw(self.child().id().try_into().expect("a process id"));
        kill(pid, signal).expect("the process is there");
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Output {
        let child = self.child.take().expect("it was not waited for yet");
        let mut output = child.wait_with_output().expect("hostler ends");
        self.errors
            .read_to_end(&mut output.stderr)
            .expect("it can be read");
        output
    }

    /// Waits until it can't go on, since nobody reads its reports: until it has not run for a while.
    pub(crate) fn wait_until_it_stalls(&mut self) {
        let give_up = Instant::now() + PATIENCE;
        let path = format!("/proc/{}/status", self.child().id());
        let switches = || {
            let status = fs::read_to_string(&path).expect("it is there");
            status
                .lines()
                .filter(|line| line.contains("ctxt_switches"))
                .map(str::to_owned)
                .collect()
        };
        let mut before: Vec<String> = switches();
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = switches();
            if now == before {
                return;
            }
            assert!(Instant::now() < give_up, "it goes on although nobody reads");
            before = now;
        }
    }

    /// Waits for its end while its reports stay unread.
    pub(crate) fn wait_without_reading(mut self) {
        let give_up = Instant::now() + PATIENCE;
        while self
            .child()
            .try_wait()
            .expect("its state can be read")
            .is_none()
        {
            assert!(Instant::now() < give_up, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Closes the pipe that it writes its reports to.
    pub(crate) fn close_its_output(&mut self) {
        drop(self.child().stdout.take());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself meanwhile.
            let _gone = child.kill();
            let _status = child.wait();
        }
    }
}

/// The reports in JSON lines, one value each.
pub(crate) fn reports(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "hostler failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr),
    );
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}
