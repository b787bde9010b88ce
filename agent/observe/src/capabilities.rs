//! What this process may do, beyond what any may: as little as there is to do.
//!
//! Capabilities belong to threads, and a new thread has those of the one that starts it. So a process gives
//! up at its beginning what it never needs ([`Capabilities::begin`]), threads that serve or wait give up all
//! ([`give_up_all`]), and the one that measures raises what only loading needs for as long as it loads.

use caps::{CapSet, Capability, CapsHashSet};

pub use caps::errors::CapsError;

/// What reading a host at each tick needs.
const MEASURING: [Capability; 5] = [
    // Maps are read and written.
    Capability::CAP_BPF,
    // Sockets of other network namespaces are visited, and the kernel's statistics are turned on.
    Capability::CAP_SYS_ADMIN,
    // The kernel tells at once of pressure.
    Capability::CAP_SYS_RESOURCE,
    // What processes run, and where their memory lies, also of other users'.
    Capability::CAP_SYS_PTRACE,
    Capability::CAP_DAC_READ_SEARCH,
];

/// What loading programs, and listening, need beside that.
const LOADING: [Capability; 4] = [
    Capability::CAP_PERFMON,
    // Programs that follow sockets.
    Capability::CAP_NET_ADMIN,
    // The control socket may be a group's.
    Capability::CAP_CHOWN,
    // Metrics may be served at a port below 1,024.
    Capability::CAP_NET_BIND_SERVICE,
];

/// What changing a host needs, which the one thread does that acts.
const ACTING: [Capability; 3] = [
    // Threads of other users are given CPUs, and their memory another node.
    Capability::CAP_SYS_NICE,
    Capability::CAP_SYS_PTRACE,
    // Which pages are there is in a file of whoever runs the process.
    Capability::CAP_DAC_READ_SEARCH,
];

/// What this thread holds.
#[derive(Debug)]
pub struct Capabilities {
    loading: CapsHashSet,
    measuring: CapsHashSet,
}

impl Capabilities {
    /// Gives up for good what is never needed, in this thread and all that it starts, and holds what loading
    /// needs, as far as it was there. What acting needs can still be taken up by a thread that this one starts
    /// before [`Capabilities::give_up_acting`].
    pub fn begin() -> Result<Self, CapsError> {
        let permitted = caps::read(None, CapSet::Permitted)?;
        let there = |wanted: &Capability| permitted.contains(wanted);
        let measuring: CapsHashSet = MEASURING.into_iter().filter(there).collect();
        let loading: CapsHashSet = LOADING
            .into_iter()
            .filter(there)
            .chain(measuring.iter().copied())
            .collect();
        if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
            for capability in caps::read(None, CapSet::Bounding)?.difference(&loading) {
                caps::drop(None, CapSet::Bounding, *capability)?;
            }
        }
        caps::clear(None, CapSet::Ambient)?;
        caps::clear(None, CapSet::Inheritable)?;
        caps::set(None, CapSet::Effective, &loading)?;
        let acting = ACTING.into_iter().filter(there);
        let held = acting.chain(loading.iter().copied()).collect();
        caps::set(None, CapSet::Permitted, &held)?;
        Ok(Self { loading, measuring })
    }

    /// From here on no thread that this one starts can act.
    pub fn give_up_acting(&self) -> Result<(), CapsError> {
        caps::set(None, CapSet::Permitted, &self.loading)
    }

    /// Programs are about to be loaded, or something is about to be listened at.
    pub fn for_loading(&self) -> Result<(), CapsError> {
        caps::set(None, CapSet::Effective, &self.loading)
    }

    /// The host is read from now on.
    pub fn for_measuring(&self) -> Result<(), CapsError> {
        caps::set(None, CapSet::Effective, &self.measuring)
    }

    /// Their names, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.loading.iter().map(ToString::to_string).collect();
        names.sort();
        names
    }
}

/// Keeps what acting needs, as far as it is there, and gives up all else.
pub fn keep_for_acting() -> Result<(), CapsError> {
    let permitted = caps::read(None, CapSet::Permitted)?;
    let kept = ACTING
        .into_iter()
        .filter(|wanted| permitted.contains(wanted));
    let kept = kept.collect();
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)
}

/// Gives up all of them, in this thread and all that it starts.
pub fn give_up_all() {
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        if let Err(error) = caps::clear(None, set) {
            tracing::warn!(%error, ?set, "a thread keeps capabilities that it does not need");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the unit gives the daemon is what it needs, and no more.
    #[test]
    fn the_unit_gives_what_is_needed_and_no_more() {
        let unit = include_str!("../../daemon/hostler.service");
        let lines = unit.lines();
        let sets = lines.filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
        let mut given: Vec<&str> = sets.flat_map(str::split_whitespace).collect();
        given.sort_unstable();
        let needed = MEASURING.iter().chain(&LOADING).chain(&ACTING);
        let mut needed: Vec<String> = needed.map(ToString::to_string).collect();
        needed.sort_unstable();
        needed.dedup();
        assert_eq!(given, needed);
    }
}
