use std::{fs, path::Path};

use super::*;

const UID: &str = "1b3e6f0a-12cd-4e5f-8a9b-0123456789ab";
const SECOND: u64 = 1_000_000_000;

fn id(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A host's files in a temporary folder.
struct Host(tempfile::TempDir);

impl Host {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.0.path().join(path);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("new folders");
        fs::write(path, content).expect("a new file");
    }

    fn names(&self) -> Names {
        Names::new(self.0.path())
    }

    fn display(&self, path: &str) -> String {
        self.names().of_cgroup(path, 0).display
    }

    fn pod_with(&self, containers: &[&str]) {
        for container in containers {
            let pod = format!("var/log/pods/agents_worker-0_{UID}");
            self.write(&format!("{pod}/{container}/0.log"), b"");
        }
    }

    fn link(&self, container: &str, id: &str) {
        let links = "var/log/containers";
        self.write(
            &format!("{links}/worker-0_agents_{container}-{id}.log"),
            b"",
        );
    }
}

/// The cgroup of a pod's container with each driver.
fn pod_paths(id: &str) -> [String; 3] {
    let uid = UID.replace('-', "_");
    let slices =
        format!("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice");
    [
        format!("/{slices}/cri-containerd-{id}.scope"),
        format!("/{slices}/crio-{id}.scope"),
        format!("/kubepods/burstable/pod{UID}/{id}"),
    ]
}

#[test]
fn a_container_of_a_pod_is_called_by_its_link_with_every_runtime_and_driver() {
    let host = Host::new();
    host.pod_with(&["main", "side"]);
    host.link("main", &id('a'));
    for path in pod_paths(&id('a')) {
        let name = host.names().of_cgroup(&path, 0);
        assert_eq!(name.display, "agents/worker-0/main");
        assert_eq!(name.pod_namespace.as_deref(), Some("agents"));
        assert_eq!(
            host.display(&format!("{path}/nested/deep")),
            "agents/worker-0/main/nested/deep"
        );
    }
}

#[test]
fn a_pod_s_only_container_needs_no_link() {
    let host = Host::new();
    host.pod_with(&["main"]);
    for path in pod_paths(&id('a')) {
        assert_eq!(host.display(&path), "agents/worker-0/main");
    }
}

#[test]
fn a_pod_s_sandbox_does_not_get_its_only_container_s_name() {
    let host = Host::new();
    host.pod_with(&["main"]);
    host.link("main", &id('a'));
    for path in pod_paths(&id('b')) {
        assert_eq!(host.display(&path), "agents/worker-0/bbbbbbbbbbbb");
    }
}

#[test]
fn one_of_several_containers_without_a_link_is_called_by_its_id() {
    let host = Host::new();
    host.pod_with(&["main", "side"]);
    for path in pod_paths(&id('a')) {
        assert_eq!(host.display(&path), "agents/worker-0/aaaaaaaaaaaa");
    }
}

#[test]
fn a_pod_is_called_by_its_namespace_and_name() {
    let host = Host::new();
    host.pod_with(&["main"]);
    assert_eq!(
        host.display(&format!("/kubepods/pod{UID}")),
        "agents/worker-0"
    );
}

#[test]
fn without_files_short_ids_take_the_names_place() {
    let host = Host::new();
    let id = id('c');
    for (path, expected) in [
        (pod_paths(&id)[0].clone(), "pod:1b3e6f0a-12cd/cccccccccccc"),
        (format!("/kubepods/pod{UID}"), "pod:1b3e6f0a-12cd"),
        (format!("/docker/{id}"), "docker:cccccccccccc"),
        (
            format!("/machine.slice/libpod-{id}.scope"),
            "podman:cccccccccccc",
        ),
        (format!("/default/{id}"), "container:cccccccccccc"),
        ("/system.slice/ssh.service".to_owned(), "ssh.service"),
        ("/agents/a1".to_owned(), "/agents/a1"),
        (String::new(), "/"),
    ] {
        assert_eq!(host.display(&path), expected);
    }
}

#[test]
fn docker_s_names_and_labels_are_found_with_both_drivers() {
    let host = Host::new();
    let id = id('d');
    host.write(
        &format!("var/lib/docker/containers/{id}/config.v2.json"),
        br#"{"ID":"d","Name":"/web","Config":{"Labels":{"app":"agent"},"Env":[]},"State":{}}"#,
    );
    for path in [
        format!("/docker/{id}"),
        format!("/system.slice/docker-{id}.scope"),
    ] {
        let name = host.names().of_cgroup(&path, 0);
        assert_eq!(name.display, "docker:web");
        assert_eq!(name.labels.expect("labels")["app"], "agent");
    }
}

#[test]
fn podman_s_names_are_found_also_of_containers_that_are_removed_when_they_stop() {
    let host = Host::new();
    let storage = "var/lib/containers/storage/overlay-containers";
    let list = |digit, name| {
        format!(
            r#"[{{"id":"{}","names":["{name}"],"image":"i","metadata":"{{}}"}}]"#,
            id(digit)
        )
    };
    host.write(
        &format!("{storage}/containers.json"),
        list('e', "web").as_bytes(),
    );
    host.write(
        &format!("{storage}/volatile-containers.json"),
        list('f', "job").as_bytes(),
    );
    let scope = |digit| format!("/machine.slice/libpod-{}.scope/container", id(digit));
    assert_eq!(host.display(&scope('e')), "podman:web/container");
    assert_eq!(host.display(&scope('f')), "podman:job/container");
}

#[test]
fn odd_files_lead_to_short_ids() {
    let host = Host::new();
    let id = id('d');
    let path = format!("/docker/{id}");
    let file = format!("var/lib/docker/containers/{id}/config.v2.json");
    let large = format!(r#"{{"Name":"/web","Pad":"{}"}}"#, "x".repeat(1 << 20));
    for content in [
        b"{".as_slice(),
        b"[]",
        br#"{"Name":7}"#,
        br#"{"Name":"/"}"#,
        large.as_bytes(),
    ] {
        host.write(&file, content);
        assert_eq!(host.display(&path), "docker:dddddddddddd");
    }
    host.write("var/log/pods", b"a file where a folder is expected");
    assert_eq!(
        host.display(&pod_paths(&id)[0]),
        "pod:1b3e6f0a-12cd/dddddddddddd"
    );
}

#[test]
fn a_name_can_t_make_a_terminal_obey() {
    let host = Host::new();
    let id = id('d');
    host.write(
        &format!("var/lib/docker/containers/{id}/config.v2.json"),
        br#"{"Name":"/a\u001b[2J\nb\u202e"}"#,
    );
    assert_eq!(
        host.display(&format!("/docker/{id}")),
        "docker:a\u{fffd}[2J\u{fffd}b\u{fffd}"
    );
    assert_eq!(host.display("/evil\x1b[2J\n"), "/evil\u{fffd}[2J\u{fffd}");
    assert_eq!(host.display(r"/evil\x1b.service"), "evil\u{fffd}.service");
    assert_eq!(host.display(&"/é".repeat(300)).chars().count(), 200);
}

#[test]
fn a_name_that_appears_later_is_found_once_the_first_answer_has_expired() {
    let host = Host::new();
    let mut names = host.names();
    let path = pod_paths(&id('a'))[0].clone();
    let mut at = |seconds: u64| names.of_cgroup(&path, seconds * SECOND).display;
    assert_eq!(at(0), "pod:1b3e6f0a-12cd/aaaaaaaaaaaa");
    host.pod_with(&["main", "side"]);
    assert_eq!(at(9), "pod:1b3e6f0a-12cd/aaaaaaaaaaaa");
    assert_eq!(at(10), "agents/worker-0/aaaaaaaaaaaa");
    host.link("main", &id('a'));
    assert_eq!(at(20), "agents/worker-0/main");
    fs::remove_dir_all(host.0.path().join("var")).expect("the folder is removed");
    assert_eq!(at(30), "agents/worker-0/main");
}

#[test]
fn a_missing_root_is_no_failure() {
    let mut names = Names::new(Path::new("/nonexistent/root"));
    let path = format!("/docker/{}", id('a'));
    assert_eq!(names.of_cgroup(&path, 0).display, "docker:aaaaaaaaaaaa");
}

#[test]
fn a_rule_sees_the_unit_of_a_container_as_systemd_writes_it() {
    let unit = format!("docker-{}.scope", id('a'));
    assert_eq!(
        super::unit::unit_of(&format!("/system.slice/{unit}/init")),
        Some(&*unit)
    );
}
