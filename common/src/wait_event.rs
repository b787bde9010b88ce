//! Single long waits, which the kernel side sends through the ring buffer `WAIT_EVENTS` if user
//! space asked for them.
//!
//! They have a ring of their own, so that a flood of them leaves room for cgroups that come and
//! go, and are sent at a limited rate: [`crate::pair`] has all waits, in sums.

use crate::slot::SlotLease;

/// Bytes of a thread's name, as the kernel keeps it.
pub const NAME_BYTES: usize = 16;

/// Waits that each CPU may tell of in a [`PERIOD_NS`]; what comes beyond is counted only.
pub const WAITS_A_PERIOD: u64 = 20;

/// Length of a period, in ns.
pub const PERIOD_NS: u64 = 100_000_000;

/// One long wait, sent when it ended.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitEvent {
    /// When it ended, in ns of the programs' clock, see [`crate::clock`]; user space turns that into
    /// the monotonic one.
    pub at_ns: u64,
    /// How long it was, in ns.
    pub wait_ns: u64,
    /// The slot of who waited.
    pub waiter: SlotLease,
    /// The thread id of who waited.
    pub waiter_tid: u32,
    /// The slot of who made it wait, or [`crate::pair::NOBODY`].
    pub cause: u32,
    /// The thread id of who made it wait; 0 if no thread did.
    pub cause_tid: u32,
    /// One of [`crate::pair::relation`].
    pub relation: u32,
    /// The CPU on which the wait ended.
    pub cpu: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
    /// The name of the thread that waited, ended by zeroes if it is shorter.
    pub waiter_name: [u8; NAME_BYTES],
    /// The name of the thread that made it wait; empty if it is not known.
    pub cause_name: [u8; NAME_BYTES],
}

const _: () = assert!(size_of::<WaitEvent>() == 48 + 2 * NAME_BYTES);

impl WaitEvent {
    /// Reads an event from the bytes of a ring-buffer record; `None` if their number is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; size_of::<Self>()] = bytes.try_into().ok()?;
        let u32_at = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            at_ns: u64_at(0)?,
            wait_ns: u64_at(8)?,
            waiter: SlotLease {
                slot: u32_at(16)?,
                generation: u32_at(20)?,
            },
            waiter_tid: u32_at(24)?,
            cause: u32_at(28)?,
            cause_tid: u32_at(32)?,
            relation: u32_at(36)?,
            cpu: u32_at(40)?,
            reserved: 0,
            waiter_name: bytes[48..64].try_into().ok()?,
            cause_name: bytes[64..80].try_into().ok()?,
        })
    }
}

/// A thread's name without the zeroes that end it.
pub fn name_bytes(name: &[u8; NAME_BYTES]) -> &[u8] {
    let end = name.iter().position(|&byte| byte == 0);
    &name[..end.unwrap_or(NAME_BYTES)]
}

/// What one CPU has sent in its present period; the element of the map `WAIT_BUDGETS`.
#[repr(C)]
#[derive(Default)]
pub struct WaitBudget {
    /// The period's number since boot.
    pub period: u64,
    /// Waits sent in it.
    pub sent: u64,
}

/// A thread's name under its id, an element of the map `THREAD_NAMES`.
#[repr(C)]
#[derive(Default)]
pub struct ThreadName {
    /// The thread's name.
    pub name: [u8; NAME_BYTES],
    /// The thread's id.
    pub tid: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

/// Elements of `THREAD_NAMES`, found by the lower bits of a thread id. A power of two.
pub const THREAD_NAMES: u32 = 1024;

const _: () = assert!(THREAD_NAMES.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_back_from_its_bytes() {
        let mut bytes = [0; size_of::<WaitEvent>()];
        for at in (0..48).step_by(4) {
            bytes[at] = u8::try_from(at).expect("it is small");
        }
        bytes[48..53].copy_from_slice(b"agent");
        bytes[64..80].copy_from_slice(b"sixteen letters.");
        let event = WaitEvent::from_bytes(&bytes).expect("it is an event");
        assert_eq!(event.at_ns.to_ne_bytes(), bytes[..8]);
        assert_eq!(event.wait_ns.to_ne_bytes(), bytes[8..16]);
        assert_eq!((event.waiter.slot, event.waiter.generation), (16, 20));
        assert_eq!((event.waiter_tid, event.cause), (24, 28));
        assert_eq!((event.cause_tid, event.relation, event.cpu), (32, 36, 40));
        assert_eq!(name_bytes(&event.waiter_name), b"agent");
        assert_eq!(name_bytes(&event.cause_name), b"sixteen letters.");
    }

    #[test]
    fn bytes_of_another_length_are_no_event() {
        assert_eq!(WaitEvent::from_bytes(&[0; 79]), None);
        assert_eq!(WaitEvent::from_bytes(&[0; 81]), None);
    }
}
