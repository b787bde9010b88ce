//! Threads and processes as a snapshot reports them.

/// One thread of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ThreadRow {
    /// Id of its v2 cgroup; in threaded mode, of the domain.
    pub(crate) cgroup_id: u64,
    /// When its process started, in ticks since boot.
    pub(crate) started_ticks: u64,
    /// Another number after each exec of the thread.
    pub(crate) exec_id: u64,
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
pub(crate) const ROW_BYTES: usize = 64;

impl ThreadRow {
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
        let name = &bytes[48..64];
        let length = name
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(name.len());
        Self {
            cgroup_id: long(0),
            started_ticks: long(8),
            exec_id: long(16),
            tid: word(24),
            tgid: word(28),
            session: word(32),
            parent: word(36),
            uid: word(40),
            kernel_thread: word(44) != 0,
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
            (24, 41_u32),
            (28, 40),
            (32, 39),
            (36, 38),
            (40, 1000),
            (44, 1),
        ] {
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        }
        bytes[48..52].copy_from_slice(b"bash");
        let row = ThreadRow::from_bytes(&bytes);
        assert_eq!(row.cgroup_id, 4_567);
        assert_eq!(row.started_ticks, 99);
        assert_eq!(row.exec_id, 7);
        assert_eq!((row.tid, row.tgid, row.session), (41, 40, 39));
        assert_eq!((row.parent, row.uid), (38, 1000));
        assert!(row.kernel_thread);
        assert_eq!(row.program, "bash");
    }

    #[test]
    fn a_program_name_without_a_terminating_zero_is_taken_whole() {
        let mut bytes = [0; ROW_BYTES];
        bytes[48..64].copy_from_slice(b"sixteen-bytes-ab");
        assert_eq!(ThreadRow::from_bytes(&bytes).program, "sixteen-bytes-ab");
    }
}
