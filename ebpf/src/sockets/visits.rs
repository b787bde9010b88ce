//! Visits of all sockets, as iterators of the kernel's: at start, for those that are older than the
//! probes, and from time to time, for what was counted of those that only receive.
//!
//! aya-ebpf has no word for iterators, but its loader knows them by the name of their section.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_SOCK_OPS_RTT_CB_FLAG,
    helpers::generated::{bpf_setsockopt, bpf_sock_from_file},
};
use hostler_common::peer::{PeerRecord, SocketRecord, socket_flag};

use super::{
    ask, ask_no_more, count_smoothed,
    owner::{lease_of_cgroup, lease_of_process},
    peers::record_of,
    take_in,
};
use crate::{
    counter::add,
    maps::{SOCKETS, count_loss},
    offsets::{Socket, Task, tcp_state},
};

/// `IPPROTO_TCP`.
const TCP_LEVEL: i32 = 6;

/// The option of that name in the kernel's `bpf.h`, new in Linux 6.12.
const TCP_BPF_SOCK_OPS_CB_FLAGS: i32 = 1008;

/// The words of an iterator's context.
const SOCKET: usize = 1;
const TASK: usize = 1;
const FILE: usize = 3;

#[inline(always)]
fn word(ctx: *mut c_void, index: usize) -> *const c_void {
    // SAFETY: the verifier knows the context of each kind of iterator, and refuses other words.
    unsafe { ctx.cast::<*const c_void>().add(index).read_volatile() }
}

/// Visits each file of each process in all network namespaces: a socket that is not known is its
/// process's.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
pub(crate) extern "C" fn claim_sockets(ctx: *mut c_void) -> i32 {
    let (task, file) = (word(ctx, TASK), word(ctx, FILE));
    if task.is_null() || file.is_null() {
        return 0;
    }
    // SAFETY: the verifier checks that it is a file; the helper looks whether it is a socket.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        return 0;
    }
    let Some(socket) = Socket::from_socket(socket.cast()) else {
        return 0;
    };
    if SOCKETS.get(socket).is_some() {
        return 0;
    }
    let mut first = as_it_is(socket);
    first.lease = lease_of_process(Task::new(task));
    if SOCKETS.get_or_create(socket, &mut first).is_none() {
        count_loss!(sockets_without_record);
    }
    0
}

/// Visits each TCP socket of one network namespace, and holds its lock.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
pub(crate) extern "C" fn visit_sockets(ctx: *mut c_void) -> i32 {
    let Some(socket) = Socket::from_sock(word(ctx, SOCKET)) else {
        return 0;
    };
    let mut first = as_it_is(socket);
    let Some(known) = SOCKETS.get_or_create(socket, &mut first) else {
        count_loss!(sockets_without_record);
        return 0;
    };
    let state = socket.state();
    if state == tcp_state::SYN_SENT || state == tcp_state::CLOSE {
        return 0;
    }
    let is_new = state != tcp_state::LISTEN && known.flags & socket_flag::OPEN == 0;
    if is_new {
        known.flags |= socket_flag::OPEN;
    }
    let Some(peer) = record_of(known, socket) else {
        return 0;
    };
    if is_new {
        add(&peer.adopted, 1);
    }
    let sent_bytes = known.sent_bytes;
    let any = take_in(known, socket, peer);
    let was_asked = known.flags & socket_flag::ASKED != 0;
    if !was_asked && any {
        count_smoothed(peer, socket);
    }
    if state != tcp_state::LISTEN {
        // Who only receives measures no round trip.
        let talks = is_new || known.sent_bytes != sent_bytes;
        take_turns(known, socket, peer, talks);
    }
    0
}

/// A socket that has not told of anything since the last visit makes room for one that talks. Before
/// Linux 6.12 it goes on to tell if it has something to tell, and takes a place again if there is one.
#[inline(always)]
fn take_turns(known: &mut SocketRecord, socket: Socket, peer: &PeerRecord, talks: bool) {
    let was_asked = known.flags & socket_flag::ASKED != 0;
    let was_heard = known.flags & socket_flag::HEARD != 0;
    known.flags &= !socket_flag::HEARD;
    if was_asked && !was_heard {
        ask_no_more(known, peer);
        if known.flags & socket_flag::FOR_OTHERS == 0 {
            let _not_before_linux_6_12 = tells_of_round_trips(socket, false);
        }
    } else if !was_asked && talks && ask(known, peer) {
        if socket.callback_flags() & BPF_SOCK_OPS_RTT_CB_FLAG != 0 {
            known.flags |= socket_flag::FOR_OTHERS;
        } else if !tells_of_round_trips(socket, true) {
            ask_no_more(known, peer);
        }
    }
}

/// What is known of a socket that is older than the probes: what it did until now does not count.
#[inline(always)]
fn as_it_is(socket: Socket) -> SocketRecord {
    SocketRecord {
        lease: lease_of_cgroup(socket.cgroup_id()),
        sent_bytes: socket.sent_bytes(),
        received_bytes: socket.received_bytes(),
        retransmitted: socket.retransmitted(),
        dropped: socket.dropped(),
        ..SocketRecord::default()
    }
}

/// Asks the kernel to tell of the socket's round trips or not to, which it allows here from Linux 6.12
/// on.
#[inline(always)]
fn tells_of_round_trips(socket: Socket, wanted: bool) -> bool {
    let others = socket.callback_flags() & !BPF_SOCK_OPS_RTT_CB_FLAG;
    let mut flags = if wanted {
        others | BPF_SOCK_OPS_RTT_CB_FLAG
    } else {
        others
    };
    // SAFETY: the verifier checks that it is a socket, and how large the value is.
    let result = unsafe {
        bpf_setsockopt(
            socket.as_ptr(),
            TCP_LEVEL,
            TCP_BPF_SOCK_OPS_CB_FLAGS,
            (&raw mut flags).cast(),
            size_of::<u32>() as i32,
        )
    };
    result == 0
}
