//! Threads and processes as a snapshot reports them.

use hostler_common::slot::SlotLease;

/// One thread of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadRow {
    /// Id of its v2 cgroup; in threaded mode, of the domain.
    pub(crate) cgroup_id: u64,
    /// When its process started, in ticks since boot.
    pub(crate) started_ticks: u64,
    /// Another number after each exec of the thread.
    pub(crate) exec_id: u64,
    /// The slot of a rule's agent that the thread has, or had from who made it.
    pub(crate) by_rule: Option<SlotLease>,
    /// The thread's id.
    pub(crate) tid: u32,
    /// The process's id.
    pub(crate) tgid: u32,
    /// The id of the session's first process; 0 if there is none.
    pub(crate) session: u32,
    /// The id of the process's parent; 0 if it has none.
    pub(crate) parent: u32,
    /// The thread's effective user.
    pub(crate) uid: u32,
    /// Whether it is a kernel thread.
    pub(crate) kernel_thread: bool,
    /// The name of the process's program, at most 15 bytes of it.
    pub(crate) program: String,
}

/// Size of a row as `ebpf/snapshot/threads.bpf.c` writes it.
pub(crate) const ROW_BYTES: usize = 72;

impl ThreadRow {
    /// What identifies the process, besides its files; whose its record is does not.
    pub(crate) fn identifying(&self) -> impl PartialEq + use<'_> {
        let numbers = (self.cgroup_id, self.started_ticks, self.exec_id);
        (numbers, self.session, self.parent, self.uid, &*self.program)
    }

    /// Reads a row from the bytes that the iterator wrote; the fields stand in the order of
    /// `struct thread_row` there.
    pub(crate) fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Self {
        let word = |at: usize| {
            u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let long = |at: usize| {
            let mut long = [0; 8];
            long.copy_from_slice(&bytes[at..at + 8]);
            u64::from_ne_bytes(long)
        };
        let name = &bytes[56..72];
        let length = name
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(name.len());
        Self {
            cgroup_id: long(0),
            started_ticks: long(8),
            exec_id: long(16),
            by_rule: Some(SlotLease {
                slot: word(24),
                generation: word(28),
            })
            .filter(|lease| *lease != SlotLease::default()),
            tid: word(32),
            tgid: word(36),
            session: word(40),
            parent: word(44),
            uid: word(48),
            kernel_thread: word(52) != 0,
            program: String::from_utf8_lossy(&name[..length]).into_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_back_from_its_bytes() {
        let mut bytes = [0; ROW_BYTES];
        bytes[0..8].copy_from_slice(&4_567_u64.to_ne_bytes());
        bytes[8..16].copy_from_slice(&99_u64.to_ne_bytes());
        bytes[16..24].copy_from_slice(&7_u64.to_ne_bytes());
        for (at, value) in [
            (24, 200_u32),
            (28, 3),
            (32, 41),
            (36, 40),
            (40, 39),
            (44, 38),
            (48, 1000),
            (52, 1),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        bytes[56..60].copy_from_slice(b"bash");
        let row = ThreadRow::from_bytes(&bytes);
        assert_eq!(row.cgroup_id, 4_567);
        assert_eq!(row.started_ticks, 99);
        assert_eq!(row.exec_id, 7);
        let lease = SlotLease {
            slot: 200,
            generation: 3,
        };
        assert_eq!(row.by_rule, Some(lease));
        assert_eq!((row.tid, row.tgid, row.session), (41, 40, 39));
        assert_eq!((row.parent, row.uid), (38, 1000));
        assert!(row.kernel_thread);
        assert_eq!(row.program, "bash");
    }

    #[test]
    fn a_program_name_without_a_terminating_zero_is_taken_whole() {
        let mut bytes = [0; ROW_BYTES];
        bytes[56..72].copy_from_slice(b"sixteen-bytes-ab");
        assert_eq!(ThreadRow::from_bytes(&bytes).program, "sixteen-bytes-ab");
    }
}
