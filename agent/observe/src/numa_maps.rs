//! On which nodes a process's memory lies, from `/proc/PID/numa_maps`.
//!
//! The kernel walks the page tables of each mapping for it, so it costs time with the memory that a
//! process has, and is read a piece at a time.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
};

use hostler_common::placement::MAX_NODES;
use hostler_decide::node_memory::NodeBytes;

/// The longest line that is read: thousands of nodes would fit.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// How much is read at a time: some lines.
const READ_BYTES: usize = 256;

/// A process's mappings, read as far as one has got.
pub(crate) struct NumaMaps {
    lines: BufReader<File>,
    bytes: NodeBytes,
}

impl NumaMaps {
    /// Of a process; `None` if it is gone, or may not be looked at.
    pub(crate) fn open(tgid: u32) -> Option<Self> {
        let file = File::open(format!("/proc/{tgid}/numa_maps")).ok()?;
        Some(Self {
            // The kernel walks as many mappings at a time as fill what is asked for.
            lines: BufReader::with_capacity(READ_BYTES, file),
            bytes: NodeBytes::default(),
        })
    }

    /// Reads on while it may. What it has found when it has come to the end.
    pub(crate) fn read(&mut self, may_go_on: impl Fn() -> bool) -> Option<NodeBytes> {
        let mut line = Vec::new();
        while may_go_on() {
            line.clear();
            let read = (&mut self.lines)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line);
            // A process that ends meanwhile has no more lines.
            if read.unwrap_or(0) == 0 {
                return Some(self.bytes);
            }
            add(&mut self.bytes, &String::from_utf8_lossy(&line));
        }
        None
    }
}

/// Adds a line's pages. What a mapping of a file holds counts as the file's, copies that were written to
/// included: the kernel does not tell them apart by node.
fn add(bytes: &mut NodeBytes, line: &str) {
    // Paths have their spaces escaped.
    let mut words = line.split_ascii_whitespace().skip(2);
    let mut pages = [0_u64; MAX_NODES];
    let (mut is_file, mut page_bytes) = (false, 4096_u64);
    for word in words.by_ref() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "file" => is_file = true,
            "kernelpagesize_kB" => {
                let kib: u64 = value.parse().unwrap_or(4);
                page_bytes = kib.saturating_mul(1024);
            }
            _ => {
                let node = name.strip_prefix('N').and_then(|node| node.parse().ok());
                if let (Some(node), Ok(count)) = (node, value.parse::<u64>()) {
                    let node: usize = node;
                    pages[node.min(MAX_NODES - 1)] = count;
                }
            }
        }
    }
    let kind = if is_file {
        &mut bytes.file
    } else {
        &mut bytes.anon
    };
    for (sum, pages) in kind.iter_mut().zip(pages) {
        *sum = sum.saturating_add(pages.saturating_mul(page_bytes));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sums(text: &str) -> NodeBytes {
        let mut bytes = NodeBytes::default();
        for line in text.lines() {
            add(&mut bytes, line);
        }
        bytes
    }

    #[test]
    fn anonymous_memory_and_that_of_files_are_added_up_by_node() {
        let bytes = sums(
            "00400000 default file=/bin/N1=7\\040x mapped=3 N0=2 N1=1 kernelpagesize_kB=4\n\
             01a0e000 default heap anon=5 dirty=5 active=0 N1=5 kernelpagesize_kB=4\n\
             7f0000000000 prefer:1 anon=1 dirty=1 N1=1 kernelpagesize_kB=2048\n\
             7f1100000000 default\n",
        );
        assert_eq!(bytes.file[..2], [8192, 4096]);
        assert_eq!(bytes.anon[..2], [0, 5 * 4096 + (2 << 20)]);
    }

    #[test]
    fn nodes_beyond_the_last_that_is_told_apart_count_as_it() {
        let bytes = sums("7f00 default anon=1 N1000=3 kernelpagesize_kB=4");
        assert_eq!(bytes.anon[MAX_NODES - 1], 3 * 4096);
    }

    #[test]
    fn this_process_has_memory_where_the_kernel_tells() {
        let Some(mut maps) = NumaMaps::open(std::process::id()) else {
            // A kernel without NUMA has no such file.
            return;
        };
        assert_eq!(maps.read(|| false), None);
        let bytes = maps.read(|| true).expect("it comes to the end");
        assert!(bytes.total() > 0);
        assert!(NumaMaps::open(u32::MAX).is_none());
    }

    proptest! {
        #[test]
        fn whatever_a_line_holds_is_read(line in "[0-9a-f]{4} [ -~]{0,80}") {
            let _sums = sums(&line);
        }
    }
}
