//! Makes what the fuzzer begins with out of a recording: `seeds RECORDING CORPUS`.

use std::{
    env, fs,
    io::{self, Write as _},
    path::Path,
};

use hostler_daemon::recording::MAGIC;
use zstd::stream::write::Decoder;

/// A journal, without the checksums that go before its lines.
const JOURNAL: &str = r#"{"record":"opened","boot":"1","at_ms":1}
{"record":"begun","step":1,"at_ms":2,"agent":"a","what":"w","why":"y","members":{"cgroup":{"path":"a","id":7}},"cpus":"2-3","left":[],"changes":[{"knob":"affinity","pid":7,"tid":8,"started":9,"old":{"cpus":"0-3"},"new":{"cpus":"2-3"}}]}
{"record":"yielded","step":1,"at_ms":3,"knob":{"knob":"affinity","pid":7,"tid":8,"started":9},"found":{"cpus":"1"}}
{"record":"undone","step":1,"at_ms":4,"cause":{"cause":"asked"},"restored":{"restored":1,"born":0,"as_was":0,"gone":0,"foreign":0}}
"#;

fn main() -> io::Result<()> {
    let words: Vec<String> = env::args().collect();
    let [_, recording, corpus] = &words[..] else {
        return Err(io::Error::other("usage: seeds RECORDING CORPUS"));
    };
    let file = fs::read(recording)?;
    let corpus = Path::new(corpus);
    // A chunk without rows, and a stretch of time of a second.
    let empty = [&zstd::bulk::compress(&[], 1)?[..], b"\x08\xc0\x84\x3d"].concat();
    seed(&corpus.join("history_files"), &empty)?;
    seed(&corpus.join("journal_files"), JOURNAL.as_bytes())?;
    seed(&corpus.join("recording_files"), &file)?;
    seed(&corpus.join("recording_messages"), &messages(&file)?)
}

fn seed(folder: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("fleet"), bytes)
}

/// The messages of a recording after its header, each with its length in two bytes.
fn messages(file: &[u8]) -> io::Result<Vec<u8>> {
    let mut rest = &file[MAGIC.len() + 4..];
    let mut bodies = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<8>() {
        let [l0, l1, l2, l3, ..] = *head;
        let (body, tail) = tail.split_at(u32::from_le_bytes([l0, l1, l2, l3]) as usize);
        bodies.push(body);
        rest = tail;
    }
    let mut decompressor = Decoder::new(Vec::new())?;
    let mut messages = Vec::new();
    for body in bodies.into_iter().skip(1) {
        decompressor.write_all(body)?;
        decompressor.flush()?;
        let delimited = std::mem::take(decompressor.get_mut());
        let prefix = delimited.iter().take_while(|byte| **byte >= 0x80).count() + 1;
        let message = &delimited[prefix..];
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        messages.extend(length.to_le_bytes());
        messages.extend(message);
    }
    Ok(messages)
}
