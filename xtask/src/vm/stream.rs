//! One output stream of the guest's command, up to its end marker.

use std::io::{self, Read, Write};

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its marker: all of it has been passed on.
    Marked,
    /// Without: the guest is gone.
    Cut,
}

/// Passes `from` on to `to` until `marker` has come, which is not passed on. A part that could be
/// the marker's beginning is held back until what follows decides.
pub(super) fn relay(mut from: impl Read, mut to: impl Write, marker: &[u8]) -> io::Result<End> {
    let mut pending = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut chunk) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // A killed emulator resets its sockets.
            Err(_) => 0,
        };
        if read == 0 {
            to.write_all(&pending)?;
            to.flush()?;
            return Ok(End::Cut);
        }
        pending.extend_from_slice(&chunk[..read]);
        let held_back = marker_start(&pending, marker);
        let clear = pending.len() - held_back;
        to.write_all(&pending[..clear])?;
        to.flush()?;
        if held_back == marker.len() {
            return Ok(End::Marked);
        }
        pending.drain(..clear);
    }
}

/// The length of the longest end of `bytes` that is a beginning of `marker`.
fn marker_start(bytes: &[u8], marker: &[u8]) -> usize {
    let longest = marker.len().min(bytes.len());
    (0..=longest)
        .rev()
        .find(|&length| bytes.ends_with(&marker[..length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out its bytes a few at a time, as a socket may.
    struct Piecewise<'a>(&'a [u8], usize);

    impl Read for Piecewise<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.1.min(self.0.len());
            let (now, later) = self.0.split_at(length);
            buffer[..length].copy_from_slice(now);
            self.0 = later;
            Ok(length)
        }
    }

    #[test]
    fn a_marker_is_found_however_the_bytes_are_cut() {
        for piece in 1..12 {
            let mut passed = Vec::new();
            let end = relay(Piecewise(b"a-EN-ENDb-END-", piece), &mut passed, b"-END-");
            assert_eq!(end.expect("a vector takes everything"), End::Marked);
            assert_eq!(passed, b"a-EN-ENDb");
        }
    }

    #[test]
    fn a_stream_that_is_cut_gives_what_was_held_back() {
        let mut passed = Vec::new();
        let end = relay(Piecewise(b"text-EN", 3), &mut passed, b"-END-");
        assert_eq!(end.expect("a vector takes everything"), End::Cut);
        assert_eq!(passed, b"text-EN");
    }
}
