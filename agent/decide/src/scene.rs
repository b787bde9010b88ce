//! The scene: what is known of a host beside its signals, so that readings can be judged and shown in
//! names. It is the same for a host that is watched and for a recording of it.

use std::sync::Arc;

use hostler_common::slot::COMMON_SLOTS;

use crate::{
    peers::class_name,
    signal::{AgentReading, Reading},
    topology::Topology,
};

/// Whether a signal is among the readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// Nobody asked for it.
    #[default]
    Unwanted,
    /// It is.
    Measured,
    /// The kernel did not allow it: why.
    Refused(String),
}

/// What is counted per CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CpuView {
    /// Nothing.
    #[default]
    Off,
    /// All threads.
    All,
    /// The threads of selected agents.
    Selected,
}

/// Which signals are among the readings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each tells of one signal")]
pub struct Signals {
    /// Bytes read and written; not every kernel counts them.
    pub block_io: bool,
    /// Processes ended because memory ran out; not every kernel tells.
    pub oom_kills: bool,
    /// Pressure, memory and the host's pools.
    pub pressure: bool,
    /// Long waits, one by one.
    pub wait_events: bool,
    /// Who wakes whom.
    pub wakes: bool,
    /// On which nodes threads run.
    pub placement: bool,
    /// How long page faults take.
    pub fault_latency: Availability,
    /// Whom sockets talk to.
    pub sockets: Availability,
    /// What is counted per CPU.
    pub cpus: CpuView,
    /// From which length on waits are laid to somebody, in ns; `None` if none are.
    pub long_wait_ns: Option<u64>,
}

/// What stays as it is while a host is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// The host's name.
    pub host: String,
    /// The kernel's release, such as `6.1.0-25-amd64`.
    pub kernel: String,
    /// How many CPUs were online.
    pub online_cpus: u32,
    /// Its shape.
    pub topology: Topology,
    /// The names that were given to peers, in the order of their classes.
    pub named_peers: Vec<String>,
    /// Which signals there are.
    pub signals: Signals,
}

/// The facts, and who held which slot last.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// What stays as it is.
    pub facts: HostFacts,
    /// When the first reading was taken, in ns of the monotonic clock.
    pub began_ns: u64,
    /// Agents in the last reading, the two accounts that belong to none not counted.
    pub known_agents: usize,
    names: Vec<Option<Arc<str>>>,
}

impl Scene {
    /// Of a host whose first reading is `beginning`.
    pub fn new(facts: HostFacts, beginning: &Reading) -> Self {
        let mut scene = Self {
            facts,
            began_ns: beginning.at_ns,
            ..Self::default()
        };
        scene.follow(beginning);
        scene
    }

    /// Takes in who is there in the reading that follows.
    pub fn follow(&mut self, reading: &Reading) {
        let common = |now: &Arc<AgentReading>| now.agent.id.slot < COMMON_SLOTS;
        self.known_agents = reading.agents.len() - reading.agents.partition_point(common);
        for now in &reading.agents {
            let slot = now.agent.id.slot as usize;
            if self.names.len() <= slot {
                self.names.resize(slot + 1, None);
            }
            let name = &mut self.names[slot];
            if !matches!(name, Some(name) if Arc::ptr_eq(name, &now.agent.name)) {
                *name = Some(Arc::clone(&now.agent.name));
            }
        }
    }

    /// The name of who holds a slot, or held it last; `None` for what is no slot.
    pub fn name_of_slot(&self, slot: u32) -> Option<&str> {
        self.names.get(slot as usize)?.as_deref()
    }

    /// The name of a class of peers.
    pub fn peer_name(&self, class: u32) -> &str {
        class_name(class, &self.facts.named_peers)
    }
}

#[cfg(test)]
mod tests {
    use hostler_common::{peer::class, slot::SlotLease};

    use super::*;
    use crate::{
        identity::Kind,
        signal::{Agent, AgentSource},
    };

    fn reading(slot: u32, generation: u32, name: &str) -> Reading {
        let agent = Agent {
            id: SlotLease { slot, generation },
            name: name.into(),
            group: "/".into(),
            kind: Kind::Agent,
            source: AgentSource::Cgroup,
            place: "/".into(),
        };
        Reading {
            agents: vec![Arc::new(AgentReading::nothing_of(Arc::new(agent)))],
            ..Reading::default()
        }
    }

    #[test]
    fn a_slot_has_the_name_of_who_held_it_last() {
        let mut scene = Scene::new(HostFacts::default(), &reading(70, 1, "first"));
        assert_eq!(scene.name_of_slot(70), Some("first"));
        scene.follow(&reading(71, 1, "another"));
        assert_eq!(scene.name_of_slot(70), Some("first"));
        scene.follow(&reading(70, 2, "second"));
        assert_eq!(scene.name_of_slot(70), Some("second"));
        assert_eq!(scene.name_of_slot(72), None);
        assert_eq!(scene.name_of_slot(u32::MAX), None);
    }

    #[test]
    fn peers_have_their_own_names_and_those_that_were_given() {
        let facts = HostFacts {
            named_peers: vec!["model".to_owned()],
            ..HostFacts::default()
        };
        let scene = Scene::new(facts, &Reading::default());
        assert_eq!(scene.peer_name(class::LAN), "lan");
        assert_eq!(scene.peer_name(class::FIRST_NAMED), "model");
        assert_eq!(scene.peer_name(class::FIRST_NAMED + 1), "unknown");
    }
}
