//! Names of Podman's containers, from the list that its storage keeps.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use super::{
    Found,
    small_file::{self, LastRead},
    workload::{Container, Runtime},
};

/// Where the lists are: one for each storage driver, and one more for containers that are removed
/// when they stop.
const LISTS: [&str; 4] = [
    "overlay-containers/containers.json",
    "overlay-containers/volatile-containers.json",
    "vfs-containers/containers.json",
    "vfs-containers/volatile-containers.json",
];

/// The part of a container's entry that is read.
#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    names: Vec<String>,
}

/// Podman's files, those of the root user.
pub(super) struct Podman {
    storage: PathBuf,
    names: BTreeMap<String, Arc<str>>,
    read: LastRead,
}

impl Podman {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            storage: root.join("var/lib/containers/storage"),
            names: BTreeMap::new(),
            read: LastRead::default(),
        }
    }

    pub(super) fn container(&mut self, container: &Container<'_>, now_ns: u64) -> Option<Found> {
        if !matches!(container.runtime, Runtime::Podman | Runtime::Unknown) {
            return None;
        }
        if self.read.is_due(now_ns) {
            self.names = self.listed();
        }
        let name = self.names.get(container.id)?;
        Some(Found {
            name: Arc::clone(name),
            ..Found::default()
        })
    }

    fn listed(&self) -> BTreeMap<String, Arc<str>> {
        LISTS
            .iter()
            .filter_map(|list| small_file::json::<Vec<Listed>>(&self.storage.join(list)))
            .flatten()
            .filter_map(|listed| {
                let name = listed.names.first().filter(|name| !name.is_empty())?;
                let shown = format!("{}:{name}", Runtime::Podman.as_str());
                Some((listed.id, shown.into()))
            })
            .collect()
    }
}
