//! Others who decide where threads run, or where memory lies: who they are on this host.
//!
//! On most hosts most of these files are not there. One that is there and makes no sense is taken for an
//! owner: to leave something alone hurts nobody.

use std::{fs, path::Path};

use hostler_decide::plan::Owners;
use serde::Deserialize;

/// Whether a scheduler is loaded, and its name.
const SCHED_EXT_STATE: &str = "/sys/kernel/sched_ext/state";
const SCHED_EXT_NAME: &str = "/sys/kernel/sched_ext/root/ops";

/// kubelet's notes of the CPUs that it has given away.
const KUBELET_STATE: &str = "/var/lib/kubelet/cpu_manager_state";

/// The kernel's own balancing of memory between nodes; 0 if it is off.
const BALANCING: &str = "/proc/sys/kernel/numa_balancing";

/// A file longer than this is not what it should be.
const MAX_BYTES: u64 = 4 << 20;

/// Who else decides where threads run.
pub fn owners() -> Owners {
    let is_enabled = read(SCHED_EXT_STATE).is_some_and(|state| state.trim() == "enabled");
    let name = || {
        let name = read(SCHED_EXT_NAME).unwrap_or_default();
        let name = name.trim();
        if name.is_empty() { "sched_ext" } else { name }.to_owned()
    };
    Owners {
        scheduler: is_enabled.then(name),
        kubelet: Path::new(KUBELET_STATE).exists()
            && read(KUBELET_STATE).is_none_or(|state| gives_cpus_away(&state)),
    }
}

/// Whether the kernel itself brings memory to who uses it.
pub(crate) fn kernel_balances() -> bool {
    read(BALANCING).is_some_and(|value| value.trim() != "0")
}

fn read(path: &str) -> Option<String> {
    let length = fs::metadata(path).ok()?.len();
    (length <= MAX_BYTES)
        .then(|| fs::read_to_string(path).ok())
        .flatten()
}

/// Whether kubelet's notes say that containers get CPUs of their own, or don't say that they do not.
fn gives_cpus_away(state: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct State {
        policy_name: String,
    }
    let state = serde_json::from_str(state);
    state.map_or(true, |state: State| state.policy_name != "none")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelet_s_notes_tell_whether_it_gives_cpus_away() {
        let notes = |policy: &str| {
            format!(r#"{{"policyName":"{policy}","defaultCpuSet":"0-7","checksum":1353318690}}"#)
        };
        assert!(!gives_cpus_away(&notes("none")));
        for other in [&notes("static"), "", "{}", "static", "[1]"] {
            assert!(gives_cpus_away(other), "{other}");
        }
    }
}
