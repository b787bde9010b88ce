//! Who is at the other end of a socket, and where that is counted.

use aya_ebpf::{Global, btf_maps::lpm_trie::Key};
use hostler_common::{
    peer::{
        LAN_END_US, MAX_PEERS, NetworkKey, PeerKey, PeerRecord, SocketRecord, class, socket_flag,
    },
    slot::OTHER,
};

use super::owner::{is_held, lease_of_cgroup};
use crate::{
    counter::{add_u32, fetch_add_u32},
    maps::{FREE_PEERS, NETWORKS, PEER_POOL, PEER_RECORDS, PEERS, count_loss},
    offsets::{Socket, tcp_state},
};

/// Bits of an address and its port.
const WHOLE: u32 = 8 * size_of::<NetworkKey>() as u32;

/// 1 if the user has given names to peers, set before loading.
#[unsafe(no_mangle)]
static NAMED_PEERS: Global<u32> = Global::new(0);

/// `BPF_NOEXIST`: another CPU that was first must not be overwritten.
const ONLY_NEW: u64 = 1;

/// The record in which the socket is counted now. `None` if there was no room, which is counted.
#[inline(always)]
pub(super) fn record_of(known: &mut SocketRecord, socket: Socket) -> Option<&'static PeerRecord> {
    if !is_held(known.lease) || known.lease.slot == OTHER {
        // Its agent is gone, or was not known yet.
        let lease = lease_of_cgroup(socket.cgroup_id());
        if lease != known.lease {
            give_place_back(known);
            known.lease = lease;
            known.record = 0;
        }
    }
    if known.flags & socket_flag::PEER_KNOWN == 0 {
        known.peer = peer_of(socket);
        known.flags |= socket_flag::PEER_KNOWN;
        known.record = 0;
    }
    let is_new = known.record == 0;
    if is_new {
        known.record = index_of(&PeerKey {
            agent: known.lease,
            peer: u32::from(known.peer),
            reserved: 0,
        }) + 1;
    }
    let record = PEERS.get(known.record.wrapping_sub(1));
    if let Some(record) = record
        && is_new
        && known.flags & socket_flag::ASKED != 0
    {
        // It keeps its place, in the record in which it is counted now.
        add_u32(&record.asked, 1);
    }
    if record.is_none() {
        known.record = 0;
        known.flags &= !socket_flag::ASKED;
        count_loss!(peers_not_counted);
    }
    record
}

/// The socket is counted elsewhere from now on: in a record that is still its agent's, its place among
/// those that are asked is free.
#[inline(always)]
fn give_place_back(known: &SocketRecord) {
    if known.flags & socket_flag::ASKED == 0 {
        return;
    }
    if let Some(record) = PEERS.get(known.record.wrapping_sub(1))
        && record.taken.load() != 0
        && record.slot.load() == known.lease.slot
        && record.generation.load() == known.lease.generation
        && record.asked.load() > 0
    {
        add_u32(&record.asked, 1_u32.wrapping_neg());
    }
}

/// What the networks say too, at less cost: most sockets of a host full of agents and their tools.
#[inline(always)]
fn is_loopback(address: &[u16; 8]) -> bool {
    let [a, b, c, d, e, mapped, first, second] = *address;
    let is_low = a | b | c | d | e == 0;
    let is_ipv4 = mapped == u16::MAX && first.to_ne_bytes()[0] == 127;
    let is_ipv6 = mapped | first == 0 && second == u16::to_be(1);
    is_low && (is_ipv4 || is_ipv6)
}

/// The class of the other end of a connection that stands, or stood. Where its first packets were
/// lost there is no first round trip to tell by: it counts as far away.
#[inline(always)]
fn peer_of(socket: Socket) -> u16 {
    if socket.state() == tcp_state::LISTEN {
        return class::NOBODY as u16;
    }
    let end = socket.other_end();
    let any_port = NetworkKey { port: 0, ..end };
    if NAMED_PEERS.load() == 0 && is_loopback(&end.address) {
        return class::LOOPBACK as u16;
    }
    if NAMED_PEERS.load() != 0
        && let Some(&named) = NETWORKS.get(&Key::new(WHOLE, end))
    {
        return named;
    }
    if let Some(&network) = NETWORKS.get(&Key::new(WHOLE, any_port)) {
        return network;
    }
    match socket.smoothed_rtt_us() {
        1..LAN_END_US => class::LAN as u16,
        _ => class::WAN as u16,
    }
}

/// Index of the record of an agent and a peer, which is taken if there is none; `MAX_PEERS` if there
/// is no room.
#[inline(always)]
fn index_of(key: &PeerKey) -> u32 {
    // SAFETY: the value is copied out at once.
    if let Some(&index) = unsafe { PEER_RECORDS.get(key) } {
        return index;
    }
    let Some(index) = free_index() else {
        return MAX_PEERS;
    };
    let Some(record) = PEERS.get(index) else {
        return MAX_PEERS;
    };
    if PEER_RECORDS.insert(key, index, ONLY_NEW).is_err() {
        // Another CPU was first, or there is no memory for an entry.
        let _full = FREE_PEERS.push(index, 0);
        // SAFETY: as above.
        return unsafe { PEER_RECORDS.get(key) }
            .copied()
            .unwrap_or(MAX_PEERS);
    }
    record.slot.store(key.agent.slot);
    record.generation.store(key.agent.generation);
    record.peer.store(key.peer);
    record.taken.store(1);
    index
}

#[inline(always)]
fn free_index() -> Option<u32> {
    if let Ok(Some(used_before)) = FREE_PEERS.pop() {
        return Some(used_before);
    }
    let pool = PEER_POOL.get(0)?;
    if pool.fresh.load() >= MAX_PEERS {
        return None;
    }
    let fresh = fetch_add_u32(&pool.fresh, 1);
    (fresh < MAX_PEERS).then_some(fresh)
}
