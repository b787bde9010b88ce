//! Fields of TCP sockets.

use core::ffi::c_void;

use aya_ebpf::{Global, helpers::generated::bpf_skc_to_tcp_sock};
use hostler_common::peer::NetworkKey;

use super::{ABSENT, CGROUP_DOM_CGRP, Cgroup, Object};

offsets! {
    /// `sock_common.skc_family`
    SKC_FAMILY;
    /// `sock_common.skc_state`
    SKC_STATE;
    /// `sock_common.skc_daddr`
    SKC_DADDR;
    /// `sock_common.skc_dport`
    SKC_DPORT;
    /// `sock_common.skc_v6_daddr`, [`ABSENT`] without IPv6
    SKC_V6_DADDR;
    /// `sock.sk_drops`
    SOCK_DROPS;
    /// `sock.sk_cgrp_data.cgroup`
    SOCK_CGROUP;
    /// `socket.sk`
    SOCKET_SK;
    /// `tcp_sock.bytes_acked`
    TCP_BYTES_ACKED;
    /// `tcp_sock.bytes_received`
    TCP_BYTES_RECEIVED;
    /// `tcp_sock.total_retrans`
    TCP_TOTAL_RETRANS;
    /// `tcp_sock.srtt_us`
    TCP_SRTT;
    /// The value of `tcp_sock.rtt_min`
    TCP_RTT_MIN;
    /// `tcp_sock.rack.rtt_us`
    TCP_RACK_RTT;
    /// `tcp_sock.bpf_sock_ops_cb_flags`
    TCP_CALLBACK_FLAGS;
}

/// `AF_INET6` of the kernel's `socket.h`.
const AF_INET6: u16 = 10;

/// States of a TCP socket, as in the kernel's `tcp_states.h`.
pub(crate) mod tcp_state {
    pub(crate) const ESTABLISHED: i32 = 1;
    pub(crate) const SYN_SENT: i32 = 2;
    pub(crate) const CLOSE: i32 = 7;
    pub(crate) const LISTEN: i32 = 10;
}

/// A `struct tcp_sock`.
#[derive(Clone, Copy)]
pub(crate) struct Socket(Object);

impl Socket {
    /// The TCP socket that the kernel's `struct sock *` or `struct sock_common *` leads to; `None`
    /// if it is of another protocol, or no more than a request or a memory of one.
    #[inline(always)]
    pub(crate) fn from_sock(sock: *const c_void) -> Option<Self> {
        if sock.is_null() {
            return None;
        }
        // SAFETY: the verifier checks that `sock` is one of those; the helper looks at its kind.
        let tcp = unsafe { bpf_skc_to_tcp_sock(sock.cast_mut()) };
        (!tcp.is_null()).then_some(Self(Object(tcp.cast())))
    }

    /// The TCP socket behind a `struct socket *`.
    #[inline(always)]
    pub(crate) fn from_socket(socket: *const c_void) -> Option<Self> {
        Self::from_sock(Object(socket).field(&SOCKET_SK))
    }

    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut c_void {
        self.0.0.cast_mut()
    }

    /// One of [`tcp_state`].
    #[inline(always)]
    pub(crate) fn state(self) -> i32 {
        i32::from(self.0.field::<u8>(&SKC_STATE))
    }

    /// Id of the v2 cgroup that the socket was made in, or its listener.
    #[inline(always)]
    pub(crate) fn cgroup_id(self) -> u64 {
        let cgroup = Object(self.0.field(&SOCK_CGROUP));
        Cgroup(Object(cgroup.field(&CGROUP_DOM_CGRP))).id()
    }

    /// Port and address of the other end.
    #[inline(always)]
    pub(crate) fn other_end(self) -> NetworkKey {
        let port = self.0.field(&SKC_DPORT);
        if SKC_V6_DADDR.load() != ABSENT && self.0.field::<u16>(&SKC_FAMILY) == AF_INET6 {
            let halves: [u64; 2] = [
                self.0.field(&SKC_V6_DADDR),
                self.0.field_at(SKC_V6_DADDR.load() + 8),
            ];
            // SAFETY: both are sixteen bytes of plain numbers.
            let address = unsafe { core::mem::transmute::<[u64; 2], [u16; 8]>(halves) };
            return NetworkKey { port, address };
        }
        let ipv4 = self.0.field::<u32>(&SKC_DADDR);
        let [first, second] = [ipv4 as u16, (ipv4 >> 16) as u16];
        NetworkKey {
            port,
            address: [0, 0, 0, 0, 0, u16::MAX, first, second],
        }
    }

    /// Bytes that were sent and acknowledged.
    #[inline(always)]
    pub(crate) fn sent_bytes(self) -> u64 {
        self.0.field(&TCP_BYTES_ACKED)
    }

    /// Bytes that were received in order.
    #[inline(always)]
    pub(crate) fn received_bytes(self) -> u64 {
        self.0.field(&TCP_BYTES_RECEIVED)
    }

    /// Segments sent again.
    #[inline(always)]
    pub(crate) fn retransmitted(self) -> u32 {
        self.0.field(&TCP_TOTAL_RETRANS)
    }

    /// Segments that the socket has dropped; of a listener, connections.
    #[inline(always)]
    pub(crate) fn dropped(self) -> u32 {
        self.0.field(&SOCK_DROPS)
    }

    /// The smoothed round trip in µs, 0 before the first one: the kernel keeps eight times that.
    #[inline(always)]
    pub(crate) fn smoothed_rtt_us(self) -> u32 {
        self.0.field::<u32>(&TCP_SRTT) >> 3
    }

    /// The smoothed round trip in µs as it is with one more, of that length: the kernel tells of a
    /// round trip before it does the same (`tcp_rtt_estimator`, after RFC 6298).
    #[inline(always)]
    pub(crate) fn smoothed_rtt_us_with(self, rtt_us: u32) -> u32 {
        let eight_times: u32 = self.0.field(&TCP_SRTT);
        let next = eight_times
            .wrapping_add(rtt_us)
            .wrapping_sub(eight_times >> 3);
        if eight_times == 0 { rtt_us } else { next >> 3 }
    }

    /// The shortest round trip that the kernel remembers, in µs.
    #[inline(always)]
    pub(crate) fn min_rtt_us(self) -> u32 {
        self.0.field(&TCP_RTT_MIN)
    }

    /// The latest round trip of a segment that was not sent again, in µs.
    #[inline(always)]
    pub(crate) fn latest_rtt_us(self) -> u32 {
        self.0.field(&TCP_RACK_RTT)
    }

    /// What `sock_ops` programs are told of.
    #[inline(always)]
    pub(crate) fn callback_flags(self) -> u32 {
        u32::from(self.0.field::<u8>(&TCP_CALLBACK_FLAGS))
    }
}
