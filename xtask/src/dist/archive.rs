//! An archive that is the same whoever makes it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

/// A file in it.
pub(super) struct Entry {
    pub(super) bytes: Vec<u8>,
    mode: u32,
}

impl Entry {
    pub(super) fn file(bytes: Vec<u8>) -> Self {
        Self { bytes, mode: 0o644 }
    }

    pub(super) fn executable(bytes: Vec<u8>) -> Self {
        Self { bytes, mode: 0o755 }
    }
}

/// A tar archive of files below `folder`, each changed at `time`, in s since 1970; compressed by gzip.
pub(super) fn archive(folder: &str, files: &BTreeMap<String, Entry>, time: u64) -> Result<Vec<u8>> {
    // No name and no time of its own.
    let zip = GzBuilder::new().write(Vec::new(), Compression::best());
    let mut tar = Builder::new(zip);
    for (path, entry) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(entry.mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(time);
        header.set_size(entry.bytes.len() as u64);
        tar.append_data(&mut header, format!("{folder}/{path}"), &*entry.bytes)
            .with_context(|| format!("packing {path}"))?;
    }
    let zip = tar.into_inner().context("ending the archive")?;
    zip.finish().context("ending the compression")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    fn files() -> BTreeMap<String, Entry> {
        BTreeMap::from([
            ("bin/a".to_owned(), Entry::executable(vec![1; 5_000])),
            ("share/b".to_owned(), Entry::file(b"text".to_vec())),
        ])
    }

    #[test]
    fn an_archive_is_the_same_each_time_and_holds_what_was_put_into_it() {
        let bytes = archive("hostler-1", &files(), 1_764_165_780).expect("it can be packed");
        let again = archive("hostler-1", &files(), 1_764_165_780).expect("it can be packed");
        assert!(bytes == again, "it is another one");
        let mut tar = tar::Archive::new(GzDecoder::new(&*bytes));
        let mut found = Vec::new();
        for entry in tar.entries().expect("it is one") {
            let mut entry = entry.expect("it is one");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("it can be read");
            let header = entry.header();
            let path = entry.path().expect("a path").display().to_string();
            assert_eq!(header.mtime().expect("a time"), 1_764_165_780);
            found.push((path, header.mode().expect("a mode"), content.len()));
        }
        let expected = [
            ("hostler-1/bin/a".to_owned(), 0o755, 5_000),
            ("hostler-1/share/b".to_owned(), 0o644, 4),
        ];
        assert_eq!(found, expected);
    }
}
