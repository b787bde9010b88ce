//! Others on a host who decide where threads run: Hostler steps aside for them.

use serde::Serialize;

use crate::signal::{Agent, AgentSource};

/// The folders of a cgroup's path that say that kubelet made it: with the cgroupfs driver `kubepods`, with
/// the systemd driver slices, possibly below another one.
const PODS: &str = "kubepods";

/// Who else decides where threads run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Owners {
    /// The scheduler that was loaded into the kernel (`sched_ext`), by its name; `None` if the kernel's own
    /// one schedules. It has plans for all threads, and CPUs that they are kept from spoil them.
    pub scheduler: Option<String>,
    /// Whether kubelet gives containers CPUs of their own (`cpuManagerPolicy` is `static`): all containers
    /// of pods have cpusets then that it changes as others come and go.
    pub kubelet: bool,
}

impl Owners {
    /// Whether kubelet decides where an agent runs, or may. A rule's agent may be processes of pods.
    pub(super) fn has_kubelet_for(&self, agent: &Agent) -> bool {
        let mut folders = agent.place.split('/');
        let is_in_pod = folders.any(|folder| folder.contains(PODS));
        self.kubelet && (is_in_pod || agent.source == AgentSource::Rule)
    }
}
