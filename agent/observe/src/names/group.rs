//! Which cgroups belong together, and which are part of the host.

use hostler_decide::identity::Kind;

use super::{folders::components, workload::Workload};

/// Where systemd keeps the host's own services.
const HOST_SERVICES: [&str; 2] = ["system.slice", "init.scope"];

/// The namespace in which Kubernetes keeps its own pods.
const KUBERNETES_OWN: &str = "kube-system";

/// The group of a cgroup: its pod's namespace where that is known, else its container's runtime,
/// else the cgroup above it, of which the innermost slice is enough.
pub(super) fn of(workload: &Workload<'_>, path: &str, namespace: Option<&str>) -> String {
    if let Some(namespace) = namespace {
        return namespace.to_owned();
    }
    match workload {
        Workload::Container(container) if container.pod.is_none() => {
            container.runtime.as_str().to_owned()
        }
        Workload::Container(_) | Workload::Pod(_) => "pods".to_owned(),
        Workload::Unit(_) | Workload::Path(_) => above(path),
    }
}

/// Containers and pods are agents, and so is what is in no slice of the host's services.
pub(super) fn kind_of(workload: &Workload<'_>, path: &str, namespace: Option<&str>) -> Kind {
    let is_host = match workload {
        Workload::Container(_) | Workload::Pod(_) => namespace == Some(KUBERNETES_OWN),
        Workload::Unit(_) | Workload::Path(_) => components(path)
            .next()
            .is_some_and(|first| HOST_SERVICES.contains(&first.name)),
    };
    if is_host { Kind::System } else { Kind::Agent }
}

fn above(path: &str) -> String {
    let folders: Vec<&str> = components(path).map(|folder| folder.name).collect();
    let Some((_, above)) = folders.split_last() else {
        return "/".to_owned();
    };
    let slice = above
        .iter()
        .rev()
        .find(|name| name.strip_suffix(".slice").is_some());
    match (slice, above) {
        (_, []) => "/".to_owned(),
        (Some(slice), _) => (*slice).to_owned(),
        (None, above) => above.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn check(path: &str, namespace: Option<&str>, group: &str, kind: Kind) {
        let workload = Workload::parse(path);
        assert_eq!(of(&workload, path, namespace), group, "{path}");
        assert_eq!(kind_of(&workload, path, namespace), kind, "{path}");
    }

    #[test]
    fn a_service_belongs_to_its_slice_and_the_host_s_own_are_system() {
        check(
            "/system.slice/ssh.service",
            None,
            "system.slice",
            Kind::System,
        );
        check("/init.scope", None, "/", Kind::System);
        check(
            "/user.slice/user-7.slice/session-3.scope",
            None,
            "user-7.slice",
            Kind::Agent,
        );
    }

    #[test]
    fn a_plain_cgroup_belongs_to_the_one_above_it() {
        check("/agents/coder", None, "agents", Kind::Agent);
        check("/agents/team/coder", None, "agents/team", Kind::Agent);
        check("/coder", None, "/", Kind::Agent);
        check("", None, "/", Kind::Agent);
    }

    #[test]
    fn a_container_is_an_agent_also_where_the_host_s_services_are() {
        let path = format!("/system.slice/docker-{ID}.scope");
        check(&path, None, "docker", Kind::Agent);
    }

    #[test]
    fn a_pod_belongs_to_its_namespace_and_kubernetes_own_are_system() {
        let path = format!("/kubepods/pod01234567-89ab-cdef-0123-456789abcdef/{ID}");
        check(&path, Some("agents"), "agents", Kind::Agent);
        check(&path, Some("kube-system"), "kube-system", Kind::System);
        check(&path, None, "pods", Kind::Agent);
    }
}
