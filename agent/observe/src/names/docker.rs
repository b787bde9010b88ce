//! Names of Docker's containers, from the files that its daemon keeps.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use super::{
    Found, small_file,
    workload::{Container, Runtime},
};

/// The part of `config.v2.json` that is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    name: String,
    #[serde(default)]
    config: Settings,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Settings {
    /// `null` if there are none.
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// Docker's files.
pub(super) struct Docker {
    containers: PathBuf,
}

impl Docker {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            containers: root.join("var/lib/docker/containers"),
        }
    }

    pub(super) fn container(&self, container: &Container<'_>) -> Option<Found> {
        if !matches!(container.runtime, Runtime::Docker | Runtime::Unknown) {
            return None;
        }
        let path = self.containers.join(container.id).join("config.v2.json");
        let config: Config = small_file::json(&path)?;
        let name = config.name.trim_start_matches('/');
        if name.is_empty() {
            return None;
        }
        Some(Found {
            name: format!("{}:{name}", Runtime::Docker.as_str()).into(),
            labels: config.config.labels.map(Arc::new),
            ..Found::default()
        })
    }
}
