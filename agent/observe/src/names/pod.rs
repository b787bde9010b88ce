//! Pods in cgroup paths.

use super::{container_id::pod_uid, folders::components};

/// A pod's cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pod<'path> {
    pub(super) id: PodId,
    /// The path below the pod's own cgroup.
    pub(super) rest: &'path str,
}

/// Which pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PodId {
    /// Its uid, with dashes.
    pub(super) uid: String,
    /// What it is promised.
    pub(super) quality: Quality,
}

/// A pod's quality of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quality {
    Guaranteed,
    Burstable,
    BestEffort,
}

pub(super) fn innermost_pod(path: &str) -> Option<Pod<'_>> {
    components(path).rev().find_map(|component| {
        let mut id = pod_in(component.name)?;
        // The cgroupfs driver says it in the folder above.
        if let Some(quality) = quality_of(&path[..component.start]) {
            id.quality = quality;
        }
        Some(Pod {
            id,
            rest: component.below,
        })
    })
}

/// `pod<uid>`, or with systemd's driver `kubepods-burstable-pod<uid>.slice`.
pub(super) fn pod_in(name: &str) -> Option<PodId> {
    let (prefix, uid) = match name.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?,
        None => ("", name.strip_prefix("pod")?),
    };
    Some(PodId {
        uid: pod_uid(uid)?,
        quality: match prefix.rsplit('-').next() {
            Some("burstable") => Quality::Burstable,
            Some("besteffort") => Quality::BestEffort,
            _ => Quality::Guaranteed,
        },
    })
}

fn quality_of(above: &str) -> Option<Quality> {
    match components(above).next_back()?.name {
        "burstable" => Some(Quality::Burstable),
        "besteffort" => Some(Quality::BestEffort),
        _ => None,
    }
}
