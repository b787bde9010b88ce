//! Readings, as changes since the reading before.

use hostler_common::{
    slot::SlotLease,
    wait_event::{NAME_BYTES, WaitEvent},
};
use hostler_decide::signal::Reading;

use super::{Moment, agents, cpus, host, peers, rows::Malformed, schema, totals};

/// Single waits that a reading can hold: more than all CPUs may tell of in a minute.
const MAX_WAITS: usize = 1 << 20;

impl Moment {
    fn ledger_ahead_ns(&self) -> u64 {
        self.reading.ledger_ns.wrapping_sub(self.reading.at_ns)
    }

    fn wall_ahead_ms(&self) -> u64 {
        self.wall_ms.wrapping_sub(self.reading.at_ns / NS_A_MS)
    }
}

const NS_A_MS: u64 = 1_000_000;

/// What makes `now` of `before`.
pub(crate) fn changes(before: &Moment, now: &Moment) -> schema::Reading {
    let change = |now: u64, before: u64| now.wrapping_sub(before).cast_signed();
    let (old, new) = (&before.reading, &now.reading);
    schema::Reading {
        passed_ns: change(new.at_ns, old.at_ns),
        ledger_ahead_ns: change(now.ledger_ahead_ns(), before.ledger_ahead_ns()),
        wall_ahead_ms: change(now.wall_ahead_ms(), before.wall_ahead_ms()),
        agents: Some(agents::changes(&old.agents, &new.agents, new.at_ns)),
        cpus: Some(cpus::changes(&old.cpus, &new.cpus)),
        pairs: Some(totals::changes(&old.pairs, &new.pairs)),
        peers: Some(peers::changes(&old.peers, &new.peers)),
        wakes: Some(totals::changes(&old.wakes, &new.wakes)),
        host: new.host.as_ref().map(host::message),
        waits: new
            .waits
            .iter()
            .map(|wait| wait_message(wait, new.at_ns))
            .collect(),
        losses: Some(host::losses_message(&new.losses)),
    }
}

/// The reading that follows `before`.
pub(crate) fn apply(before: &Moment, message: schema::Reading) -> Result<Moment, Malformed> {
    let changed = |before: u64, change: i64| before.wrapping_add(change.cast_unsigned());
    let old = &before.reading;
    let at_ns = changed(old.at_ns, message.passed_ns);
    if at_ns < old.at_ns {
        return Err(Malformed::because("time goes backwards"));
    }
    if message.waits.len() > MAX_WAITS {
        return Err(Malformed::because(
            "a reading has not that many single waits",
        ));
    }
    let waits: Result<Vec<_>, _> = message
        .waits
        .iter()
        .map(|wait| event(wait, at_ns))
        .collect();
    let wall_ahead_ms = changed(before.wall_ahead_ms(), message.wall_ahead_ms);
    Ok(Moment {
        wall_ms: (at_ns / NS_A_MS).wrapping_add(wall_ahead_ms),
        reading: Reading {
            at_ns,
            ledger_ns: at_ns
                .wrapping_add(changed(before.ledger_ahead_ns(), message.ledger_ahead_ns)),
            agents: agents::apply(&old.agents, &message.agents.unwrap_or_default(), at_ns)?,
            cpus: cpus::apply(&old.cpus, &message.cpus.unwrap_or_default())?,
            pairs: totals::apply(&old.pairs, &message.pairs.unwrap_or_default())?,
            peers: peers::apply(&old.peers, &message.peers.unwrap_or_default())?,
            wakes: totals::apply(&old.wakes, &message.wakes.unwrap_or_default())?,
            host: message.host.map(host::signal).transpose()?,
            waits: waits?,
            losses: host::losses(&message.losses.unwrap_or_default()),
        },
    })
}

fn wait_message(wait: &WaitEvent, at_ns: u64) -> schema::Wait {
    schema::Wait {
        ago_ns: at_ns.wrapping_sub(wait.at_ns).cast_signed(),
        wait_ns: wait.wait_ns,
        slot: wait.waiter.slot,
        generation: wait.waiter.generation,
        waiter_tid: wait.waiter_tid,
        cause: wait.cause,
        cause_tid: wait.cause_tid,
        relation: wait.relation,
        cpu: wait.cpu,
        waiter_name: wait.waiter_name.to_vec(),
        cause_name: wait.cause_name.to_vec(),
    }
}

fn event(message: &schema::Wait, at_ns: u64) -> Result<WaitEvent, Malformed> {
    let name = |bytes: &[u8]| -> Result<[u8; NAME_BYTES], Malformed> {
        bytes
            .try_into()
            .map_err(|_| Malformed::because("a thread's name has another length"))
    };
    Ok(WaitEvent {
        at_ns: at_ns.wrapping_sub(message.ago_ns.cast_unsigned()),
        wait_ns: message.wait_ns,
        waiter: SlotLease {
            slot: message.slot,
            generation: message.generation,
        },
        waiter_tid: message.waiter_tid,
        cause: message.cause,
        cause_tid: message.cause_tid,
        relation: message.relation,
        cpu: message.cpu,
        reserved: 0,
        waiter_name: name(&message.waiter_name)?,
        cause_name: name(&message.cause_name)?,
    })
}
