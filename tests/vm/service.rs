//! The unit, under a systemd of its own: whether what it forbids leaves Hostler all that it needs.
//!
//! It comes last, since systemd leaves its slices in the guest's cgroup hierarchy.

use std::{
    path::Path,
    process::{Child, Command, Output},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    Test,
    guest::{Guest, HOSTLER},
};

pub(crate) const TESTS: &[Test] = &[(NAME, the_unit_starts_reloads_and_restarts_hostler)];

const NAME: &str = "the_unit_starts_reloads_and_restarts_hostler";

const SYSTEMD: &str = "/lib/systemd/systemd";

/// An emulated machine takes its time.
const PATIENCE: Duration = Duration::from_mins(3);

/// What lets systemd be the first process of its own namespace, with the unit and Hostler where an
/// installation has them, and nothing else to start.
const BEGIN: &str = r#"
set -e
mount --make-rprivate /
mount -t proc proc /proc
for folder in /run /etc/systemd/system /usr/local/bin /var/lib; do mount -t tmpfs tmpfs $folder; done
mkdir -p /etc/hostler && mount -t tmpfs tmpfs /etc/hostler
cp "$HOSTLER" /usr/local/bin/hostler
cp "$UNIT" /etc/systemd/system/hostler.service
# What tidies /tmp and the like would walk through all of this machine's files.
for unit in systemd-tmpfiles-setup systemd-tmpfiles-setup-dev systemd-sysusers ldconfig; do
    ln -s /dev/null /etc/systemd/system/$unit.service
done
# Such as has no hardware.
export container=lxc
exec "$SYSTEMD" --system --unit=basic.target --log-target=null
"#;

/// Why it can't run here, if it can't, or need not.
pub(crate) fn lack(guest: &Guest) -> Option<(&'static str, String)> {
    let reason = if !Path::new(SYSTEMD).exists() {
        format!("{SYSTEMD} (of systemd) is not there")
    } else if guest.is_asked_for {
        return None;
    } else if guest.nodes.len() > 2 {
        "it takes three minutes, and the shape makes no difference to it".to_owned()
    } else if guest.series == "6.1" {
        format!("another guest runs it; by name: --test {NAME}")
    } else {
        return None;
    };
    Some((NAME, reason))
}

/// A systemd in namespaces of its own.
struct Systemd {
    unshare: Child,
    pid: i32,
}

impl Systemd {
    fn start() -> Self {
        let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/hostler.service");
        let unshare = Command::new("unshare")
            .args([
                "--pid",
                "--fork",
                "--mount",
                "--kill-child",
                "sh",
                "-c",
                BEGIN,
            ])
            .env("HOSTLER", HOSTLER)
            .env("UNIT", unit)
            .env("SYSTEMD", SYSTEMD)
            .spawn()
            .expect("unshare (of util-linux) is there");
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let pid = until("systemd begins", || {
            let children = std::fs::read_to_string(&children).ok()?;
            children.trim().parse().ok()
        });
        let systemd = Self { unshare, pid };
        until("systemd has nothing to start any more", || {
            let jobs = systemd.run("systemctl list-jobs");
            let said = String::from_utf8_lossy(&jobs.stdout).into_owned();
            (jobs.status.success() && said.contains("No jobs")).then_some(())
        });
        systemd
    }

    /// Whether Hostler has said of nothing since it was started that it can't be had.
    fn has_nothing_to_complain_of(&self) {
        let log = self.said("systemctl --no-pager --lines 40 status hostler");
        for bad in ["ERROR", "WARN"] {
            assert!(!log.contains(bad), "{log}");
        }
    }

    /// Runs a command where it is.
    fn run(&self, command: &str) -> Output {
        let pid = self.pid.to_string();
        let words = ["-t", &pid, "-p", "-m", "--", "sh", "-c", command];
        let output = Command::new("nsenter").args(words).output();
        output.expect("nsenter (of util-linux) is there")
    }

    /// The same of a command that succeeds; what it says.
    fn said(&self, command: &str) -> String {
        let output = self.run(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout);
        let log = || {
            text(
                &self
                    .run("systemctl --no-pager --lines 40 status hostler")
                    .stdout,
            )
        };
        let errors = text(&output.stderr);
        assert!(
            output.status.success(),
            "{command}: {said}{errors}\n{}",
            log()
        );
        said
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // It is the first process of its namespace: all others end with it.
        let _is_gone = kill(Pid::from_raw(self.pid), Signal::SIGKILL);
        let _is_gone = self.unshare.wait();
    }
}

fn until<T>(what: &str, mut is_it: impl FnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = is_it() {
            return found;
        }
        assert!(
            Instant::now() < give_up,
            "it does not come to it that {what}"
        );
        sleep(Duration::from_millis(200));
    }
}

fn the_unit_starts_reloads_and_restarts_hostler(_guest: &Guest) {
    let systemd = Systemd::start();
    systemd.said("systemctl start hostler");
    let status = systemd.said("hostler status");
    assert!(status.contains("kept in /var/lib/hostler"), "{status}");
    let sets = systemd.said("grep -E 'Seccomp:|NoNewPrivs:' /proc/$(pgrep -x hostler)/status");
    assert_eq!(sets, "NoNewPrivs:\t1\nSeccomp:\t2\n");

    systemd.said("echo \"tick = '500ms'\" > /etc/hostler/hostler.toml; systemctl reload hostler");
    let status = systemd.said("hostler status");
    assert!(status.contains("each 500ms"), "{status}");
    // With all signals, nothing that it wants is forbidden.
    systemd.said(
        "echo '[signals]\nwakes = true' > /etc/hostler/hostler.toml; systemctl reload hostler",
    );
    systemd.has_nothing_to_complain_of();
    let wrong = "echo colour = 1 > /etc/hostler/hostler.toml; systemctl reload hostler";
    assert!(!systemd.run(wrong).status.success(), "it is refused");
    let metrics = |series: &str| {
        let text = systemd.said("hostler export --format prometheus --duration 2s");
        text.lines().any(|line| line.starts_with(series))
    };
    assert!(metrics("hostler_host_threads "), "it measures");

    systemd.said("rm /etc/hostler/hostler.toml; systemctl restart hostler");
    let log = systemd.said("systemctl --no-pager --lines 40 status hostler");
    assert!(log.contains("the history goes on"), "{log}");
    systemd.has_nothing_to_complain_of();
    systemd.said("systemctl stop hostler");
    let state = systemd.said("systemctl show --property Result,ExecMainStatus hostler");
    assert_eq!(state, "Result=success\nExecMainStatus=0\n");
}
