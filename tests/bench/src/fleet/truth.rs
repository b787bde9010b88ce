//! What an agent did, as it knows it itself: what Hostler's figures are held against.

use serde::{Deserialize, Serialize};

/// One line of the ground truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "lowercase")]
pub(crate) enum Line {
    /// One turn. Times are in ns of the monotonic clock.
    Turn {
        agent: u32,
        /// When it was to wake, and how much later it did.
        at_ns: u64,
        late_ns: u64,
        /// CPU time of the turn up to its request.
        compute_ns: u64,
        /// Pages that it read and wrote.
        pages: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<RequestTruth>,
    },
    /// All of an agent, from its first turn to its last.
    Agent {
        agent: u32,
        cgroup: String,
        pid: u32,
        turns: u64,
        requests: u64,
        /// As the kernel accounts for it, user and system time.
        cpu_ns: u64,
        minor_faults: u64,
        major_faults: u64,
        voluntary_switches: u64,
        involuntary_switches: u64,
    },
}

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct RequestTruth {
    pub(crate) server: u32,
    pub(crate) sent_bytes: u32,
    pub(crate) received_bytes: u32,
    /// Until the connection was there, if it was a new one.
    pub(crate) connect_ns: Option<u64>,
    /// From the first byte sent to the last one received.
    pub(crate) took_ns: u64,
}
