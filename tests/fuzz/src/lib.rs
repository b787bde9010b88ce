//! What the targets have in common.

use std::{fs, path::PathBuf, sync::OnceLock, time::Duration};

use hostler_act::Journal;
use hostler_daemon::{
    history::{History, Retention, Store},
    recording::Reader,
};
use hostler_decide::{samples::Samples, window::WindowSum};
use redb::{Database, TableDefinition};

/// Reads a recording as a command does: whatever is in it, it is read or refused, and what was read
/// makes windows.
pub fn read(file: &[u8]) {
    let Ok(mut reader) = Reader::new("fuzzed".to_owned(), file) else {
        return;
    };
    let mut sum: Option<WindowSum> = None;
    while let Ok(Some(moment)) = reader.read() {
        let reading = moment.reading.clone();
        let sum = match &mut sum {
            Some(sum) => {
                sum.add(reading);
                sum
            }
            None => sum.insert(WindowSum::new(reading)),
        };
        let _window = sum.take();
    }
}

/// Reads a journal as the next writer does: as it is, and with its checksums put right, so that what is
/// behind them is reached.
pub fn read_journal(bytes: &[u8]) {
    let (_, whole) = Journal::parsed(bytes);
    assert!(whole <= bytes.len() as u64);
    let mut lines = Vec::new();
    for json in bytes.split(|&byte| byte == b'\n') {
        lines.extend(format!("{:08x} ", crc32fast::hash(json)).into_bytes());
        lines.extend(json);
        lines.push(b'\n');
    }
    let (past, _) = Journal::parsed(&lines);
    let _in_force = past.in_force().count();
    let _next = past.next_step();
}

/// Reads a history as commands do, and goes on writing it as the daemon does, in whose file `bytes` stand
/// where the samples of a second and what is said of it should.
pub fn read_history(bytes: &[u8]) {
    const CHUNKS: TableDefinition<(u32, u64), &[u8]> = TableDefinition::new("seconds");
    const STRETCHES: TableDefinition<u64, &[u8]> = TableDefinition::new("stretches_of_seconds");
    let file = history();
    let folder = file.parent().expect("it is in a folder");
    let (chunk, stretch) = bytes.split_at(bytes.len() / 2);
    let database = Database::open(file).expect("it is whole");
    let transaction = database.begin_write().expect("nobody else writes");
    {
        let mut chunks = transaction.open_table(CHUNKS).expect("it is there");
        chunks.insert((0, 0), chunk).expect("there is room");
        let mut stretches = transaction.open_table(STRETCHES).expect("it is there");
        // One of them says what is there, and the other anything.
        stretches
            .insert(0, &b"\x08\xc0\x84\x3d\x12\x01\x00"[..])
            .expect("there is room");
        stretches.insert(1_000, stretch).expect("there is room");
    }
    transaction.commit().expect("there is room");
    drop(database);
    if let Ok(Some(history)) = History::open(folder) {
        let _totals = history.totals(0, 120_000);
        if let (Ok(series), Ok(trend)) = (history.series(), history.trend(0, 120_000, 10)) {
            let _trends = history.trends(&series, &trend);
        }
    }
    if let Ok((mut store, _)) = Store::open(folder, RETENTION) {
        // A minute is made of them.
        let _written = store.write(61_000, &Samples::default());
    }
}

const RETENTION: Retention = Retention {
    spans: [
        Duration::from_secs(600),
        Duration::from_secs(7_200),
        Duration::from_secs(90_000),
    ],
    size_bytes: 1 << 24,
};

/// The file of a history with all its tables.
fn history() -> &'static PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        // Beside the fuzzer, since nothing of it is ended in order.
        let program = std::env::current_exe().expect("it has a path");
        let folder = program.with_file_name("fuzzed-history");
        let _may_not_be_there = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("there is room");
        let (mut store, _) = Store::open(&folder, RETENTION).expect("it can be made");
        store.write(0, &Samples::default()).expect("there is room");
        store.close().expect("it can be closed");
        folder.join("history.redb")
    })
}
