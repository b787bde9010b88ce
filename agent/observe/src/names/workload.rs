//! What a cgroup's path says by itself.

use super::{
    container_id::{is_container_id, short},
    folders::{Component, components},
    pod::{Pod, PodId, innermost_pod, pod_in},
    unit::{Unit, innermost_unit},
};

/// What runs in a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Workload<'path> {
    /// A container, or a cgroup inside it.
    Container(Container<'path>),
    /// A pod's own cgroup or one below it, outside its containers.
    Pod(Pod<'path>),
    /// A systemd unit, or a cgroup below it.
    Unit(Unit<'path>),
    /// Anything else, by its path.
    Path(&'path str),
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Container<'path> {
    /// Who runs it, as far as the path tells.
    pub(super) runtime: Runtime,
    /// Its full id.
    pub(super) id: &'path str,
    /// The pod that it is part of.
    pub(super) pod: Option<PodId>,
    /// The path below the container's own cgroup.
    pub(super) rest: &'path str,
}

/// Who runs a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runtime {
    Docker,
    Containerd,
    CriO,
    Podman,
    Nerdctl,
    /// The path does not tell.
    Unknown,
}

impl Runtime {
    /// The name to show before a container's own.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Nerdctl => "nerdctl",
            Self::Unknown => "container",
        }
    }
}

/// How runtimes begin the name of a container's scope.
const SCOPES: [(&str, Runtime); 5] = [
    ("docker", Runtime::Docker),
    ("cri-containerd", Runtime::Containerd),
    ("crio", Runtime::CriO),
    ("libpod", Runtime::Podman),
    ("nerdctl", Runtime::Nerdctl),
];

impl<'path> Workload<'path> {
    /// Reads a v2 cgroup's path. The innermost container counts, then the innermost pod, then the
    /// innermost unit: a cluster in a container has pods in a container.
    pub(super) fn parse(path: &'path str) -> Self {
        let container = components(path)
            .rev()
            .find_map(|component| container_in(path, &component));
        container
            .map(Self::Container)
            .or_else(|| innermost_pod(path).map(Self::Pod))
            .or_else(|| innermost_unit(path).map(Self::Unit))
            .unwrap_or(Self::Path(path))
    }

    /// The name to show when no file tells a better one.
    pub(super) fn short_name(&self) -> String {
        match self {
            Self::Container(container) => container.short_name(),
            Self::Pod(pod) => format!("pod:{}", short(&pod.id.uid)),
            Self::Unit(unit) => unit.name(),
            Self::Path("") => "/".to_owned(),
            Self::Path(path) => (*path).to_owned(),
        }
    }

    /// The path below what has the name.
    pub(super) fn rest(&self) -> &'path str {
        match self {
            Self::Container(container) => container.rest,
            Self::Unit(unit) => unit.rest,
            Self::Pod(pod) => pod.rest,
            Self::Path(_) => "",
        }
    }
}

impl Container<'_> {
    fn short_name(&self) -> String {
        let id = short(self.id);
        match &self.pod {
            Some(pod) => format!("pod:{}/{id}", short(&pod.uid)),
            None => format!("{}:{id}", self.runtime.as_str()),
        }
    }
}

fn container_in<'path>(path: &'path str, component: &Component<'path>) -> Option<Container<'path>> {
    let above = &path[..component.start];
    let (runtime, id) = scope(component.name)
        .or_else(|| misread_slice(component.name))
        .or_else(|| folder(above, component.name))?;
    // Of a name with colons, the pod's slice is the first part.
    let pod = innermost_pod(above)
        .map(|pod| pod.id)
        .or_else(|| pod_in(component.name.split(':').next()?));
    Some(Container {
        runtime,
        id,
        pod,
        rest: component.below,
    })
}

/// systemd's driver: `docker-<id>.scope`.
fn scope(name: &str) -> Option<(Runtime, &str)> {
    let (prefix, id) = name.strip_suffix(".scope")?.rsplit_once('-')?;
    runtime_of(prefix, id)
}

/// What a runtime that takes kubelet's systemd path for a plain one makes of it:
/// `kubepods-….slice:cri-containerd:<id>`.
fn misread_slice(name: &str) -> Option<(Runtime, &str)> {
    let (above, id) = name.rsplit_once(':')?;
    let (_, prefix) = above.rsplit_once(':')?;
    runtime_of(prefix, id)
}

/// The cgroupfs driver: a folder that is called by the bare id, or by the id with the runtime
/// before it.
fn folder<'path>(above: &str, name: &'path str) -> Option<(Runtime, &'path str)> {
    if is_container_id(name) {
        let parent = components(above).next_back()?;
        let runtime = match parent.name {
            "docker" => Runtime::Docker,
            _ => Runtime::Unknown,
        };
        return Some((runtime, name));
    }
    let (prefix, id) = name.rsplit_once('-')?;
    runtime_of(prefix, id)
}

fn runtime_of<'id>(prefix: &str, id: &'id str) -> Option<(Runtime, &'id str)> {
    let (_, runtime) = SCOPES.iter().find(|(known, _)| *known == prefix)?;
    is_container_id(id).then_some((*runtime, id))
}

#[cfg(test)]
mod tests;
