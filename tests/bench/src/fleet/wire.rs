//! What agents and servers say to each other: how much is to come, and how much is to come back.

/// Before each request: bytes that follow, and bytes wanted in return, both little-endian.
pub(crate) const HEAD_BYTES: usize = 8;

/// No request asks for more.
pub(crate) const MOST_BYTES: u32 = 1 << 24;

/// The head of a request.
pub(crate) fn head(sent_bytes: u32, wanted_bytes: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&sent_bytes.to_le_bytes());
    head[4..].copy_from_slice(&wanted_bytes.to_le_bytes());
    head
}

/// What a head says; `None` if it asks for too much.
pub(crate) fn read_head(head: [u8; HEAD_BYTES]) -> Option<(u32, u32)> {
    let [sent, wanted] = [&head[..4], &head[4..]]
        .map(|half| u32::from_le_bytes(half.try_into().expect("a half is four bytes")));
    (sent <= MOST_BYTES && wanted <= MOST_BYTES).then_some((sent, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_too_much_is_refused() {
        assert_eq!(read_head(head(100, 64_000)), Some((100, 64_000)));
        assert_eq!(read_head(head(u32::MAX, 1)), None);
    }
}
