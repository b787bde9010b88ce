//! Files and folders of runtimes, read within bounds.

use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

use serde::de::DeserializeOwned;

/// Largest file that is read. A runtime's are a few kB, so a larger one is not what it seems.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// How many entries of a folder are looked at.
const MAX_ENTRIES: usize = 65_536;

/// How long a folder's or file's content counts as known, in ns: many cgroups are looked up at
/// once, and all of them are in the same one.
const CONTENT_LASTS_NS: u64 = 1_000_000_000;

/// What a JSON file says, if it is there, of a sensible size and of the expected shape.
pub(super) fn json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    // Opening anything but a plain file could wait for ever.
    if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path).ok()?.take(MAX_FILE_BYTES + 1);
    file.read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

/// The names in a folder, those that are no text left out; none if it can't be read.
pub(super) fn entries(folder: &Path) -> impl Iterator<Item = String> + use<> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .take(MAX_ENTRIES)
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
}

/// When something was last read.
#[derive(Default)]
pub(super) struct LastRead(Option<u64>);

impl LastRead {
    /// Whether it is time to read again; if so, notes that it is read now.
    pub(super) fn is_due(&mut self, now_ns: u64) -> bool {
        let due = self
            .0
            .is_none_or(|read_ns| now_ns.saturating_sub(read_ns) >= CONTENT_LASTS_NS);
        if due {
            self.0 = Some(now_ns);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_file_that_is_too_large_says_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
        fs::write(&path, text(1 << 20)).expect("a new file");
        assert!(json::<String>(&path).is_some());
        fs::write(&path, text((1 << 20) + 1)).expect("a larger file");
        assert!(json::<String>(&path).is_none());
    }

    #[test]
    fn what_is_no_plain_file_or_no_json_says_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(json::<String>(folder.path()).is_none());
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a new pipe");
        assert!(json::<String>(&pipe).is_none());
        let path = folder.path().join("file");
        for bytes in [b"{".to_vec(), b"\"\xff\"".to_vec(), vec![b'['; 10_000]] {
            fs::write(&path, bytes).expect("a new file");
            assert!(json::<serde_json::Value>(&path).is_none());
        }
    }

    #[test]
    fn names_that_are_no_text_are_left_out() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("text"), "").expect("a new file");
        let odd = std::ffi::OsStr::from_bytes(b"\xff");
        fs::write(folder.path().join(odd), "").expect("a new file");
        assert_eq!(entries(folder.path()).collect::<Vec<_>>(), ["text"]);
    }

    #[test]
    fn content_is_read_again_after_a_second() {
        let mut last = LastRead::default();
        assert!(last.is_due(5));
        assert!(!last.is_due(CONTENT_LASTS_NS));
        assert!(last.is_due(CONTENT_LASTS_NS + 5));
    }
}
