//! Who is at the other end of a socket, and where that is counted.

use aya_ebpf::btf_maps::lpm_trie::Key;
use hostler_common::{
    peer::{
        LAN_END_US, MAX_PEERS, NetworkKey, PeerKey, PeerRecord, SocketRecord, class, socket_flag,
    },
    slot::OTHER,
};

use super::owner::{is_held, lease_of_cgroup};
use crate::{
    counter::fetch_add_u32,
    maps::{FREE_PEERS, NETWORKS, PEER_POOL, PEER_RECORDS, PEERS, count_loss},
    offsets::{Socket, tcp_state},
};

/// Bits of an address and its port.
const WHOLE: u32 = 8 * size_of::<NetworkKey>() as u32;

/// `BPF_NOEXIST`: another CPU that was first must not be overwritten.
const ONLY_NEW: u64 = 1;

/// The record in which the socket is counted now. `None` if there was no room, which is counted.
#[inline(always)]
pub(super) fn record_of(known: &mut SocketRecord, socket: Socket) -> Option<&'static PeerRecord> {
    if !is_held(known.lease) || known.lease.slot == OTHER {
        // Its agent is gone, or was not known yet.
        let lease = lease_of_cgroup(socket.cgroup_id());
        if lease != known.lease {
            known.lease = lease;
            known.record = 0;
        }
    }
    if known.flags & socket_flag::PEER_KNOWN == 0 {
        if let Some(peer) = peer_of(socket) {
            known.peer = peer;
            known.flags |= socket_flag::PEER_KNOWN;
        }
        known.record = 0;
    }
    if known.record == 0 {
        known.record = index_of(&PeerKey {
            agent: known.lease,
            peer: u32::from(known.peer),
            reserved: 0,
        }) + 1;
    }
    let record = PEERS.get(known.record.wrapping_sub(1));
    if record.is_none() {
        known.record = 0;
        count_loss!(peers_not_counted);
    }
    record
}

/// The class of the other end; `None` as long as there was no round trip that would tell.
#[inline(always)]
fn peer_of(socket: Socket) -> Option<u16> {
    if socket.state() == tcp_state::LISTEN {
        return Some(class::NOBODY as u16);
    }
    let end = socket.other_end();
    let any_port = NetworkKey { port: 0, ..end };
    if let Some(&named) = NETWORKS.get(&Key::new(WHOLE, end)) {
        return Some(named);
    }
    if let Some(&network) = NETWORKS.get(&Key::new(WHOLE, any_port)) {
        return Some(network);
    }
    match socket.smoothed_rtt_us() {
        0 => None,
        1..LAN_END_US => Some(class::LAN as u16),
        _ => Some(class::WAN as u16),
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
