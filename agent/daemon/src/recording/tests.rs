//! What holds of recordings: they give back what was read, and whatever else is in a file is refused at
//! its place.

use std::io;

use proptest::prelude::*;

use super::{Damage, MAGIC, Moment, Reader, RecordingError, VERSION, Writer};
use crate::simulated::{Host, facts};

/// A recording of so many readings, and the readings.
fn recorded(seed: u64, readings: usize) -> (Vec<u8>, Vec<Moment>) {
    let mut file = Vec::new();
    let mut writer = Writer::new("test".to_owned(), &mut file, &facts()).expect("there is room");
    let mut host = Host::new(seed);
    let moments: Vec<Moment> = (0..readings).map(|_| host.read()).collect();
    for moment in &moments {
        writer
            .add(&moment.reading, moment.wall_ms)
            .expect("there is room");
    }
    let length = writer.finish().expect("there is room");
    assert_eq!(length, file.len() as u64);
    (file, moments)
}

/// The readings of a recording up to its end or to what is wrong.
fn read(file: &[u8]) -> (Vec<Moment>, Result<(), Damage>) {
    let mut moments = Vec::new();
    let damaged = |error| match error {
        RecordingError::Damaged { damage, .. } => damage,
        RecordingError::Io { source, .. } => panic!("memory can be read: {source}"),
    };
    let mut reader = match Reader::new("test".to_owned(), file) {
        Ok(reader) => reader,
        Err(error) => return (moments, Err(damaged(error))),
    };
    assert_eq!(*reader.facts(), facts());
    loop {
        match reader.read() {
            Ok(Some(moment)) => moments.push(moment.clone()),
            Ok(None) => return (moments, Ok(())),
            Err(error) => {
                assert!(
                    matches!(reader.read(), Ok(None)),
                    "after an error there is nothing more"
                );
                return (moments, Err(damaged(error)));
            }
        }
    }
}

/// Where the chunks of a recording begin, and where the last one ends.
fn chunks(file: &[u8]) -> Vec<usize> {
    let mut offsets = vec![MAGIC.len() + 4];
    loop {
        let at = *offsets.last().expect("there is one");
        let Some(length) = file.get(at..at + 4) else {
            return offsets;
        };
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        offsets.push(at + 8 + length as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_recording_gives_back_each_reading_as_it_was(seed: u64) {
        let (file, moments) = recorded(seed, 12);
        let (again, end) = read(&file);
        prop_assert_eq!(end, Ok(()));
        for (again, moment) in again.iter().zip(&moments) {
            prop_assert_eq!(again, moment);
        }
        prop_assert_eq!(again.len(), moments.len());
    }

    #[test]
    fn a_recording_that_was_cut_gives_what_is_whole_and_says_where_it_ends(
        seed: u64,
        at in any::<prop::sample::Index>(),
    ) {
        let (file, moments) = recorded(seed, 6);
        let at = at.index(file.len());
        let (again, end) = read(&file[..at]);
        if at < MAGIC.len() {
            prop_assert_eq!(end, Err(Damage::NotARecording));
        } else {
            prop_assert_eq!(end, Err(Damage::Truncated { offset: at as u64 }));
        }
        // The first chunk holds no reading.
        let whole = chunks(&file).iter().filter(|&&end| end <= at).count();
        prop_assert_eq!(&again[..], &moments[..whole.saturating_sub(2)]);
    }

    #[test]
    fn a_byte_that_was_changed_is_found_in_its_chunk(
        seed: u64,
        at in any::<prop::sample::Index>(),
        change in 1_u8..,
    ) {
        let (mut file, moments) = recorded(seed, 6);
        let begin = MAGIC.len() + 4;
        let at = begin + at.index(file.len() - begin);
        file[at] ^= change;
        let (again, end) = read(&file);
        let offsets = chunks(&recorded(seed, 6).0);
        let number = offsets.iter().filter(|&&began| began <= at).count() - 1;
        match end.expect_err("it is damaged") {
            Damage::Corrupt { offset, .. } => prop_assert_eq!(offset, offsets[number] as u64),
            // A length that is too long.
            Damage::Truncated { offset } => prop_assert_eq!(offset, file.len() as u64),
            other => prop_assert!(false, "{other}"),
        }
        prop_assert_eq!(&again[..], &moments[..number.saturating_sub(1)]);
    }

    #[test]
    fn whatever_lies_in_a_file_is_read_or_refused(bytes: Vec<u8>, seed: u64) {
        let _nothing = read(&bytes);
        let (mut file, _) = recorded(seed, 1);
        file.truncate(file.len() - 10);
        file.extend(bytes);
        let (_, end) = read(&file);
        prop_assert!(end.is_err());
    }
}

#[test]
fn a_recording_of_a_later_version_is_refused_by_its_version() {
    let (mut file, _) = recorded(1, 2);
    file[MAGIC.len()..MAGIC.len() + 4].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let later = Damage::Newer {
        version: VERSION + 1,
        newest: VERSION,
    };
    assert_eq!(read(&file), (Vec::new(), Err(later)));
}

#[test]
fn a_recording_with_other_sizes_is_refused_by_what_differs() {
    use prost::Message as _;
    let mut header = super::header::message(&facts());
    header.sizes = header.sizes.map(|sizes| super::schema::Sizes {
        ledger_states: 9,
        ..sizes
    });
    let mut file = Vec::new();
    super::chunks::begin(&mut file).expect("there is room");
    super::chunks::write(&mut file, &header.encode_to_vec()).expect("there is room");
    let (_, end) = read(&file);
    let sentence = end.expect_err("it is foreign").to_string();
    assert_eq!(
        sentence,
        "written with 9 states of a ledger, and this Hostler has 8"
    );
}

#[test]
fn what_follows_the_end_is_refused() {
    let (mut file, moments) = recorded(1, 2);
    let end = file.len();
    file.push(0);
    let (again, damage) = read(&file);
    assert_eq!(again, moments);
    let last = *chunks(&file[..end]).iter().rev().nth(1).expect("an end");
    assert_eq!(
        damage,
        Err(Damage::Corrupt {
            offset: last as u64,
            what: "something follows the end".to_owned()
        })
    );
}

#[test]
fn a_full_disk_is_an_error_that_says_how_much_was_written() {
    /// Takes so many bytes.
    struct Disk(usize);

    impl io::Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut writer = Writer::new("test".to_owned(), Disk(3_000), &facts()).expect("it fits");
    let mut host = Host::new(1);
    let error = (0..100)
        .find_map(|_| writer.add(&host.read().reading, 0).err())
        .expect("it does not fit");
    let RecordingError::Io { offset, source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(offset, writer.written_bytes());
    assert!(offset > 0 && offset <= 3_000);
}

#[test]
fn a_file_that_is_there_is_left_alone_unless_it_may_be_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("it.rec");
    std::fs::write(&path, "something").expect("there is room");
    let refused = Writer::create(&path, false, &facts())
        .err()
        .expect("it is there");
    assert!(refused.to_string().contains("exists"), "{refused}");
    assert_eq!(std::fs::read(&path).expect("it is there"), b"something");
    let writer = Writer::create(&path, true, &facts()).expect("it may");
    writer.finish().expect("there is room");
    let mode = std::fs::metadata(&path).expect("it is there").permissions();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode);
    assert_eq!(mode & 0o777, 0o600, "it was others' to read before");
    let folder = Writer::create(folder.path(), true, &facts());
    let refused = folder.err().expect("a folder is no file").to_string();
    assert!(refused.contains("no file"), "{refused}");
    let reader = Reader::open(&path).expect("a recording");
    assert_eq!(reader.written_by(), env!("CARGO_PKG_VERSION"));
}
