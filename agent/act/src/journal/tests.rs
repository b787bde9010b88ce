use std::io::Write as _;

use proptest::prelude::*;

use super::*;
use crate::{CpuList, Knob, Members, Receipt, Restored, Thread, Value};

fn change(number: u32) -> Change {
    let cpus = |text: &str| Value::Cpus(text.parse().expect("a list"));
    Change {
        knob: Knob::Affinity(Thread {
            pid: 1,
            tid: number,
            started: 7,
        }),
        old: cpus("0-7"),
        new: cpus("4-7"),
    }
}

fn begun(step: u64, changes: Vec<Change>) -> Record {
    let begun = Begun {
        at_ms: 1,
        agent: format!("agent-{step}"),
        what: "run on node 1".to_owned(),
        why: "its memory lies there".to_owned(),
        members: Members::Cgroup {
            path: PathBuf::from("agents"),
            id: 7,
        },
        cpus: CpuList::default(),
        left: Vec::new(),
        changes,
    };
    Record::Begun { step, begun }
}

fn undone(step: u64) -> Record {
    Record::Undone {
        step,
        at_ms: 2,
        cause: Cause::Asked,
        restored: Restored::default(),
    }
}

fn written(records: &[Record]) -> Vec<u8> {
    records.iter().map(line).collect::<String>().into_bytes()
}

#[test]
fn what_was_written_is_read_by_the_next_one() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, "boot", 0).expect("it can be made");
    let many: Vec<Change> = (0..3_000).map(change).collect();
    let first = |changes| begun(1, changes);
    journal
        .append_changes(first, 1, &many)
        .expect("there is room");
    let receipt = Receipt::default();
    let done = Record::Done {
        step: 1,
        at_ms: 1,
        receipt,
    };
    journal.append(done).expect("there is room");
    let past = journal.past().clone();
    drop(journal);
    assert_eq!(past.steps[&1].begun.changes, many);
    assert_eq!(Journal::read(&path).expect("it can be read"), past);
    let journal = Journal::open(&path, "boot", 0).expect("it can be opened");
    assert_eq!(journal.past(), &past);
    assert_eq!(journal.past().next_step(), 2);
}

/// The form is what the next version reads, and what a person acts on without Hostler.
#[test]
fn a_line_is_a_checksum_and_json() {
    let text = line(&begun(1, vec![change(8)]));
    let json = r#"{"record":"begun","step":1,"at_ms":1,"agent":"agent-1","what":"run on node 1","why":"its memory lies there","members":{"cgroup":{"path":"agents","id":7}},"cpus":"","left":[],"changes":[{"knob":"affinity","pid":1,"tid":8,"started":7,"old":{"cpus":"0-7"},"new":{"cpus":"4-7"}}]}"#;
    assert_eq!(
        text,
        format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()))
    );
}

#[test]
fn two_can_t_write_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let _journal = Journal::open(&path, "boot", 0).expect("it can be made");
    let second = Journal::open(&path, "boot", 0).expect_err("it is held");
    assert!(matches!(second, JournalError::Held { .. }), "{second}");
    assert!(Journal::read(&path).is_ok());
}

/// As after a disk that was full in the middle of a line, and did not let it be cut off.
#[test]
fn a_writer_whose_last_line_was_half_written_goes_on_behind_the_last_whole_one() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, "boot", 0).expect("it can be made");
    journal
        .file
        .write_all(b"12345678 {\"rec")
        .expect("there is room");
    journal
        .append(begun(1, vec![change(1)]))
        .expect("there is room");
    drop(journal);
    let past = Journal::read(&path).expect("it can be read");
    assert_eq!((past.damaged, past.in_force().count()), (0, 1));
}

#[test]
fn a_journal_that_was_just_shortened_is_held_still() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, "boot", 0).expect("it can be made");
    journal.compact().expect("there is room");
    let second = Journal::open(&path, "boot", 0).expect_err("it is held");
    assert!(matches!(second, JournalError::Held { .. }), "{second}");
    journal.append(begun(1, vec![])).expect("there is room");
    drop(journal);
    let past = Journal::read(&path).expect("it can be read");
    assert_eq!(past.steps.len(), 1);
}

#[test]
fn a_line_that_was_not_written_to_its_end_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, "boot", 0).expect("it can be made");
    journal
        .append(begun(1, vec![change(1)]))
        .expect("there is room");
    journal
        .file
        .write_all(b"12345678 {\"rec")
        .expect("there is room");
    drop(journal);
    let mut journal = Journal::open(&path, "boot", 0).expect("it can be opened");
    journal.append(undone(1)).expect("there is room");
    drop(journal);
    let past = Journal::read(&path).expect("it can be read");
    assert_eq!((past.damaged, past.in_force().count()), (0, 0));
}

#[test]
fn what_was_changed_before_the_host_was_started_anew_is_gone() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, "one", 0).expect("it can be made");
    journal.append(begun(1, vec![])).expect("there is room");
    drop(journal);
    let journal = Journal::open(&path, "two", 5).expect("it can be opened");
    assert_eq!(journal.past().in_force().count(), 0);
    let undone = &journal.past().steps[&1].undone;
    assert!(matches!(undone, Some((5, Cause::Reboot, _))));
}

#[test]
fn a_journal_that_has_grown_is_shortened_and_keeps_what_is_in_force() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let mut journal = Journal::open(&path, "boot", 0).expect("it can be made");
    journal
        .append(begun(1, vec![change(1)]))
        .expect("there is room");
    for step in 2..1_500 {
        journal
            .append(begun(step, vec![change(2)]))
            .expect("there is room");
        journal.append(undone(step)).expect("there is room");
    }
    let before = journal.bytes;
    journal.compact().expect("there is room");
    assert!(
        journal.bytes < before * 2 / 3,
        "{} of {before}",
        journal.bytes
    );
    journal.append(undone(1_499)).expect("there is room");
    let past = journal.past().clone();
    drop(journal);
    assert_eq!(Journal::read(&path).expect("it can be read"), past);
    assert_eq!(past.steps[&1].begun.changes, [change(1)]);
    assert_eq!(past.steps.len(), 1 + KEPT_UNDONE);
    assert_eq!(past.next_step(), 1_500);
    let names = fs::read_dir(folder.path()).expect("it is there");
    assert_eq!(names.count(), 1);
}

#[test]
fn a_line_that_makes_no_sense_is_counted_and_the_others_hold() {
    let records = [begun(1, vec![change(1)]), begun(2, vec![]), undone(2)];
    let mut bytes = written(&records);
    let second = written(&records[..1]).len() + 20;
    bytes[second] ^= 1;
    let (past, whole) = Journal::parsed(&bytes);
    assert_eq!(whole, bytes.len() as u64);
    // The line itself, and the one that is about the same step.
    assert_eq!(past.damaged, 2);
    assert_eq!(
        past.in_force().map(|(step, _)| step).collect::<Vec<_>>(),
        [1]
    );
}

#[test]
fn a_file_that_is_no_journal_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("notes");
    for text in ["half a line", "one line\n", "two\nlines", "0123abcd later"] {
        fs::write(&path, text).expect("there is room");
        let opened = Journal::open(&path, "boot", 0);
        assert!(
            matches!(opened, Err(JournalError::Foreign { .. })),
            "{text:?}: {opened:?}"
        );
        assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
    }
}

#[test]
fn half_of_a_journals_first_line_is_no_reason_to_refuse_it() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let path = folder.path().join("journal");
    let bytes = written(&[begun(1, vec![])]);
    for cut in [0, 1, 8, 9, 10, 30] {
        fs::write(&path, &bytes[..cut]).expect("there is room");
        let opened = Journal::open(&path, "boot", 0).expect("it is one");
        assert_eq!(opened.past().damaged, 0);
    }
}

proptest! {
    #[test]
    fn wherever_it_is_cut_what_is_whole_is_read(cut in 0_usize..2_000) {
        let records = [begun(1, vec![change(1)]), begun(2, vec![change(2)]), undone(1)];
        let bytes = written(&records);
        let (past, whole) = Journal::parsed(&bytes[..cut.min(bytes.len())]);
        prop_assert_eq!(past.damaged, 0);
        let (again, same) = Journal::parsed(&bytes[..usize::try_from(whole).expect("it fits")]);
        prop_assert_eq!(again, past);
        prop_assert_eq!(same, whole);
    }

    #[test]
    fn whatever_a_file_holds_it_is_read_to_its_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let (_, whole) = Journal::parsed(&bytes);
        prop_assert!(whole <= bytes.len() as u64);
    }
}
