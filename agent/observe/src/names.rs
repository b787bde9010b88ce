//! What people call a cgroup.
//!
//! A cgroup's path holds ids of pods and containers, not names. [`Workload`] is what the path says
//! by itself; [`Names`] looks up what those ids are called in the files that kubelet, Docker and
//! Podman leave on the host. Names are for people: nothing is told apart by them, and when a file
//! is missing, unreadable or odd, a short id takes the name's place.

mod cache;
mod container_id;
mod docker;
mod folders;
mod group;
mod kubelet;
mod pod;
mod podman;
mod small_file;
mod unit;
mod workload;

pub(crate) use unit::unit_of;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use hostler_decide::identity::{Kind, printable, shortened};

use self::{
    cache::Cache,
    docker::Docker,
    kubelet::Kubelet,
    podman::Podman,
    workload::{Container, Workload},
};

/// How long the names and labels of a cgroup are looked up again, in ns: container runtimes write
/// them down while a container starts.
pub(crate) const NAMES_SETTLE_NS: u64 = 60_000_000_000;

/// What a cgroup is called, with what else came to light when that was looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CgroupName {
    /// The name to show: printable, at most 200 characters.
    pub(crate) display: String,
    /// The cgroups that share a policy with it: its pod's namespace, its container's runtime, its
    /// slice, or the cgroup above it.
    pub(crate) group: String,
    /// What it is, as far as its place tells.
    pub(crate) kind: Kind,
    /// The namespace of its pod, if that is known.
    pub(crate) pod_namespace: Option<Arc<str>>,
    /// The labels of its container or pod, if they are known.
    pub(crate) labels: Option<Arc<BTreeMap<String, String>>>,
}

/// What the files of a runtime say about a container or pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Found {
    /// Its name, without what the rest of the path adds.
    name: Arc<str>,
    pod_namespace: Option<Arc<str>>,
    labels: Option<Arc<BTreeMap<String, String>>>,
    /// Whether the files may soon say more, since they are written while a container starts.
    provisional: bool,
}

/// Looks up the names of cgroups, and remembers them.
pub(crate) struct Names {
    docker: Docker,
    kubelet: Kubelet,
    podman: Podman,
    cache: Cache,
}

impl Names {
    /// Looks for files below `root`, which is `/` on a host, or where the host's root is mounted.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            docker: Docker::new(root),
            kubelet: Kubelet::new(root),
            podman: Podman::new(root),
            cache: Cache::default(),
        }
    }

    /// What the cgroup at `path` is called. `now_ns`, on any clock that does not go back, says how
    /// old a remembered answer is.
    pub(crate) fn of_cgroup(&mut self, path: &str, now_ns: u64) -> CgroupName {
        let workload = Workload::parse(path);
        let found = match &workload {
            Workload::Container(container) => {
                let id = container.id;
                self.remembered(id, now_ns, |names| names.container(container, now_ns))
            }
            Workload::Pod(pod) => {
                let uid = pod.id.uid.as_str();
                self.remembered(uid, now_ns, |names| names.kubelet.pod(&pod.id, now_ns))
            }
            Workload::Unit(_) | Workload::Path(_) => None,
        };
        let name = found
            .as_ref()
            .map_or_else(|| workload.short_name(), |found| found.name.to_string());
        let namespace = found
            .as_ref()
            .and_then(|found| found.pod_namespace.as_deref());
        CgroupName {
            group: shortened(printable(&group::of(&workload, path, namespace))),
            kind: group::kind_of(&workload, path, namespace),
            display: shortened(printable(&with_rest(name, workload.rest()))),
            pod_namespace: found.as_ref().and_then(|found| found.pod_namespace.clone()),
            labels: found.and_then(|found| found.labels),
        }
    }

    fn remembered(
        &mut self,
        id: &str,
        now_ns: u64,
        look_up: impl FnOnce(&mut Self) -> Option<Found>,
    ) -> Option<Found> {
        if let Some(answer) = self.cache.get(id, now_ns) {
            return answer.found.clone();
        }
        let answer = look_up(self);
        self.cache.insert(id, answer.clone(), now_ns);
        answer
    }

    /// Asks whoever may know. Kubelet comes first, since a pod's container is also one of Docker's
    /// or containerd's, under a name that nobody chose.
    fn container(&mut self, container: &Container<'_>, now_ns: u64) -> Option<Found> {
        self.kubelet
            .container(container, now_ns)
            .or_else(|| self.podman.container(container, now_ns))
            .or_else(|| self.docker.container(container))
    }
}

fn with_rest(name: String, rest: &str) -> String {
    if rest.is_empty() {
        return name;
    }
    format!("{name}/{rest}")
}

#[cfg(test)]
mod tests;
