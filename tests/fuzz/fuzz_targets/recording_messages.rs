//! A recording that is whole and sound on the outside, with any messages inside: what the checksums and
//! the compression would keep a fuzzer from.
#![no_main]

use std::io::Write as _;

use hostler_daemon::recording::Writer;
use hostler_decide::scene::HostFacts;
use zstd::stream::write::Encoder;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut file = Vec::new();
    let begun = Writer::new("fuzzed".to_owned(), &mut file, &HostFacts::default());
    drop(begun.expect("memory takes it"));
    let mut compressor = Encoder::new(Vec::new(), 1).expect("zstd is there");
    let mut rest = bytes;
    // Two bytes say how long the next message is.
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(tail.len());
        let (message, tail) = tail.split_at(length);
        rest = tail;
        write_varint(&mut compressor, length);
        compressor.write_all(message).expect("memory takes it");
        compressor.flush().expect("memory takes it");
        let body = std::mem::take(compressor.get_mut());
        let length = u32::try_from(body.len()).expect("messages are short");
        file.extend(length.to_le_bytes());
        file.extend(crc32fast::hash(&body).to_le_bytes());
        file.extend(body);
    }
    hostler_fuzz::read(&file);
});

/// A message's length, as protocol buffers write it before one.
fn write_varint(to: &mut impl std::io::Write, mut number: usize) {
    while number >= 0x80 {
        to.write_all(&[number.to_le_bytes()[0] | 0x80])
            .expect("memory takes it");
        number >>= 7;
    }
    to.write_all(&[number.to_le_bytes()[0]])
        .expect("memory takes it");
}
