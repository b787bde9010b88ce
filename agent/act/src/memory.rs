//! Moves processes' private anonymous memory to a node, some pages at a time.
//!
//! A whole process can be moved by one call (`migrate_pages`), which holds it up for as long as that takes
//! and moves what it shares as well. So its page map is read, which tells present pages of its own from
//! those of files, and these are moved in batches: whoever calls says how many, and does something else in
//! between.
#![expect(unsafe_code, reason = "move_pages has no safe wrapper")]

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::FileExt as _,
    path::PathBuf,
};

use nix::{
    errno::Errno,
    libc,
    sys::uio::{RemoteIoVec, process_vm_readv},
    unistd::Pid,
};
use procfs::process::{MMPermissions, MMapPath, Process};
use serde::{Deserialize, Serialize};

use crate::{
    HostError, Thread,
    kernel::{is_there, there},
};

/// Pages that are looked at, and moved, by one call: 2 MiB, some hundred µs. A batch ends where a huge page
/// of that size would, so that none goes along with a part of it that is counted elsewhere.
const BATCH: usize = 512;

/// In an entry of the page map: the page is there, and it is a file's or shared.
const PRESENT: u64 = 1 << 63;
const FILE_OR_SHARED: u64 = 1 << 61;

const ENTRY_BYTES: u64 = 8;

/// `MPOL_MF_MOVE` of the kernel's `mempolicy.h`: pages that several processes have are left alone.
const MOVE_OWN: libc::c_int = 1 << 1;

/// The smallest page of every machine that Hostler runs on; on those with larger ones an address is moved
/// more than once, to the same end.
const PAGE_BYTES: u64 = 4096;

/// Of pages that are there, the states of those that were not found.
const NOT_FOUND: i32 = -libc::ENOENT;
/// The same of huge pages, and that of the page of zeroes, which is nobody's and can't be moved.
const NOT_FOUND_HUGE: i32 = -libc::EFAULT;

/// What has become of processes' private anonymous pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryReceipt {
    /// Pages that were there already.
    pub there: u64,
    /// Pages that were moved.
    pub moved: u64,
    /// Pages that stayed: several processes have them, the kernel was at work on them, or the node is full.
    pub stayed: u64,
}

/// A move that goes on for as long as somebody asks for more.
#[derive(Debug)]
pub struct MemoryMove {
    node: u32,
    processes: VecDeque<Thread>,
    now: Option<Walk>,
    receipt: MemoryReceipt,
}

/// A process, as far as one has got.
#[derive(Debug)]
struct Walk {
    process: Thread,
    page_map: File,
    /// Mappings that are left, by their first page and the one after the last.
    mappings: VecDeque<(u64, u64)>,
}

impl MemoryMove {
    /// Of processes, by their first threads, to a node.
    pub fn new(processes: impl IntoIterator<Item = Thread>, node: u32) -> Self {
        Self {
            node,
            processes: processes.into_iter().collect(),
            now: None,
            receipt: MemoryReceipt::default(),
        }
    }

    /// What has become of pages so far.
    pub fn receipt(&self) -> MemoryReceipt {
        self.receipt
    }

    /// Goes on until about so many pages were moved. Whether there is more to do.
    pub fn advance(&mut self, pages: u64) -> Result<bool, HostError> {
        let enough = self.receipt.moved.saturating_add(pages.max(1));
        while self.receipt.moved < enough {
            let Some(mut walk) = self.next_walk()? else {
                return Ok(false);
            };
            if walk.batch(self.node, &mut self.receipt)? {
                self.now = Some(walk);
            }
        }
        Ok(true)
    }

    /// The process whose turn it is; `None` after the last one.
    fn next_walk(&mut self) -> Result<Option<Walk>, HostError> {
        if let Some(walk) = self.now.take() {
            return Ok(Some(walk));
        }
        while let Some(process) = self.processes.pop_front() {
            if let Some(walk) = Walk::begin(process)? {
                return Ok(Some(walk));
            }
        }
        Ok(None)
    }
}

impl Walk {
    /// `None` if the process is gone.
    fn begin(process: Thread) -> Result<Option<Self>, HostError> {
        let found = Process::new(process.pid.cast_signed());
        let maps = found.and_then(|found| found.maps());
        let Some(maps) = there(maps, &format!("/proc/{}/maps", process.pid))? else {
            return Ok(None);
        };
        let path = PathBuf::from(format!("/proc/{}/pagemap", process.pid));
        let page_map = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(HostError::File {
                    what: "opening",
                    path,
                    source,
                });
            }
        };
        let special =
            |path: &MMapPath| matches!(path, MMapPath::Vdso | MMapPath::Vvar | MMapPath::Vsyscall);
        let mappings = maps
            .into_iter()
            .filter(|map| map.perms.contains(MMPermissions::PRIVATE) && !special(&map.pathname));
        let walk = Self {
            process,
            page_map,
            mappings: mappings
                .map(|map| (map.address.0 / PAGE_BYTES, map.address.1 / PAGE_BYTES))
                .collect(),
        };
        Ok(is_there(process)?.then_some(walk))
    }

    /// Moves what one batch of addresses holds. Whether there are more.
    fn batch(&mut self, node: u32, receipt: &mut MemoryReceipt) -> Result<bool, HostError> {
        let Some((first, end)) = self.mappings.pop_front() else {
            return Ok(false);
        };
        let batch = BATCH as u64;
        let last = end.min((first / batch + 1) * batch);
        if last < end {
            self.mappings.push_front((last, end));
        }
        let own = self.own_pages(first, last)?;
        if own.is_empty() {
            return Ok(true);
        }
        // While it is there, its number is nobody else's.
        if !is_there(self.process)? {
            return Ok(false);
        }
        let Some(nodes) = self.nodes_of_all(&own)? else {
            return Ok(false);
        };
        let target = node.cast_signed();
        let is_elsewhere = |at: &i32| *at >= 0 && *at != target;
        receipt.there += nodes.iter().filter(|&&at| at == target).count() as u64;
        receipt.stayed += nodes.iter().filter(|&&at| at == NOT_FOUND).count() as u64;
        let elsewhere = own.iter().zip(&nodes).filter(|(_, at)| is_elsewhere(at));
        let elsewhere: Vec<u64> = elsewhere.map(|(&address, _)| address).collect();
        if elsewhere.is_empty() {
            return Ok(true);
        }
        let targets = vec![target; elsewhere.len()];
        if self.call(&elsewhere, Some(&targets))?.is_none() {
            return Ok(false);
        }
        // The call's own answer calls the later pages of a huge one busy that went with the first.
        let Some(nodes) = self.nodes_of(&elsewhere)? else {
            return Ok(false);
        };
        let moved = nodes.iter().filter(|&&at| at == target).count() as u64;
        receipt.moved += moved;
        receipt.stayed += nodes.iter().filter(|at| is_elsewhere(at)).count() as u64;
        Ok(true)
    }

    /// The addresses of pages that are there and are nobody else's.
    fn own_pages(&self, first: u64, end: u64) -> Result<Vec<u64>, HostError> {
        let mut entries = [0_u8; BATCH * 8];
        let wanted = usize::try_from((end - first) * ENTRY_BYTES).unwrap_or(entries.len());
        let wanted = wanted.min(entries.len());
        let read = self
            .page_map
            .read_at(&mut entries[..wanted], first * ENTRY_BYTES)
            .map_err(|source| HostError::File {
                what: "reading",
                path: PathBuf::from(format!("/proc/{}/pagemap", self.process.pid)),
                source,
            })?;
        let (entries, _) = entries[..read].as_chunks::<8>();
        let own = (first..).zip(entries).filter(|(_, entry)| {
            let entry = u64::from_ne_bytes(**entry);
            entry & PRESENT != 0 && entry & FILE_OR_SHARED == 0
        });
        Ok(own.map(|(page, _)| page * PAGE_BYTES).collect())
    }

    /// On which node each page lies, also those that the kernel has hidden from their process to see who
    /// touches them (autoNUMA): before Linux 6.6 they are found and moved only after they were touched. So a
    /// byte of each is read.
    fn nodes_of_all(&self, addresses: &[u64]) -> Result<Option<Vec<i32>>, HostError> {
        let Some(nodes) = self.nodes_of(addresses)? else {
            return Ok(None);
        };
        let hidden = addresses
            .iter()
            .zip(&nodes)
            .filter(|&(_, &at)| matches!(at, NOT_FOUND | NOT_FOUND_HUGE));
        let hidden: Vec<RemoteIoVec> = hidden
            .filter_map(|(&address, _)| {
                let base = usize::try_from(address).ok()?;
                Some(RemoteIoVec { base, len: 1 })
            })
            .collect();
        if hidden.is_empty() {
            return Ok(Some(nodes));
        }
        let mut bytes = [0_u8; BATCH];
        let into = &mut [IoSliceMut::new(&mut bytes[..hidden.len()])];
        let process = Pid::from_raw(self.process.pid.cast_signed());
        // Those that can't be read stay where they are.
        let _touched = process_vm_readv(process, into, &hidden);
        self.nodes_of(addresses)
    }

    /// On which node each page lies, or less than 0; `None` if the process is gone.
    fn nodes_of(&self, addresses: &[u64]) -> Result<Option<Vec<i32>>, HostError> {
        self.call(addresses, None)
    }

    /// `move_pages`: to the nodes, or nowhere. What it says of each page.
    fn call(
        &self,
        addresses: &[u64],
        nodes: Option<&[i32]>,
    ) -> Result<Option<Vec<i32>>, HostError> {
        let mut status = vec![-libc::EBUSY; addresses.len()];
        let nodes = nodes.map_or(std::ptr::null(), <[i32]>::as_ptr);
        // SAFETY: the kernel reads as many addresses and nodes as it is told, or no nodes, and writes as
        // many states; each list is as long. The addresses are another process's, and are not followed
        // here. There is no safe wrapper for this call.
        let outcome = unsafe {
            libc::syscall(
                libc::SYS_move_pages,
                self.process.pid.cast_signed(),
                addresses.len(),
                addresses.as_ptr(),
                nodes,
                status.as_mut_ptr(),
                MOVE_OWN,
            )
        };
        if outcome >= 0 {
            return Ok(Some(status));
        }
        match Errno::last() {
            Errno::ESRCH => Ok(None),
            // Of some pages; their states tell which.
            Errno::ENOMEM | Errno::ENOENT | Errno::EBUSY => Ok(Some(status)),
            error => Err(HostError::File {
                what: "moving the pages of",
                path: PathBuf::from(format!("/proc/{}", self.process.pid)),
                source: error.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::started;

    /// A machine of one node has them all there; those with several are in `tests/vm`.
    #[test]
    fn pages_of_this_process_are_found_and_those_that_are_there_stay() {
        const PAGES: usize = 1_000;
        let pid = std::process::id();
        let own = Thread {
            pid,
            tid: pid,
            started: started(pid).expect("it can be read").expect("it runs"),
        };
        let memory = vec![1_u8; PAGES * 4096];
        let mut all = MemoryMove::new([own], 0);
        while all.advance(100).expect("it can be read") {}
        let receipt = all.receipt();
        let seen = receipt.there + receipt.moved + receipt.stayed;
        assert!(seen >= PAGES as u64, "{receipt:?}");
        drop(memory);
    }

    #[test]
    fn a_process_that_is_gone_has_no_pages() {
        let gone = Thread {
            pid: std::process::id(),
            tid: std::process::id(),
            started: 1,
        };
        let mut none = MemoryMove::new([gone], 0);
        assert!(!none.advance(100).expect("nothing is read"));
        assert_eq!(none.receipt(), MemoryReceipt::default());
    }
}
