//! TCP sockets: whose they are, who is at the other end, and how long a round trip takes.
//!
//! A tracepoint follows each socket's life in all network namespaces, and finds whose it is once,
//! when it connects or listens, while its process runs. A `sock_ops` program at the root of the
//! cgroups is told by the kernel of round trips, one of all that are under way at a time, of some
//! sockets of each agent and peer: which ones changes with who talks. The others tell their smoothed
//! round trip when they are visited and when they close. Bytes,
//! retransmissions and drops are the kernel's own counts for the socket: what has come to them is
//! added with each round trip, at each visit of all sockets, and when the socket closes. All this
//! is attached only where somebody asks.

mod owner;
mod peers;
mod visits;

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB, BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB,
        BPF_SOCK_OPS_RTT_CB, BPF_SOCK_OPS_RTT_CB_FLAG,
    },
    macros::{btf_tracepoint, sock_ops},
    programs::{BtfTracePointContext, SockOpsContext},
};
use hostler_common::peer::{MAX_ASKED, PeerRecord, SocketRecord, socket_flag};

use self::{
    owner::{lease_of_cgroup, lease_of_running_process},
    peers::record_of,
};
use crate::{
    clock::monotonic_ns,
    counter::{add, add_u32, record},
    maps::{SOCKETS, count_loss},
    offsets::{Socket, tcp_state},
};

/// A socket changes its state. Whoever lets it holds its lock.
#[btf_tracepoint(function = "inet_sock_set_state")]
pub(crate) fn inet_sock_set_state(ctx: BtfTracePointContext) -> i32 {
    let Some(socket) = Socket::from_sock(ctx.arg::<*const c_void>(0)) else {
        return 0;
    };
    let (old, new) = (ctx.arg::<i32>(1), ctx.arg::<i32>(2));
    match new {
        tcp_state::SYN_SENT => begin(socket, monotonic_ns()),
        tcp_state::LISTEN => begin(socket, 0),
        tcp_state::ESTABLISHED => establish(socket),
        tcp_state::CLOSE => close(socket, old),
        _ => {}
    }
    0
}

/// What the kernel tells of sockets that asked for it.
#[sock_ops]
pub(crate) fn tcp_round_trips(ctx: SockOpsContext) -> u32 {
    const DONE: u32 = 1;
    match ctx.op() {
        BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB | BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB => {
            if let Some(socket) = socket_of(&ctx)
                && is_to_be_asked(socket)
            {
                let flags = ctx.cb_flags() | BPF_SOCK_OPS_RTT_CB_FLAG;
                // A socket that can't be asked about has closed meanwhile.
                let _closed = ctx.set_cb_flags(flags as i32);
            }
        }
        BPF_SOCK_OPS_RTT_CB => {
            if let Some(socket) = socket_of(&ctx) {
                round_trip(socket, ctx.arg(0));
            }
        }
        _ => {}
    }
    DONE
}

#[inline(always)]
fn socket_of(ctx: &SockOpsContext) -> Option<Socket> {
    // SAFETY: the verifier knows the context and where its socket is.
    let sock = unsafe { (*ctx.ops).__bindgen_anon_2.sk };
    Socket::from_sock(sock.cast())
}

/// Whether a connection that has just come to stand is one of those that are asked.
#[inline(always)]
fn is_to_be_asked(socket: Socket) -> bool {
    // Whose listener is not known is asked when it is visited, if ever.
    let Some(known) = SOCKETS.get(socket) else {
        return false;
    };
    // The kernel may come here before it sets the new state.
    forget_listener(known);
    let Some(peer) = record_of(known, socket) else {
        return false;
    };
    ask(known, peer)
}

/// Takes one of the places of those that are asked, if there is one.
#[inline(always)]
fn ask(known: &mut SocketRecord, peer: &PeerRecord) -> bool {
    if known.flags & socket_flag::ASKED != 0 {
        return true;
    }
    if peer.asked.load() >= MAX_ASKED {
        return false;
    }
    add_u32(&peer.asked, 1);
    known.flags |= socket_flag::ASKED | socket_flag::HEARD;
    true
}

/// Gives the place back.
#[inline(always)]
fn ask_no_more(known: &mut SocketRecord, peer: &PeerRecord) {
    known.flags &= !socket_flag::ASKED;
    // User space sets the count to zero now and then, since an end that was not seen never comes.
    if peer.asked.load() > 0 {
        add_u32(&peer.asked, 1_u32.wrapping_neg());
    }
}

/// Of the listener of a connection that was accepted, only whose it is holds for it, too.
#[inline(always)]
fn forget_listener(known: &mut SocketRecord) {
    if known.began_ns == 0 && known.flags & socket_flag::ACCEPTED == 0 {
        *known = SocketRecord {
            lease: known.lease,
            flags: socket_flag::ACCEPTED,
            ..SocketRecord::default()
        };
    }
}

/// A connection or a listener begins, in the context of its process.
#[inline(always)]
fn begin(socket: Socket, began_ns: u64) {
    let lease = lease_of_running_process();
    let mut first = SocketRecord::default();
    let Some(known) = SOCKETS.get_or_create(socket, &mut first) else {
        count_loss!(sockets_without_record);
        return;
    };
    if known.flags & socket_flag::ASKED != 0
        && let Some(peer) = record_of(known, socket)
    {
        ask_no_more(known, peer);
    }
    // The kernel's counts begin at zero, also where a socket is used again.
    *known = SocketRecord {
        lease,
        began_ns,
        ..first
    };
}

/// A connection stands.
#[inline(always)]
fn establish(socket: Socket) {
    let mut first = SocketRecord {
        lease: lease_of_cgroup(socket.cgroup_id()),
        ..SocketRecord::default()
    };
    let Some(known) = SOCKETS.get_or_create(socket, &mut first) else {
        count_loss!(sockets_without_record);
        return;
    };
    forget_listener(known);
    known.flags |= socket_flag::OPEN;
    let Some(peer) = record_of(known, socket) else {
        return;
    };
    if known.began_ns == 0 {
        add(&peer.accepted, 1);
    } else {
        // In this order: who reads a count that is up to date finds a histogram that is, too.
        record(&peer.connect, monotonic_ns().saturating_sub(known.began_ns));
        add(&peer.connected, 1);
    }
}

/// A connection or a listener ends.
#[inline(always)]
fn close(socket: Socket, old_state: i32) {
    let Some(known) = SOCKETS.get(socket) else {
        return;
    };
    let was_open = known.flags & socket_flag::OPEN != 0;
    let was_asked = known.flags & socket_flag::ASKED != 0;
    let in_vain = old_state == tcp_state::SYN_SENT;
    if !was_open && !was_asked && !in_vain && old_state != tcp_state::LISTEN {
        return;
    }
    if in_vain {
        // Nobody answered, or who did refused: no round trip tells how far away that was.
        known.flags |= socket_flag::PEER_KNOWN;
    }
    known.flags &= !socket_flag::OPEN;
    let Some(peer) = record_of(known, socket) else {
        return;
    };
    let any = take_in(known, socket, peer);
    if was_asked {
        ask_no_more(known, peer);
    } else if was_open && any {
        count_smoothed(peer, socket);
    }
    if was_open {
        add(&peer.closed, 1);
    } else if in_vain {
        add(&peer.not_connected, 1);
    }
}

/// A round trip is over. Kernels before 6.11 do not tell how long it took, but keep the latest one.
#[inline(always)]
fn round_trip(socket: Socket, told_us: u32) {
    let Some(known) = SOCKETS.get(socket) else {
        count_loss!(sockets_without_record);
        return;
    };
    let Some(peer) = record_of(known, socket) else {
        return;
    };
    let rtt_us = if told_us == 0 {
        socket.latest_rtt_us()
    } else {
        told_us
    };
    if !ask(known, peer) {
        // Somebody else has asked, or an earlier Hostler: it tells the smoothed one, as others do.
        return;
    }
    known.flags |= socket_flag::HEARD;
    let smoothed_us = socket.smoothed_rtt_us_with(rtt_us);
    count_round_trip(peer, socket, rtt_us, smoothed_us);
    take_in(known, socket, peer);
}

#[inline(always)]
fn count_round_trip(peer: &PeerRecord, socket: Socket, rtt_us: u32, smoothed_us: u32) {
    // The sum last: who sees that it stayed may skip the rest.
    record(&peer.round_trip, u64::from(rtt_us) * 1_000);
    peer.smoothed_rtt_us.store(smoothed_us);
    peer.min_rtt_us.store(socket.min_rtt_us());
    add(&peer.rtt_us, u64::from(rtt_us));
}

/// In place of round trips that a socket was not asked about.
#[inline(always)]
fn count_smoothed(peer: &PeerRecord, socket: Socket) {
    let smoothed_us = socket.smoothed_rtt_us();
    if smoothed_us > 0 {
        count_round_trip(peer, socket, smoothed_us, smoothed_us);
    }
}

/// Adds what has come to the kernel's counts for the socket, and says whether that was anything.
#[inline(always)]
fn take_in(known: &mut SocketRecord, socket: Socket, peer: &PeerRecord) -> bool {
    let mut any = false;
    macro_rules! difference {
        ($count:ident, $total:ident, $word:ty) => {
            let now: $word = socket.$count();
            if now != known.$count {
                add(&peer.$total, u64::from(now.wrapping_sub(known.$count)));
                known.$count = now;
                any = true;
            }
        };
    }
    difference!(sent_bytes, sent_bytes, u64);
    difference!(received_bytes, received_bytes, u64);
    difference!(retransmitted, retransmitted, u32);
    difference!(dropped, dropped, u32);
    any
}
