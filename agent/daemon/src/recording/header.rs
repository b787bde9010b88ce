//! What stays as it is: a recording's first message.

use hostler_common::{
    histogram::{BUCKETS, BUCKETS_PER_OCTAVE},
    ledger::{STATES, UNIT_NS},
};
use hostler_decide::{
    scene::{Availability, CpuView, HostFacts, Signals},
    topology::{CpuPlace, Node, Topology},
};

use super::{Damage, schema};

fn own_sizes() -> schema::Sizes {
    schema::Sizes {
        ledger_states: u32::try_from(STATES).expect("few"),
        ledger_unit_ns: UNIT_NS,
        buckets: u32::try_from(BUCKETS).expect("few"),
        buckets_per_octave: u32::try_from(BUCKETS_PER_OCTAVE).expect("few"),
    }
}

/// Refuses records of other sizes: numbers would be taken for what they are not.
pub(crate) fn check_sizes(header: &schema::Header) -> Result<(), Damage> {
    let theirs = header.sizes.unwrap_or_default();
    let ours = own_sizes();
    let sizes = [
        (
            "states of a ledger",
            theirs.ledger_states.into(),
            ours.ledger_states.into(),
        ),
        (
            "ns in a ledger's unit",
            theirs.ledger_unit_ns,
            ours.ledger_unit_ns,
        ),
        (
            "buckets of a histogram",
            theirs.buckets.into(),
            ours.buckets.into(),
        ),
        (
            "buckets in an octave",
            theirs.buckets_per_octave.into(),
            ours.buckets_per_octave.into(),
        ),
    ];
    match sizes.into_iter().find(|(_, theirs, ours)| theirs != ours) {
        None => Ok(()),
        Some((what, theirs, ours)) => Err(Damage::ForeignSize { what, theirs, ours }),
    }
}

pub(crate) fn message(facts: &HostFacts) -> schema::Header {
    let signals = &facts.signals;
    let cpus = match signals.cpus {
        CpuView::Off => schema::CpuView::Off,
        CpuView::All => schema::CpuView::All,
        CpuView::Selected => schema::CpuView::Selected,
    };
    schema::Header {
        sizes: Some(own_sizes()),
        written_by: env!("CARGO_PKG_VERSION").to_owned(),
        host: facts.host.clone(),
        kernel: facts.kernel.clone(),
        online_cpus: facts.online_cpus,
        topology: Some(topology_message(&facts.topology)),
        named_peers: facts.named_peers.clone(),
        signals: Some(schema::Signals {
            block_io: signals.block_io,
            oom_kills: signals.oom_kills,
            pressure: signals.pressure,
            wait_events: signals.wait_events,
            wakes: signals.wakes,
            placement: signals.placement,
            fault_latency: Some(availability_message(&signals.fault_latency)),
            sockets: Some(availability_message(&signals.sockets)),
            cpus: cpus.into(),
            long_wait_ns: signals.long_wait_ns,
        }),
    }
}

pub(crate) fn facts(header: schema::Header) -> HostFacts {
    let signals = header.signals.unwrap_or_default();
    HostFacts {
        host: header.host,
        kernel: header.kernel,
        online_cpus: header.online_cpus,
        topology: topology(header.topology.unwrap_or_default()),
        named_peers: header.named_peers,
        signals: Signals {
            block_io: signals.block_io,
            oom_kills: signals.oom_kills,
            pressure: signals.pressure,
            wait_events: signals.wait_events,
            wakes: signals.wakes,
            placement: signals.placement,
            cpus: match signals.cpus() {
                schema::CpuView::Off => CpuView::Off,
                schema::CpuView::All => CpuView::All,
                schema::CpuView::Selected => CpuView::Selected,
            },
            long_wait_ns: signals.long_wait_ns,
            fault_latency: availability(signals.fault_latency),
            sockets: availability(signals.sockets),
        },
    }
}

fn topology_message(topology: &Topology) -> schema::Topology {
    let cpus = topology.cpus.iter().map(|(&number, place)| schema::Cpu {
        number,
        package: place.package,
        l3: place.l3,
        core: place.core,
        node: place.node,
    });
    let distance = |(&node, &distance): (&u32, &u64)| schema::Distance { node, distance };
    let nodes = topology.nodes.iter().map(|(&number, node)| schema::Node {
        number,
        memory_bytes: node.memory_bytes,
        distances: node.distances.iter().map(distance).collect(),
    });
    schema::Topology {
        cpus: cpus.collect(),
        nodes: nodes.collect(),
        l3_bytes: topology.l3_bytes.clone(),
    }
}

fn topology(message: schema::Topology) -> Topology {
    let place = |cpu: schema::Cpu| {
        let place = CpuPlace {
            package: cpu.package,
            l3: cpu.l3,
            core: cpu.core,
            node: cpu.node,
        };
        (cpu.number, place)
    };
    let node = |node: schema::Node| {
        let distances = node.distances.iter().map(|end| (end.node, end.distance));
        let described = Node {
            memory_bytes: node.memory_bytes,
            distances: distances.collect(),
        };
        (node.number, described)
    };
    Topology {
        cpus: message.cpus.into_iter().map(place).collect(),
        nodes: message.nodes.into_iter().map(node).collect(),
        l3_bytes: message.l3_bytes,
    }
}

fn availability_message(availability: &Availability) -> schema::Availability {
    schema::Availability {
        measured: *availability == Availability::Measured,
        refused: match availability {
            Availability::Refused(reason) => reason.clone(),
            Availability::Unwanted | Availability::Measured => String::new(),
        },
    }
}

fn availability(message: Option<schema::Availability>) -> Availability {
    let message = message.unwrap_or_default();
    match (message.measured, message.refused) {
        (true, _) => Availability::Measured,
        (false, reason) if reason.is_empty() => Availability::Unwanted,
        (false, reason) => Availability::Refused(reason),
    }
}
