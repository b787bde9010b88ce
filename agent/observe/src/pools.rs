//! The host's pools of memory: huge pages by node, compressed memory, and what is free.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hostler_decide::{
    host::{HugepagePool, Pools, ZramDevice},
    reclaim::Reclaim,
};
use procfs::{Current as _, Meminfo};

use crate::cgroup_files::text;

/// Reads all pools; what this host does not have is left out.
pub(crate) fn read(cgroup_root: &Path) -> Pools {
    let memory = Meminfo::current().ok();
    let memory = memory.as_ref();
    Pools {
        hugepages: hugepages(Path::new("/sys/devices/system/node")),
        zram: zram(Path::new("/sys/block")),
        zswap_bytes: memory.and_then(|memory| memory.z_swap),
        zswapped_bytes: memory.and_then(|memory| memory.z_swapped),
        free_bytes: memory.map_or(0, |memory| memory.mem_free),
        available_bytes: memory.and_then(|memory| memory.mem_available).unwrap_or(0),
        total_bytes: memory.map_or(0, |memory| memory.mem_total),
        dying_cgroups: dying_cgroups(cgroup_root),
    }
}

/// Pages that memory was too small for, of the whole host.
pub(crate) fn reclaim() -> Reclaim {
    Reclaim::parse(&text(Path::new("/proc/vmstat")).unwrap_or_default())
}

/// The pools below a folder with one folder a node.
fn hugepages(nodes: &Path) -> Vec<HugepagePool> {
    let mut pools = Vec::new();
    for (node, folder) in numbered(nodes, "node", "") {
        for (kib, folder) in numbered(&folder.join("hugepages"), "hugepages-", "kB") {
            let pages = |name: &str| number(&folder.join(name)).unwrap_or(0);
            pools.push(HugepagePool {
                node: u32::try_from(node).unwrap_or(u32::MAX),
                page_bytes: kib << 10,
                total: pages("nr_hugepages"),
                free: pages("free_hugepages"),
                surplus: pages("surplus_hugepages"),
            });
        }
    }
    pools.sort_unstable();
    pools
}

/// The compressed devices below a folder with one folder a device, as far as they are in use.
fn zram(devices: &Path) -> Vec<ZramDevice> {
    let mut found: Vec<ZramDevice> = numbered(devices, "zram", "")
        .into_iter()
        .filter_map(|(_, folder)| {
            let line = text(&folder.join("mm_stat")).ok()?;
            let mut numbers = line.split_whitespace().map(str::parse);
            let mut next = || numbers.next()?.ok();
            let device = ZramDevice {
                name: folder.file_name()?.to_string_lossy().into_owned(),
                stored_bytes: next()?,
                compressed_bytes: next()?,
                memory_bytes: next()?,
            };
            (device.memory_bytes > 0).then_some(device)
        })
        .collect();
    found.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    found
}

fn dying_cgroups(root: &Path) -> u64 {
    let text = text(&root.join("cgroup.stat")).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("nr_dying_descendants ")?.parse().ok())
        .unwrap_or(0)
}

/// The entries of a folder whose names are a number between two words.
fn numbered(folder: &Path, before: &str, after: &str) -> Vec<(u64, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?.strip_prefix(before)?;
            let number = name.strip_suffix(after)?.parse().ok()?;
            Some((number, entry.path()))
        })
        .collect()
}

fn number(path: &Path) -> Option<u64> {
    text(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, content: &str) {
        fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        fs::write(path, content).expect("there is room");
    }

    #[test]
    fn huge_pages_are_told_apart_by_node_and_size() {
        let nodes = tempfile::tempdir().expect("a temporary folder");
        for (node, kib, total) in [(0, 2_048, 5), (1, 2_048, 3), (1, 1_048_576, 1)] {
            let pool = nodes
                .path()
                .join(format!("node{node}/hugepages/hugepages-{kib}kB"));
            write(&pool.join("nr_hugepages"), &format!("{total}\n"));
            write(&pool.join("free_hugepages"), "1\n");
        }
        write(&nodes.path().join("online"), "0-1\n");
        let pools = hugepages(nodes.path());
        let shown: Vec<_> = pools
            .iter()
            .map(|pool| (pool.node, pool.page_bytes >> 20, pool.total, pool.free))
            .collect();
        assert_eq!(shown, [(0, 2, 5, 1), (1, 2, 3, 1), (1, 1_024, 1, 1)]);
    }

    #[test]
    fn compressed_devices_that_are_in_use_are_shown() {
        let devices = tempfile::tempdir().expect("a temporary folder");
        let fields = "4096000 1500000 1601536 0 1601536 3 0 0 0\n";
        write(&devices.path().join("zram0/mm_stat"), fields);
        write(&devices.path().join("zram1/mm_stat"), "0 0 0 0 0 0 0 0 0\n");
        write(&devices.path().join("vda/size"), "1\n");
        let found = zram(devices.path());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].compressed_bytes, 1_500_000);
    }
}
