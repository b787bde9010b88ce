//! The programs that follow sockets, and their maps.

use std::{collections::BTreeSet, fs::File, io::Read as _, os::fd::AsFd};

use aya::{
    Btf,
    maps::{HashMap, LpmTrie, MapError, Stack, lpm_trie::Key},
    programs::{CgroupAttachMode, Iter, ProgramError, SockOps},
};
use hostler_common::peer::{PeerKey, PeerPool, PeerRecord};

use super::{Probes, in_full, missing, program, refusal};
use crate::ObserveError;

/// Follows the life of sockets.
pub(crate) const LIFE: &str = "inet_sock_set_state";

/// Is told of round trips.
pub(crate) const ROUND_TRIPS: &str = "tcp_round_trips";

/// Visit sockets, each with the kind of iterator that it is.
pub(crate) const VISIT: (&str, &str) = ("visit_sockets", "tcp");
pub(crate) const CLAIM: (&str, &str) = ("claim_sockets", "task_file");

/// Both of them.
pub(crate) const ITERATORS: [(&str, &str); 2] = [VISIT, CLAIM];

impl Probes {
    /// Loads the programs; nothing runs yet.
    pub(super) fn load_sockets(&mut self, btf: &Btf) -> Result<(), ObserveError> {
        let ebpf = &mut self.ebpf;
        program(ebpf, LIFE)?
            .load(LIFE, btf)
            .map_err(|error| refusal(LIFE, error))?;
        let round_trips: &mut SockOps = ebpf
            .program_mut(ROUND_TRIPS)
            .ok_or_else(|| missing(ROUND_TRIPS))?
            .try_into()
            .map_err(|error| refusal(ROUND_TRIPS, error))?;
        round_trips
            .load()
            .map_err(|error| refusal(ROUND_TRIPS, error))?;
        for (name, kind) in ITERATORS {
            self.iterator(name)?
                .load(kind, btf)
                .map_err(|error| refusal(name, error))?;
        }
        Ok(())
    }

    /// Attaches what follows sockets and is told of round trips, for all below `cgroup_root`.
    pub(crate) fn attach_sockets(&mut self, cgroup_root: &File) -> Result<(), ObserveError> {
        self.attach(&[LIFE])?;
        let round_trips: &mut SockOps = self
            .ebpf
            .program_mut(ROUND_TRIPS)
            .ok_or_else(|| missing(ROUND_TRIPS))?
            .try_into()
            .map_err(|error| refusal(ROUND_TRIPS, error))?;
        // A link, which this makes, is one of many in any case.
        round_trips
            .attach(cgroup_root.as_fd(), CgroupAttachMode::Single)
            .map_err(|error| {
                ObserveError::refused(format!("attaching {ROUND_TRIPS}"), in_full(&error))
            })?;
        Ok(())
    }

    /// Visits sockets: by [`CLAIM`] those that processes hold, by [`VISIT`] those in the network
    /// namespace of the calling thread.
    pub(crate) fn visit(&mut self, name: &str) -> Result<(), ObserveError> {
        let refused = |error: &dyn std::error::Error| ObserveError::refused(name, in_full(error));
        let iterator = self.iterator(name)?;
        let link = iterator.attach().map_err(|error| refused(&error))?;
        let link = iterator.take_link(link).map_err(|error| refused(&error))?;
        let mut visit = link.into_file().map_err(|error| refused(&error))?;
        let mut nothing = Vec::new();
        visit
            .read_to_end(&mut nothing)
            .map_err(|error| refused(&error))?;
        Ok(())
    }

    /// The records of agents and peers, by index.
    pub(crate) fn peers(&self) -> &[PeerRecord] {
        self.peers.records()
    }

    /// How many of them may be in use: those below.
    pub(crate) fn fresh_peers(&self) -> usize {
        let pool: &PeerPool = &self.peer_pool.records()[0];
        (pool.fresh.load() as usize).min(self.peers().len())
    }

    /// Says that nobody is counted in a record any more.
    pub(crate) fn forget_peer(&mut self, key: &PeerKey) {
        let key = [key.agent.slot, key.agent.generation, key.peer, key.reserved];
        let map = self.ebpf.map_mut("PEER_RECORDS");
        let map = map.expect("the object has PEER_RECORDS");
        if let Ok(mut records) = HashMap::<_, [u32; 4], u32>::try_from(map) {
            // Absence is the only way to fail, and is what is wanted.
            let _absent = records.remove(&key);
        }
    }

    /// Gives a record that nobody is counted in to whoever needs one next.
    pub(crate) fn free_peer(&mut self, index: u32) -> Result<(), MapError> {
        let map = self.ebpf.map_mut("FREE_PEERS");
        let map = map.expect("the object has FREE_PEERS");
        Stack::<_, u32>::try_from(map)?.push(index, 0)
    }

    /// Says which class a network is of.
    pub(crate) fn name_network(
        &mut self,
        (bits, network): (u32, [u8; 18]),
        class: u32,
    ) -> Result<(), MapError> {
        let class = u16::try_from(class).unwrap_or_default();
        self.networks()?.insert(&Key::new(bits, network), class, 0)
    }

    /// Takes back what was said of networks.
    pub(crate) fn forget_networks(
        &mut self,
        networks: &BTreeSet<(u32, [u8; 18])>,
    ) -> Result<(), MapError> {
        let mut map = self.networks()?;
        for &(bits, network) in networks {
            // Absence is the only way to fail, and is what is wanted.
            let _absent = map.remove(&Key::new(bits, network));
        }
        Ok(())
    }

    fn networks(&mut self) -> Result<LpmTrie<&mut aya::maps::MapData, [u8; 18], u16>, MapError> {
        self.ebpf
            .map_mut("NETWORKS")
            .expect("the object has NETWORKS")
            .try_into()
    }

    fn iterator(&mut self, name: &str) -> Result<&mut Iter, ObserveError> {
        self.ebpf
            .program_mut(name)
            .ok_or_else(|| missing(name))?
            .try_into()
            .map_err(|error: ProgramError| ObserveError::refused(name, in_full(&error)))
    }
}
