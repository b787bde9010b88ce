//! What Hostler can change on this host, by what, and who else does.

use hostler_decide::plan::Owners;

use crate::{
    owners::{kernel_balances, owners},
    topology::has_several_nodes,
};

/// Something that Hostler changes, and how it is done on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What is changed.
    pub effect: &'static str,
    /// How; `None` if it is not done here.
    pub in_use: Option<String>,
    /// Other ways, each with why it is not taken.
    pub better: Vec<(String, String)>,
    /// What else one should know.
    pub note: String,
}

/// Each effect with how it is done here; where it is not, why not.
pub fn effects() -> Vec<Effect> {
    placing(has_several_nodes(), &owners(), kernel_balances()).into()
}

fn placing(has_several_nodes: bool, owners: &Owners, kernel_balances: bool) -> [Effect; 2] {
    let why_not = if has_several_nodes {
        owners.scheduler.as_ref().map(|name| {
            format!(
                "the scheduler '{name}' was loaded into the kernel (sched_ext) and decides that"
            )
        })
    } else {
        Some("this host has one node".to_owned())
    };
    let effect = |effect, by: &str, note: &str| Effect {
        effect,
        in_use: why_not.is_none().then(|| by.to_owned()),
        better: why_not
            .iter()
            .map(|why_not| (by.to_owned(), why_not.clone()))
            .collect(),
        note: if why_not.is_none() { note } else { "" }.to_owned(),
    };
    let threads_note = if owners.kubelet {
        "done if `plan.mode` is `act`; kubelet's CPU manager gives pods their CPUs, so these are left to it"
    } else {
        "done if `plan.mode` is `act`"
    };
    let memory_note = if kernel_balances {
        "80 MiB a second at the most; the kernel brings memory to who uses it as well (numa_balancing), \
         which does not hurt"
    } else {
        "80 MiB a second at the most"
    };
    [
        effect(
            "threads onto a NUMA node",
            "sched_setaffinity",
            threads_note,
        ),
        effect("their memory after them", "move_pages", memory_note),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_moved_on_one_node_nor_against_another_scheduler() {
        let loaded = Owners {
            scheduler: Some("scx_rusty".to_owned()),
            ..Owners::default()
        };
        for (has_several, owners) in [(false, Owners::default()), (true, loaded)] {
            for effect in placing(has_several, &owners, false) {
                assert_eq!(effect.in_use, None);
                assert_eq!(effect.better.len(), 1);
            }
        }
        let done = placing(true, &Owners::default(), true);
        assert!(done.iter().all(|effect| effect.in_use.is_some()));
        assert!(done[1].note.contains("numa_balancing"));
    }
}
