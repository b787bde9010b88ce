//! Network namespaces: containers have their own, and the kernel's list of sockets shows one at a
//! time.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
};

use nix::sched::{CloneFlags, setns};

use super::networks::own_addresses;

/// A network namespace, by the inode number that its files show.
pub(crate) type NamespaceId = u64;

/// How often to look for namespaces that are new, and visit all of them, in ns: no longer than that
/// is known of a socket in any of them that only receives.
pub(crate) const CYCLE_NS: u64 = 30_000_000_000;

/// How often to visit the namespace in which Hostler runs, in ns.
pub(crate) const OWN_CYCLE_NS: u64 = 10_000_000_000;

/// Which namespaces are to be visited when, and what addresses they have.
#[derive(Default)]
pub(crate) struct Namespaces {
    /// Those besides Hostler's own, with a process in each.
    others: BTreeMap<NamespaceId, u32>,
    /// Addresses by namespace; 0 stands for Hostler's own.
    addresses: BTreeMap<NamespaceId, BTreeSet<IpAddr>>,
    /// The last one that was visited.
    last: NamespaceId,
    listed_ns: u64,
    visited_own_ns: u64,
}

impl Namespaces {
    /// Whether Hostler's own namespace is to be visited at `now_ns`.
    pub(crate) fn own_is_due(&mut self, now_ns: u64) -> bool {
        let is_due = now_ns.saturating_sub(self.visited_own_ns) >= OWN_CYCLE_NS;
        if is_due {
            self.visited_own_ns = now_ns;
        }
        is_due
    }

    /// Looks for namespaces, if that was long ago.
    pub(crate) fn list(&mut self, now_ns: u64) {
        if self.listed_ns != 0 && now_ns.saturating_sub(self.listed_ns) < CYCLE_NS {
            return;
        }
        self.listed_ns = now_ns;
        self.others = others();
        let Self {
            others, addresses, ..
        } = self;
        addresses.retain(|id, _| *id == 0 || others.contains_key(id));
    }

    /// The others that are due after `passed_ns`, each with a process in it: all of them in a cycle.
    pub(crate) fn due(&mut self, passed_ns: u64) -> Vec<(NamespaceId, u32)> {
        let share = self.others.len() as u128 * u128::from(passed_ns);
        let count = share.div_ceil(u128::from(CYCLE_NS));
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let after = self.others.range(self.last + 1..);
        let again = self.others.range(..=self.last);
        let due: Vec<_> = after
            .chain(again)
            .take(count)
            .map(|(&id, &process)| (id, process))
            .collect();
        if let Some(&(id, _)) = due.last() {
            self.last = id;
        }
        due
    }

    /// All of the others.
    pub(crate) fn all(&self) -> Vec<(NamespaceId, u32)> {
        self.others
            .iter()
            .map(|(&id, &process)| (id, process))
            .collect()
    }

    /// Notes the addresses that were found in a namespace.
    pub(crate) fn note(&mut self, id: NamespaceId, addresses: BTreeSet<IpAddr>) {
        self.addresses.insert(id, addresses);
    }

    /// The addresses of all namespaces.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.addresses.values().flatten().copied().collect()
    }
}

/// The network namespaces of all processes besides our own, with one process in each.
fn others() -> BTreeMap<NamespaceId, u32> {
    let own = fs::metadata("/proc/self/ns/net").map(|own| own.ino()).ok();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| {
            let process: u32 = entry.file_name().to_str()?.parse().ok()?;
            let id = fs::metadata(path(process)).ok()?.ino();
            (Some(id) != own).then_some((id, process))
        })
        .collect()
}

fn path(process: u32) -> String {
    format!("/proc/{process}/ns/net")
}

/// Does something in the network namespace of a process, if that is still the one meant; on a
/// thread of its own, which ends with it. Returns the namespace's addresses, too.
pub(crate) fn visit<T: Send>(
    id: NamespaceId,
    process: u32,
    act: impl FnOnce() -> T + Send,
) -> io::Result<(T, BTreeSet<IpAddr>)> {
    let file = File::open(path(process))?;
    if file.metadata()?.ino() != id {
        return Err(io::Error::from(io::ErrorKind::NotFound));
    }
    std::thread::scope(|scope| {
        let visitor = scope.spawn(|| {
            setns(file, CloneFlags::CLONE_NEWNET)?;
            let addresses = own_addresses()?;
            Ok((act(), addresses))
        });
        visitor
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_namespace_is_visited_once_in_a_cycle() {
        let mut namespaces = Namespaces {
            others: (1..=100).map(|id| (id, 7)).collect(),
            ..Namespaces::default()
        };
        let seconds = CYCLE_NS / 1_000_000_000;
        let mut visited = BTreeSet::new();
        for _ in 0..seconds {
            let due = namespaces.due(1_000_000_000);
            assert!(due.len() <= 4, "they are spread: {due:?}");
            visited.extend(due);
        }
        assert_eq!(visited.len(), 100);
    }

    #[test]
    fn the_own_namespace_is_due_now_and_then() {
        let mut namespaces = Namespaces::default();
        assert!(namespaces.own_is_due(OWN_CYCLE_NS));
        assert!(!namespaces.own_is_due(OWN_CYCLE_NS + 1));
        assert!(namespaces.own_is_due(2 * OWN_CYCLE_NS));
    }
}
