//! Ids of containers and pods, as they stand in cgroup paths.

/// How many hexadecimal digits a short id has: as many as `docker ps` shows.
const SHORT_DIGITS: usize = 12;

/// Whether `text` is a full container id.
pub(super) fn is_container_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(is_digit)
}

/// A pod's uid from how a cgroup driver writes it: as it is, or with `_` for `-`, since systemd
/// takes `-` for a level. Static pods have a hash without dashes.
pub(super) fn pod_uid(text: &str) -> Option<String> {
    let uid = text.replace('_', "-");
    let is_hash = uid.len() == 32 && uid.bytes().all(is_digit);
    let lengths = uid.split('-').map(str::len);
    let is_uuid =
        lengths.eq([8, 4, 4, 4, 12]) && uid.bytes().all(|byte| byte == b'-' || is_digit(byte));
    (is_hash || is_uuid).then_some(uid)
}

/// The beginning of an id, up to twelve digits; dashes between them are kept, so that it can be
/// searched for.
pub(super) fn short(id: &str) -> &str {
    let digits = id.char_indices().filter(|(_, character)| *character != '-');
    let end = digits
        .skip(SHORT_DIGITS)
        .map(|(at, _)| at)
        .next()
        .unwrap_or(id.len());
    id[..end].trim_end_matches('-')
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_id_has_twelve_digits_and_keeps_dashes_between_them() {
        assert_eq!(short("0123456789abcdef"), "0123456789ab");
        assert_eq!(
            short("1b3e6f0a-12cd-4e5f-8a9b-0123456789ab"),
            "1b3e6f0a-12cd"
        );
        assert_eq!(short("abc"), "abc");
        assert_eq!(short(""), "");
    }

    #[test]
    fn a_uid_is_known_in_both_spellings_and_as_a_static_pod_s_hash() {
        let uid = "1b3e6f0a-12cd-4e5f-8a9b-0123456789ab";
        assert_eq!(pod_uid(uid).as_deref(), Some(uid));
        assert_eq!(pod_uid(&uid.replace('-', "_")).as_deref(), Some(uid));
        assert!(pod_uid(&"ab".repeat(16)).is_some());
        assert_eq!(pod_uid("ab"), None);
        assert_eq!(pod_uid(&"-".repeat(36)), None);
    }
}
