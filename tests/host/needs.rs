//! What tests need of the machine beyond cgroups: each function says why it can't be had, or
//! nothing if it can.

use std::{fs, path::Path, process::Command, sync::OnceLock};

use serde_json::Value;

use crate::host::{hostler, reports};

/// The kernel's own account of how long each thread waited.
pub(crate) fn schedstat() -> Option<String> {
    let path = "/proc/self/schedstat";
    match fs::read_to_string(path) {
        // Without the account all three fields are zero; the last counts runs, so ours is not.
        Ok(text) if text.trim() == "0 0 0" => {
            Some("this kernel keeps no account of waits (delay accounting is off)".to_owned())
        }
        Ok(_) => None,
        Err(error) => Some(format!("{path} can't be read: {error}")),
    }
}

/// To say which id the next process gets.
pub(crate) fn chosen_process_ids() -> Option<String> {
    let path = "/proc/sys/kernel/ns_last_pid";
    let tried = fs::read_to_string(path).and_then(|last| fs::write(path, last));
    tried.err().map(|error| format!("{path}: {error}"))
}

/// A controller, such as `cpu` for quotas, for v2 cgroups of its own.
pub(crate) fn controller(cgroup_root: &Path, controller: &str) -> Option<String> {
    let enabled = fs::read_to_string(cgroup_root.join("cgroup.subtree_control"));
    match enabled {
        Ok(text) if text.split_whitespace().any(|name| name == controller) => None,
        Ok(_) => Some(format!(
            "the {controller} controller is not enabled in the v2 hierarchy"
        )),
        Err(error) => Some(format!(
            "the v2 hierarchy's controllers can't be read: {error}"
        )),
    }
}

/// The peer `runqlat`.
pub(crate) fn runqlat() -> Option<String> {
    match Command::new("runqlat").arg("--version").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("runqlat does not run here ({})", output.status)),
        Err(error) => Some(format!(
            "runqlat (of libbpf-tools) can't be started: {error}"
        )),
    }
}

/// What the kernel tells of each socket.
pub(crate) fn socket_statistics() -> Option<String> {
    match Command::new("ss").arg("-V").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("ss does not run here ({})", output.status)),
        Err(error) => Some(format!("ss (of iproute2) can't be started: {error}")),
    }
}

/// Whether this kernel can't be asked to tell of the round trips of sockets that are open: those
/// before 6.12.
pub(crate) fn has_samples_of_old_sockets() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("it has one");
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    let (major, minor): (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    (major, minor) < (6, 12)
}

/// What a command does in a network namespace of its own.
pub(crate) fn network(command: &str) -> Option<String> {
    let words = ["--net", "sh", "-c", command];
    match Command::new("unshare").args(words).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().next().unwrap_or_default();
            Some(format!("`{command}` fails here: {said}"))
        }
        Err(error) => Some(format!("unshare can't be run: {error}")),
    }
}

/// The kernel's account of time lost for want of something.
pub(crate) fn pressure() -> Option<String> {
    let read = fs::read_to_string("/proc/pressure/cpu");
    read.err().map(|error| format!("/proc/pressure: {error}"))
}

/// Programs at both ends of the kernel's function for faults, by what Hostler says of them: which
/// guests have them is held by their doctor's golden files.
pub(crate) fn fault_latency() -> Option<String> {
    static WHY_NOT: OnceLock<Option<String>> = OnceLock::new();
    let ask = || {
        let doctor = hostler(&["doctor", "--json"]);
        let report = &reports(&doctor)[0];
        let signals = report["signals"].as_array().expect("there are signals");
        let is_it = |signal: &&Value| signal["signal"] == "how long page faults take";
        let signal = signals.iter().find(is_it).expect("it is one of them");
        signal["in_use"]
            .is_null()
            .then(|| signal["better"][0]["why_not"].to_string())
    };
    WHY_NOT.get_or_init(ask).clone()
}

/// A machine that is ours alone.
pub(crate) fn guest() -> Option<String> {
    std::env::var_os("HOSTLER_GUEST")
        .is_none()
        .then(|| "it changes a setting of the machine, so it runs in guests only".to_owned())
}
