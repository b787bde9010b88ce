//! Rare events that the kernel side sends through the ring buffer `EVENTS`.

use crate::slot::SlotLease;

/// Kinds of [`CgroupEvent`].
pub mod kind {
    /// A cgroup was made; `lease` is the slot it was given, [`OTHER`](crate::slot::OTHER) if none.
    pub const CGROUP_MADE: u32 = 1;
    /// A cgroup was removed; `lease` is the slot that it had.
    pub const CGROUP_REMOVED: u32 = 2;
}

/// Bytes kept of a cgroup's path. A longer one is cut, which `path_length` shows.
pub const PATH_BYTES: usize = 208;

/// A v2 cgroup came or went.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupEvent {
    /// One of [`kind`].
    pub kind: u32,
    /// Bytes of `path` that are set; [`PATH_BYTES`] if the path was cut.
    pub path_length: u32,
    /// The cgroup's id, which is the inode number of its directory.
    pub cgroup_id: u64,
    /// The cgroup's slot.
    pub lease: SlotLease,
    /// When it happened, in ns of the monotonic clock.
    pub at_ns: u64,
    /// The path below the root of the hierarchy, with a leading slash.
    pub path: [u8; PATH_BYTES],
}

const _: () = assert!(size_of::<CgroupEvent>() == 32 + PATH_BYTES);

impl CgroupEvent {
    /// Reads an event from the bytes of a ring-buffer record; `None` if their number is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; size_of::<Self>()] = bytes.try_into().ok()?;
        let u32_at = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            kind: u32_at(0)?,
            path_length: u32_at(4)?,
            cgroup_id: u64_at(8)?,
            lease: SlotLease {
                slot: u32_at(16)?,
                generation: u32_at(20)?,
            },
            at_ns: u64_at(24)?,
            path: bytes[32..].try_into().ok()?,
        })
    }

    /// The path's bytes; `None` if the path was cut or could not be read.
    pub fn path(&self) -> Option<&[u8]> {
        let length = self.path_length as usize;
        if length == 0 || length >= PATH_BYTES {
            None
        } else {
            self.path.get(..length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(path: &[u8]) -> [u8; size_of::<CgroupEvent>()] {
        let mut bytes = [0; size_of::<CgroupEvent>()];
        bytes[0..4].copy_from_slice(&kind::CGROUP_REMOVED.to_ne_bytes());
        bytes[4..8].copy_from_slice(&u32::try_from(path.len()).expect("short").to_ne_bytes());
        bytes[8..16].copy_from_slice(&77_u64.to_ne_bytes());
        bytes[16..20].copy_from_slice(&130_u32.to_ne_bytes());
        bytes[20..24].copy_from_slice(&3_u32.to_ne_bytes());
        bytes[24..32].copy_from_slice(&5_000_u64.to_ne_bytes());
        bytes[32..32 + path.len()].copy_from_slice(path);
        bytes
    }

    #[test]
    fn an_event_is_read_back_from_its_bytes() {
        let event = CgroupEvent::from_bytes(&bytes(b"/agents/a1")).expect("it is an event");
        assert_eq!(event.kind, kind::CGROUP_REMOVED);
        assert_eq!(event.cgroup_id, 77);
        assert_eq!(
            event.lease,
            SlotLease {
                slot: 130,
                generation: 3
            }
        );
        assert_eq!(event.at_ns, 5_000);
        assert_eq!(event.path(), Some(b"/agents/a1".as_slice()));
    }

    #[test]
    fn a_path_that_was_cut_is_not_taken_for_a_whole_one() {
        let event = CgroupEvent::from_bytes(&bytes(&[b'a'; PATH_BYTES])).expect("it is an event");
        assert_eq!(event.path(), None);
    }

    #[test]
    fn bytes_of_another_length_are_no_event() {
        assert_eq!(CgroupEvent::from_bytes(&[0; 31]), None);
        assert_eq!(CgroupEvent::from_bytes(&[0; 241]), None);
    }
}
