//! A writer for cpio's "newc" format, the one the kernel unpacks as an initramfs.

/// An archive under construction. Directories must be added before what they hold.
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;

impl Archive {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            entries: 0,
        }
    }

    pub(super) fn directory(&mut self, path: &str) {
        self.entry(path, DIRECTORY | 0o755, &[]);
    }

    pub(super) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.entry(path, REGULAR | permissions, content);
    }

    /// The finished archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let size = u32::try_from(content.len()).expect("an initramfs file is below 4 GiB");
        let name_size = u32::try_from(path.len() + 1).expect("a path is short");
        let links = if mode & DIRECTORY == 0 { 1 } else { 2 };
        // Magic, then: inode, mode, uid, gid, links, mtime, size, device and special device
        // (major and minor each), size of the name with its NUL, checksum (unused).
        let fields = [
            self.entries,
            mode,
            0,
            0,
            links,
            0,
            size,
            0,
            0,
            0,
            0,
            name_size,
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    #[test]
    fn every_header_and_every_content_starts_at_a_multiple_of_four() {
        let mut archive = Archive::new();
        archive.file("abc", 0o644, b"12345");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[116..121], b"12345");
        assert_eq!(&bytes[124..130], b"070701");
    }

    #[test]
    fn the_host_s_cpio_reads_the_archive_where_there_is_one() {
        let mut archive = Archive::new();
        archive.directory("guest");
        archive.file("guest/run", 0o755, b"#!/bin/sh\n");
        let cpio = Command::new("cpio")
            .args(["--list", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut cpio) = cpio else { return };
        let mut input = cpio.stdin.take().expect("stdin is piped");
        input
            .write_all(&archive.finish())
            .expect("cpio reads its input");
        drop(input);
        let listing = cpio.wait_with_output().expect("cpio ends").stdout;
        assert_eq!(String::from_utf8_lossy(&listing), "guest\nguest/run\n");
    }
}
