//! Sockets: finds those that are there, keeps in step with namespaces and addresses, and reads who
//! they talk to.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    sync::Arc,
};

use hostler_common::{
    peer::{PeerKey, PeerRecord},
    slot::SlotLease,
};
use hostler_decide::{
    peers::{PeerCounts, PeerHistograms, PeerSignal},
    scene::Availability,
};

use super::Observer;
use crate::{
    ObserveError,
    clock::now_ns,
    probes::sockets::{CLAIM, VISIT},
    reading::{buckets, clear_histogram},
    sockets::{
        namespaces::{self, NamespaceId, Namespaces},
        networks::{self, NamedPeer},
    },
};

/// After so many visits of Hostler's own namespace, ten minutes, places that were lost are free.
const VISITS_OF_A_PLACE: u64 = 60;

/// What is known of sockets.
#[derive(Default)]
pub(super) struct Sockets {
    /// Who the user has named.
    named: Vec<NamedPeer>,
    namespaces: Namespaces,
    /// What the kernel side was told of networks.
    told: BTreeMap<(u32, [u8; 18]), u32>,
    /// What was last read of each record: while the counts stay, so does all else.
    last: Vec<Arc<PeerSignal>>,
    /// Records that nobody is counted in any more, to be cleared at the next reading.
    resting: Vec<u32>,
    visited_ns: u64,
    /// Visits of Hostler's own namespace.
    own_visits: u64,
}

impl Sockets {
    pub(super) fn new(named: Vec<NamedPeer>) -> Self {
        Self {
            named,
            ..Self::default()
        }
    }
}

impl Observer {
    /// Begins to follow sockets, those that are there already included. What this kernel does not
    /// allow is told by [`Observer::sockets`].
    pub(super) fn start_sockets(&mut self) {
        if !matches!(self.probes.sockets(), Availability::Measured) {
            return;
        }
        if let Err(error) = self.try_start_sockets() {
            tracing::warn!(%error, "sockets are not followed");
            self.probes.give_sockets_up(error.to_string());
        }
    }

    fn try_start_sockets(&mut self) -> Result<(), ObserveError> {
        let root = self.hierarchy.root();
        let folder = File::open(root).map_err(|error| ObserveError::read(root, error))?;
        let now_ns = now_ns();
        self.sockets.namespaces.list(now_ns);
        let own = networks::own_addresses().unwrap_or_default();
        self.sockets.namespaces.note(0, own);
        for (id, process) in self.sockets.namespaces.all() {
            self.visit_namespace(id, process, false);
        }
        self.tell_networks();
        self.probes.attach_sockets(&folder)?;
        self.probes.visit(CLAIM.0)?;
        self.probes.visit(VISIT.0)?;
        self.sockets.namespaces.own_is_due(now_ns);
        self.sockets.visited_ns = now_ns;
        for (id, process) in self.sockets.namespaces.all() {
            self.visit_namespace(id, process, true);
        }
        Ok(())
    }

    /// Whether sockets are followed, and if not, why not.
    pub fn sockets(&self) -> &Availability {
        self.probes.sockets()
    }

    /// Connections that stand, of those that are followed.
    pub(crate) fn open_connections(&self) -> u64 {
        let counts = self.sockets.last.iter().map(|last| last.counts.open());
        counts.sum()
    }

    /// Visits the sockets of whichever namespaces are due.
    pub(super) fn visit_sockets(&mut self, now_ns: u64) {
        if !matches!(self.probes.sockets(), Availability::Measured) {
            return;
        }
        if self.sockets.namespaces.own_is_due(now_ns) {
            let own = networks::own_addresses().unwrap_or_default();
            self.sockets.namespaces.note(0, own);
            self.forget_lost_places();
            if let Err(error) = self.probes.visit(VISIT.0) {
                tracing::warn!(%error, "sockets could not be visited");
            }
        }
        self.sockets.namespaces.list(now_ns);
        let passed_ns = now_ns.saturating_sub(self.sockets.visited_ns);
        self.sockets.visited_ns = now_ns;
        for (id, process) in self.sockets.namespaces.due(passed_ns) {
            self.visit_namespace(id, process, true);
        }
        self.tell_networks();
    }

    /// The end of a socket may go unseen, and with it its place among those that are asked: now and
    /// then all places are free. Those that are asked stay so until they are silent.
    fn forget_lost_places(&mut self) {
        self.sockets.own_visits += 1;
        if !self.sockets.own_visits.is_multiple_of(VISITS_OF_A_PLACE) {
            return;
        }
        let fresh = self.probes.fresh_peers();
        for record in &self.probes.peers()[..fresh] {
            record.asked.store(0);
        }
    }

    fn visit_namespace(&mut self, id: NamespaceId, process: u32, sockets: bool) {
        let probes = &mut self.probes;
        let visited = namespaces::visit(id, process, || {
            if sockets {
                probes.visit(VISIT.0)
            } else {
                Ok(())
            }
        });
        match visited {
            Ok((outcome, addresses)) => {
                self.sockets.namespaces.note(id, addresses);
                if let Err(error) = outcome {
                    tracing::warn!(namespace = id, %error, "sockets could not be visited");
                }
            }
            // Its process may have ended; if others are left in it, the next listing finds them.
            Err(error) => {
                tracing::debug!(namespace = id, %error, "a network namespace was not visited");
            }
        }
    }

    /// Tells the kernel side what has changed of who is who by address.
    fn tell_networks(&mut self) {
        let own = self.sockets.namespaces.addresses();
        let now: BTreeMap<_, _> = networks::classes(&self.sockets.named, &own)
            .iter()
            .map(|(network, &class)| (networks::key(network), class))
            .collect();
        if now == self.sockets.told {
            return;
        }
        let gone = self
            .sockets
            .told
            .keys()
            .filter(|key| !now.contains_key(*key));
        let mut outcome = self.probes.forget_networks(&gone.copied().collect());
        for (&key, &class) in &now {
            if self.sockets.told.get(&key) != Some(&class) {
                outcome = outcome.and_then(|()| self.probes.name_network(key, class));
            }
        }
        if let Err(error) = outcome {
            tracing::warn!(%error, "some addresses are not known as the host's or by their names");
        }
        self.sockets.told = now;
    }

    /// Who sockets talk to, ordered by key.
    pub(super) fn read_peers(&mut self) -> Vec<(PeerKey, Arc<PeerSignal>)> {
        let fresh = self.probes.fresh_peers();
        self.sockets.last.resize_with(fresh, Arc::default);
        let records = self.probes.peers().iter().zip(&mut self.sockets.last);
        let mut peers: Vec<_> = records
            .filter(|(record, _)| record.taken.load() != 0)
            .map(|(record, last)| (key_of(record), Arc::clone(refresh(record, last))))
            .collect();
        peers.sort_unstable_by_key(|(key, _)| *key);
        peers
    }

    /// Takes the records of slots that have rested away from them; they are cleared at the next
    /// call, when nobody can be writing to them any more.
    pub(super) fn recycle_peers(&mut self, slots: &BTreeSet<u32>) {
        for index in std::mem::take(&mut self.sockets.resting) {
            let record = self.probes.peers().get(index as usize);
            record.into_iter().for_each(clear);
            if let Some(last) = self.sockets.last.get_mut(index as usize) {
                *last = Arc::default();
            }
            if let Err(error) = self.probes.free_peer(index) {
                tracing::warn!(index, %error, "a record of peers is lost until the next start");
            }
        }
        if slots.is_empty() {
            return;
        }
        for index in 0..self.probes.fresh_peers() {
            let record = &self.probes.peers()[index];
            let key = key_of(record);
            if record.taken.load() == 0 || !slots.contains(&key.agent.slot) {
                continue;
            }
            record.taken.store(0);
            self.probes.forget_peer(&key);
            let index = u32::try_from(index).expect("there are fewer records than that");
            self.sockets.resting.push(index);
        }
    }
}

fn key_of(record: &PeerRecord) -> PeerKey {
    PeerKey {
        agent: SlotLease {
            slot: record.slot.load(),
            generation: record.generation.load(),
        },
        peer: record.peer.load(),
        reserved: 0,
    }
}

/// The kernel side counts in a histogram before anything else shows it: counts that are read before
/// the histograms are never ahead of them.
fn refresh<'a>(record: &PeerRecord, last: &'a mut Arc<PeerSignal>) -> &'a Arc<PeerSignal> {
    let counts = PeerCounts {
        rtt_us: record.rtt_us.load(),
        sent_bytes: record.sent_bytes.load(),
        received_bytes: record.received_bytes.load(),
        retransmitted: record.retransmitted.load(),
        dropped: record.dropped.load(),
        connected: record.connected.load(),
        not_connected: record.not_connected.load(),
        accepted: record.accepted.load(),
        adopted: record.adopted.load(),
        closed: record.closed.load(),
    };
    if counts != last.counts {
        *last = Arc::new(PeerSignal {
            counts,
            smoothed_rtt_us: record.smoothed_rtt_us.load(),
            min_rtt_us: record.min_rtt_us.load(),
            histograms: Arc::new(PeerHistograms {
                round_trip: buckets(&record.round_trip),
                connect: buckets(&record.connect),
            }),
        });
    }
    last
}

fn clear(record: &PeerRecord) {
    for count in [
        &record.rtt_us,
        &record.sent_bytes,
        &record.received_bytes,
        &record.retransmitted,
        &record.dropped,
        &record.connected,
        &record.not_connected,
        &record.accepted,
        &record.adopted,
        &record.closed,
    ] {
        count.store(0);
    }
    record.asked.store(0);
    record.smoothed_rtt_us.store(0);
    record.min_rtt_us.store(0);
    clear_histogram(&record.round_trip);
    clear_histogram(&record.connect);
}
