//! Names of pods and their containers, from the folders that kubelet makes for their logs.
//!
//! Each pod has a folder `<namespace>_<pod>_<uid>` with a folder for each container by name, and
//! each container that was started has a link `<pod>_<namespace>_<container>-<id>.log`. Only the
//! link ties a container's name to its id.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Found,
    container_id::{is_container_id, pod_uid, short},
    pod::PodId,
    small_file::{LastRead, entries},
    workload::Container,
};

/// Kubelet's log folders.
pub(super) struct Kubelet {
    pod_folder: PathBuf,
    link_folder: PathBuf,
    /// Pods by uid.
    pods: BTreeMap<String, PodName>,
    pods_read: LastRead,
    /// Containers by id.
    links: BTreeMap<String, (PodName, String)>,
    links_read: LastRead,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PodName {
    namespace: String,
    name: String,
}

impl Kubelet {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            pod_folder: root.join("var/log/pods"),
            link_folder: root.join("var/log/containers"),
            pods: BTreeMap::new(),
            pods_read: LastRead::default(),
            links: BTreeMap::new(),
            links_read: LastRead::default(),
        }
    }

    /// A container's name after its pod's. Without a pod in its path it may be anyone's.
    pub(super) fn container(&mut self, container: &Container<'_>, now_ns: u64) -> Option<Found> {
        let pod_id = container.pod.as_ref()?;
        self.read_links_for(container.id, now_ns);
        if let Some((pod, name)) = self.links.get(container.id) {
            return Some(pod.found(Some(name)));
        }
        let pod = self.pod_name(pod_id, now_ns)?;
        let only = self.only_container(&pod, &pod_id.uid);
        let name = only.as_deref().unwrap_or_else(|| short(container.id));
        Some(Found {
            provisional: true,
            ..pod.found(Some(name))
        })
    }

    /// A pod's name after its namespace.
    pub(super) fn pod(&mut self, pod: &PodId, now_ns: u64) -> Option<Found> {
        Some(self.pod_name(pod, now_ns)?.found(None))
    }

    /// Reads the links again if `id` is not among them and the last time is long enough ago.
    fn read_links_for(&mut self, id: &str, now_ns: u64) {
        if !self.links.contains_key(id) && self.links_read.is_due(now_ns) {
            self.links = entries(&self.link_folder)
                .filter_map(|link| link_target(&link))
                .collect();
        }
    }

    fn pod_name(&mut self, pod: &PodId, now_ns: u64) -> Option<PodName> {
        if !self.pods.contains_key(&pod.uid) && self.pods_read.is_due(now_ns) {
            self.pods = entries(&self.pod_folder)
                .filter_map(|folder| pod_of_folder(&folder))
                .collect();
        }
        self.pods.get(&pod.uid).cloned()
    }

    /// The pod's container, if it has only one and that is not known by another id: the pod's
    /// sandbox is a container as well, which has no folder.
    fn only_container(&self, pod: &PodName, uid: &str) -> Option<String> {
        let folder = format!("{}_{}_{uid}", pod.namespace, pod.name);
        let mut names = entries(&self.pod_folder.join(folder));
        let name = names.next().filter(|_| names.next().is_none())?;
        let is_another = self
            .links
            .values()
            .any(|(of, link)| of == pod && *link == name);
        (!is_another).then_some(name)
    }
}

impl PodName {
    fn found(&self, container: Option<&str>) -> Found {
        let Self { namespace, name } = self;
        let name = match container {
            Some(container) => format!("{namespace}/{name}/{container}"),
            None => format!("{namespace}/{name}"),
        };
        Found {
            name: name.into(),
            pod_namespace: Some(namespace.as_str().into()),
            ..Found::default()
        }
    }
}

/// The uid and name in `<namespace>_<pod>_<uid>`.
fn pod_of_folder(folder: &str) -> Option<(String, PodName)> {
    let (pod, uid) = folder.rsplit_once('_')?;
    let (namespace, name) = pod.split_once('_')?;
    Some((pod_uid(uid)?, pod_name(namespace, name)?))
}

/// The id and names in `<pod>_<namespace>_<container>-<id>.log`.
fn link_target(link: &str) -> Option<(String, (PodName, String))> {
    let (names, id) = link.strip_suffix(".log")?.rsplit_once('-')?;
    let (pod, rest) = names.split_once('_')?;
    let (namespace, container) = rest.split_once('_')?;
    let known = is_container_id(id) && !container.is_empty();
    let pod = pod_name(namespace, pod).filter(|_| known)?;
    Some((id.to_owned(), (pod, container.to_owned())))
}

fn pod_name(namespace: &str, name: &str) -> Option<PodName> {
    (!namespace.is_empty() && !name.is_empty()).then(|| PodName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    })
}
