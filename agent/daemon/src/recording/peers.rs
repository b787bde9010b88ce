//! Peers: what agents and those that they talk to had to do with each other.

use std::sync::Arc;

use hostler_common::{
    peer::{MAX_PEERS, PeerKey},
    slot::SlotLease,
};
use hostler_decide::peers::{PeerCounts, PeerSignal};

use super::{
    columns::{HistogramsIn, HistogramsOut, Numbers, transposed},
    rows::{Gaps, Malformed, Step, follow, rows_of, steps},
    schema,
};

type Row = (PeerKey, Arc<PeerSignal>);

/// Numbers of an agent and a peer.
const NUMBERS: usize = 12;

fn numbers(signal: &PeerSignal) -> [u64; NUMBERS] {
    let counts = &signal.counts;
    [
        counts.rtt_us,
        counts.sent_bytes,
        counts.received_bytes,
        counts.retransmitted,
        counts.dropped,
        counts.connected,
        counts.not_connected,
        counts.accepted,
        counts.adopted,
        counts.closed,
        signal.smoothed_rtt_us.into(),
        signal.min_rtt_us.into(),
    ]
}

fn set_numbers(signal: &mut PeerSignal, numbers: [u64; NUMBERS]) -> Result<(), Malformed> {
    let [
        rtt_us,
        sent_bytes,
        received_bytes,
        retransmitted,
        dropped,
        connected,
        not_connected,
        accepted,
        adopted,
        closed,
        smoothed_rtt_us,
        min_rtt_us,
    ] = numbers;
    signal.counts = PeerCounts {
        rtt_us,
        sent_bytes,
        received_bytes,
        retransmitted,
        dropped,
        connected,
        not_connected,
        accepted,
        adopted,
        closed,
    };
    let narrow = |number: u64| {
        u32::try_from(number).map_err(|_| Malformed::because("a round trip has no such length"))
    };
    signal.smoothed_rtt_us = narrow(smoothed_rtt_us)?;
    signal.min_rtt_us = narrow(min_rtt_us)?;
    Ok(())
}

/// What makes `now` of `before`.
pub(super) fn changes(before: &[Row], now: &[Row]) -> schema::Peers {
    let mut message = schema::Peers::default();
    let (mut gone, mut changed) = <(Gaps, Gaps)>::default();
    let (mut round_trip, mut connect) = <(HistogramsOut, HistogramsOut)>::default();
    let mut rows = Vec::new();
    let nothing = Arc::default();
    for step in steps(before, now, |(key, _)| *key) {
        let (row, old, new) = match step {
            Step::Gone(row) => {
                gone.push(row);
                continue;
            }
            Step::Stayed(row, (_, old), (_, new)) => (row, old, new),
            Step::Came(row, (key, new)) => {
                message.came_slot.push(key.agent.slot);
                message.came_generation.push(key.agent.generation);
                message.came_peer.push(key.peer);
                (row, &nothing, new)
            }
        };
        if old == new {
            continue;
        }
        changed.push(row);
        rows.push((numbers(old), numbers(new)));
        let (before, now) = (&old.histograms, &new.histograms);
        round_trip.push(&before.round_trip, &now.round_trip);
        connect.push(&before.connect, &now.connect);
    }
    schema::Peers {
        gone: gone.gaps,
        changed: changed.gaps,
        numbers: transposed(rows.into_iter()),
        round_trip: round_trip.into(),
        connect: connect.into(),
        ..message
    }
}

/// The table that follows `before`.
pub(super) fn apply(before: &[Row], message: &schema::Peers) -> Result<Vec<Row>, Malformed> {
    let mut now = follow(
        before,
        &message.gone,
        came(message)?,
        2 * MAX_PEERS as usize,
        |(key, _)| *key,
    )?;
    let changed = rows_of(&message.changed, now.len())?;
    let columns = Numbers::of(&message.numbers, changed.len())?;
    let mut round_trip = HistogramsIn::of(message.round_trip.as_ref(), changed.len())?;
    let mut connect = HistogramsIn::of(message.connect.as_ref(), changed.len())?;
    for (number, row) in changed.into_iter().enumerate() {
        let signal = Arc::make_mut(&mut now[row].1);
        let numbers = columns.row(number, numbers(signal));
        set_numbers(signal, numbers)?;
        let histograms = Arc::make_mut(&mut signal.histograms);
        round_trip.apply(&mut histograms.round_trip);
        connect.apply(&mut histograms.connect);
    }
    Ok(now)
}

fn came(message: &schema::Peers) -> Result<Vec<Row>, Malformed> {
    let rows = message.came_slot.len();
    if message.came_generation.len() != rows || message.came_peer.len() != rows {
        return Err(Malformed::because("the keys of new peers are uneven"));
    }
    let key = |row: usize| PeerKey {
        agent: SlotLease {
            slot: message.came_slot[row],
            generation: message.came_generation[row],
        },
        peer: message.came_peer[row],
        reserved: 0,
    };
    Ok((0..rows).map(|row| (key(row), Arc::default())).collect())
}
