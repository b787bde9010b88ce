use proptest::prelude::*;

use super::*;

const UID: &str = "1b3e6f0a-12cd-4e5f-8a9b-0123456789ab";

fn id() -> String {
    "0123456789abcdef".repeat(4)
}

/// Fills `<id>`, `<uid>` and `<u_id>` (the uid with underscores) into a path.
fn path(pattern: &str) -> String {
    pattern
        .replace("<id>", &id())
        .replace("<uid>", UID)
        .replace("<u_id>", &UID.replace('-', "_"))
}

/// What a path is read as, in words.
fn read(pattern: &str) -> String {
    let path = path(pattern);
    match Workload::parse(&path) {
        Workload::Container(container) => {
            assert_eq!(container.id, id());
            let pod = container.pod.map(|pod| {
                assert_eq!(pod.uid, UID);
                format!(" {:?}", pod.quality)
            });
            format!(
                "{:?}{} [{}]",
                container.runtime,
                pod.unwrap_or_default(),
                container.rest
            )
        }
        Workload::Pod(pod) => format!("pod {:?} [{}]", pod.id.quality, pod.rest),
        Workload::Unit(unit) => format!("unit {} [{}]", unit.name(), unit.rest),
        Workload::Path(path) => format!("path {path}"),
    }
}

#[test]
fn containers_are_known_by_each_runtime_and_driver() {
    for (path, expected) in [
        ("/docker/<id>", "Docker []"),
        ("docker/<id>/init", "Docker [init]"),
        ("/system.slice/docker-<id>.scope", "Docker []"),
        ("/default/<id>", "Unknown []"),
        ("/system.slice/nerdctl-<id>.scope", "Nerdctl []"),
        ("/machine.slice/libpod-<id>.scope", "Podman []"),
        (
            "/machine.slice/libpod-<id>.scope/container",
            "Podman [container]",
        ),
        ("/libpod_parent/libpod-<id>", "Podman []"),
        (
            "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<id>.scope",
            "Podman []",
        ),
    ] {
        assert_eq!(read(path), expected, "{path}");
    }
}

#[test]
fn containers_of_pods_are_known_by_each_runtime_driver_and_quality() {
    let slices = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<u_id>.slice";
    for (path, expected) in [
        (format!("{slices}/cri-containerd-<id>.scope"), "Containerd Burstable []"),
        (format!("{slices}/crio-<id>.scope"), "CriO Burstable []"),
        (format!("{slices}/docker-<id>.scope/a/b"), "Docker Burstable [a/b]"),
        (
            "/kubepods.slice/kubepods-pod<u_id>.slice/cri-containerd-<id>.scope".to_owned(),
            "Containerd Guaranteed []",
        ),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<u_id>.slice/crio-<id>.scope"
                .to_owned(),
            "CriO BestEffort []",
        ),
        ("/kubepods/burstable/pod<uid>/<id>".to_owned(), "Unknown Burstable []"),
        ("/kubepods/besteffort/pod<uid>/crio-<id>".to_owned(), "CriO BestEffort []"),
        ("/kubepods/pod<uid>/<id>".to_owned(), "Unknown Guaranteed []"),
        (
            "/system.slice/kubepods-burstable-pod<u_id>.slice:cri-containerd:<id>".to_owned(),
            "Containerd Burstable []",
        ),
    ] {
        assert_eq!(read(&path), expected, "{path}");
    }
}

#[test]
fn a_pod_in_a_container_is_the_pod() {
    let outer = "/system.slice/docker-<id>.scope/kubelet.slice/kubelet-kubepods.slice";
    let path = format!("{outer}/kubelet-kubepods-pod<u_id>.slice/cri-containerd-<id>.scope");
    assert_eq!(read(&path), "Containerd Guaranteed []");
}

#[test]
fn what_is_in_a_container_keeps_the_container_s_name() {
    assert_eq!(
        read("/docker/<id>/system.slice/ssh.service"),
        "Docker [system.slice/ssh.service]"
    );
}

#[test]
fn a_pod_s_own_cgroup_and_what_is_beside_its_containers_are_the_pod() {
    assert_eq!(read("/kubepods/burstable/pod<uid>"), "pod Burstable []");
    let slice = "/kubepods.slice/kubepods-pod<u_id>.slice";
    assert_eq!(
        read(&format!("{slice}/crio-conmon-x.scope")),
        "pod Guaranteed [crio-conmon-x.scope]"
    );
}

#[test]
fn what_is_no_container_is_its_unit_or_its_path() {
    for (path, expected) in [
        ("/system.slice/ssh.service/sub", "unit ssh.service [sub]"),
        (
            "/machine.slice/libpod-conmon-<id>.scope",
            &path("unit libpod-conmon-<id>.scope []"),
        ),
        ("/system.slice/docker-abc.scope", "unit docker-abc.scope []"),
        ("/agents/a1", "path /agents/a1"),
        ("/<id>", &path("path /<id>")),
        ("/", "path /"),
    ] {
        assert_eq!(read(path), expected, "{path}");
    }
}

fn hostile_path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "(kubepods|burstable|docker|default|user@1000.service|é.scope)",
        "(crio|docker|libpod|cri-containerd)[-:][0-9a-f]{63,65}(.scope)?",
        "(kubepods-)?(besteffort-)?pod[0-9a-f_é-]{30,37}(.slice)?",
        "[\\\\x0-9a-f]{1,9}.service",
    ];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.join("/"))
}

proptest! {
    #[test]
    fn every_path_can_be_read_and_has_one_short_name(path in hostile_path()) {
        let workload = Workload::parse(&path);
        prop_assert!(!workload.short_name().is_empty());
        prop_assert_eq!(workload.short_name(), Workload::parse(&path).short_name());
        prop_assert!(path.trim_matches('/').ends_with(workload.rest()));
    }

    #[test]
    fn a_container_s_short_name_depends_on_its_id_alone(
        id in "[0-9a-f]{64}", above in "[a-z]{1,8}", below in "[a-z/]{0,8}"
    ) {
        let path = format!("/{above}/docker-{id}.scope/{below}");
        prop_assert_eq!(
            Workload::parse(&path).short_name(),
            format!("docker:{}", &id[..12])
        );
    }
}
