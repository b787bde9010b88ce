//! Who an agent's TCP sockets talk to, and what was counted of that.
//!
//! The other ends of sockets are put into few classes, not told apart by address: a table by address
//! would grow with whatever an agent chooses to call. A record is made when an agent first meets a
//! class, so that thousands of agents cost what they use: few talk to more than two.

use crate::{
    histogram::Histogram,
    shared::{SharedU32, SharedU64},
    slot::SlotLease,
};

/// Records of pairs of agent and peer that there is room for, in the map `PEERS`.
pub const MAX_PEERS: u32 = 10_240;

/// In place of a record's index: none.
pub const NO_RECORD: u32 = u32::MAX;

/// Who is at the other end of a socket.
pub mod class {
    /// Nobody: of listeners, and of connections that nobody answered.
    pub const NOBODY: u32 = 0;
    /// The same network namespace, by a loopback address.
    pub const LOOPBACK: u32 = 1;
    /// The same host, by another of its addresses.
    pub const HOST: u32 = 2;
    /// Near by: the first round trip took less than [`super::LAN_END_US`].
    pub const LAN: u32 = 3;
    /// Further away.
    pub const WAN: u32 = 4;
    /// The first of those that the user has named; as many as [`super::MAX_NAMED`].
    pub const FIRST_NAMED: u32 = 8;
}

/// Peers that can be named.
pub const MAX_NAMED: u32 = 56;

/// Sockets of an agent and a peer that are asked to tell of their round trips at a time. To be told
/// takes the kernel some 0.3 µs each time, also where the program does nothing (Linux 6.18, requests
/// between two processes beside `trace rtt` and `trace runq`): a tool server with thousands of
/// connections, and an agent with many, learn no more from all of them than from a few that take
/// turns.
pub const MAX_ASKED: u32 = 2;

/// From this first round trip on, in µs, a peer is far away. A data centre and its neighbours lie
/// below it (0.1 to 2 ms), other cities above.
pub const LAN_END_US: u32 = 5_000;

/// Networks that can be told apart: a few for each named peer, and the host's own addresses.
pub const MAX_NETWORKS: u32 = 4_096;

/// An address that is looked up among the networks, the key of the map `NETWORKS` after the length
/// of its prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkKey {
    /// The port, in network order; 0 in a network of which all ports count.
    pub port: u16,
    /// The IPv6 address, or an IPv4 address mapped into one.
    pub address: [u16; 8],
}

/// Bits of a [`NetworkKey`] before the address: a prefix is at least that long.
pub const PORT_BITS: u32 = 16;

const _: () = assert!(size_of::<NetworkKey>() == 18);

/// An agent and who it talks to, the key of the map `PEER_RECORDS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerKey {
    /// The agent.
    pub agent: SlotLease,
    /// One of [`class`].
    pub peer: u32,
    /// Explicit padding, 0.
    pub reserved: u32,
}

const _: () = assert!(size_of::<PeerKey>() == 16);

/// What one agent's sockets and one class of peers had to do with each other, cumulative; one element
/// of the map `PEERS`. Bytes, retransmissions and drops are differences of the kernel's own counts
/// for each socket, those of `TCP_INFO`.
#[repr(C, align(64))]
pub struct PeerRecord {
    /// The agent's slot; set when the record is taken, like the next two.
    pub slot: SharedU32,
    /// Its generation.
    pub generation: SharedU32,
    /// One of [`class`].
    pub peer: SharedU32,
    /// The smoothed round trip as of the last one that was counted, in µs.
    pub smoothed_rtt_us: SharedU32,
    /// The shortest round trip that the kernel remembers, of the same socket, in µs.
    pub min_rtt_us: SharedU32,
    /// Not 0 while the record is somebody's.
    pub taken: SharedU32,
    /// Sum of the round trips, in µs.
    pub rtt_us: SharedU64,
    /// Bytes that were sent and acknowledged.
    pub sent_bytes: SharedU64,
    /// Bytes that were received in order.
    pub received_bytes: SharedU64,
    /// Segments sent again.
    pub retransmitted: SharedU64,
    /// Segments that a socket dropped: there was no room in its queues, or they were of no use.
    pub dropped: SharedU64,
    /// Connections that the agent made.
    pub connected: SharedU64,
    /// Connections that it began in vain.
    pub not_connected: SharedU64,
    /// Connections that others made to it.
    pub accepted: SharedU64,
    /// Connections that were there before.
    pub adopted: SharedU64,
    /// Connections that have ended.
    pub closed: SharedU64,
    /// Sockets that are asked to tell of their round trips, see [`MAX_ASKED`].
    pub asked: SharedU32,
    /// Keeps the histograms on cache lines of their own.
    pub reserved: [u32; 5],
    /// Round trips: of sockets that are asked, one of all that are under way at a time; of others, the
    /// smoothed one when they are visited and when they close.
    pub round_trip: Histogram,
    /// From a connection's first packet until it stood.
    pub connect: Histogram,
}

const _: () = assert!(size_of::<PeerRecord>() == 128 + 2 * 1024);

/// How many records were ever taken that had not been used before: those below are worth reading.
/// The only element of the map `PEER_POOL`.
#[repr(C, align(64))]
#[derive(Default)]
pub struct PeerPool {
    /// As many.
    pub fresh: SharedU32,
    /// Keeps the size at a whole cache line.
    pub reserved: [u32; 15],
}

const _: () = assert!(size_of::<PeerPool>() == 64);

/// What the kernel side remembers of one socket, kept in the kernel's socket storage.
///
/// Whoever changes it holds the socket's lock. A socket that is accepted begins with a copy of its
/// listener's.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct SocketRecord {
    /// Whose it is.
    pub lease: SlotLease,
    /// The index in `PEERS` of what is counted here, plus one; 0 if there is none yet.
    pub record: u32,
    /// Bits of [`socket_flag`].
    pub flags: u16,
    /// One of [`class`], once it is known.
    pub peer: u16,
    /// When the connection's first packet was sent, in ns of the monotonic clock; 0 if another sent
    /// it.
    pub began_ns: u64,
    /// The kernel's count of bytes that were sent and acknowledged, as of the last reading.
    pub sent_bytes: u64,
    /// Likewise of those received.
    pub received_bytes: u64,
    /// Likewise of segments sent again.
    pub retransmitted: u32,
    /// Likewise of segments dropped.
    pub dropped: u32,
}

const _: () = assert!(size_of::<SocketRecord>() == 48);

/// Bits of [`SocketRecord::flags`].
pub mod socket_flag {
    /// It was counted as connected, accepted or adopted.
    pub const OPEN: u16 = 1 << 0;
    /// `peer` is known.
    pub const PEER_KNOWN: u16 = 1 << 1;
    /// It is asked to tell of its round trips, and counted as such in its record.
    pub const ASKED: u16 = 1 << 2;
    /// It has told of one since it was last visited.
    pub const HEARD: u16 = 1 << 3;
    /// It was asked already, maybe by another program of the host's: it is not told to be silent.
    pub const FOR_OTHERS: u16 = 1 << 5;
    /// What its listener's record held is forgotten.
    pub const ACCEPTED: u16 = 1 << 4;
}
