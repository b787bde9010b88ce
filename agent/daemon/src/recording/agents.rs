//! Agents: who is there, and what came to their counts.

mod columns;

use std::sync::Arc;

use hostler_common::slot::{SLOTS, SlotLease};
use hostler_decide::{
    identity::Kind,
    signal::{Agent, AgentReading, AgentSource},
};

use self::columns::{Columns, ColumnsIn, up_to_the_last};
use super::{
    columns::{Numbers, transposed},
    node_memory, polled,
    rows::{Gaps, Malformed, Step, follow, rows_of, steps},
    schema,
};

/// Agents that a reading can tell of: each slot's, and those whose slot rests.
const MAX_AGENTS: usize = 2 * SLOTS as usize;

/// The longest name, group or place: a path, as Linux has it.
const MAX_TEXT_BYTES: usize = 4096;

fn key(reading: &Arc<AgentReading>) -> SlotLease {
    reading.agent.id
}

/// What makes `now` of `before`, where `now` was read at `at_ns`.
pub(super) fn changes(
    before: &[Arc<AgentReading>],
    now: &[Arc<AgentReading>],
    at_ns: u64,
) -> schema::Agents {
    let (mut gone, mut changed, mut polled, mut looked_at) = <(Gaps, Gaps, Gaps, Gaps)>::default();
    let mut came = Vec::new();
    let mut columns = Columns::default();
    let (mut polls, mut looks) = (Vec::new(), Vec::new());
    for step in steps(before, now, key) {
        let nothing;
        let (row, old, new) = match step {
            Step::Gone(row) => {
                gone.push(row);
                continue;
            }
            Step::Stayed(_, old, new) if Arc::ptr_eq(old, new) => continue,
            Step::Stayed(row, old, new) => {
                if old.agent != new.agent {
                    came.push(described(&new.agent));
                }
                (row, old, new)
            }
            Step::Came(row, new) => {
                came.push(described(&new.agent));
                nothing = Arc::new(AgentReading::nothing_of(Arc::clone(&new.agent)));
                (row, &nothing, new)
            }
        };
        if did_something(old, new) {
            changed.push(row);
            columns.push(old, new);
        }
        if old.node_memory != new.node_memory {
            looked_at.push(row);
            let age_ns = new
                .node_memory
                .as_ref()
                .map_or(0, |memory| at_ns.wrapping_sub(memory.at_ns));
            looks.push((
                node_memory::numbers(old.node_memory.as_deref(), 0),
                node_memory::numbers(new.node_memory.as_deref(), age_ns),
            ));
        }
        if old.polled != new.polled {
            polled.push(row);
            polls.push(polled::numbers(
                old.polled.as_deref(),
                new.polled.as_deref(),
                at_ns,
            ));
        }
    }
    schema::Agents {
        looked_at: looked_at.gaps,
        node_memory: up_to_the_last(transposed(looks.into_iter())),
        gone: gone.gaps,
        came,
        changed: changed.gaps,
        polled: polled.gaps,
        polled_numbers: transposed(polls.into_iter()),
        ..columns.into()
    }
}

fn did_something(old: &AgentReading, new: &AgentReading) -> bool {
    old.ledger_words != new.ledger_words
        || old.run_queue != new.run_queue
        || old.block_io != new.block_io
        || old.faults != new.faults
        || old.oom_kills != new.oom_kills
        || old.fault_latency != new.fault_latency
        || old.placement != new.placement
}

/// The table that follows `before` by the changes that were read at `at_ns`.
pub(super) fn apply(
    before: &[Arc<AgentReading>],
    message: &schema::Agents,
    at_ns: u64,
) -> Result<Vec<Arc<AgentReading>>, Malformed> {
    let came: Result<Vec<_>, _> = message
        .came
        .iter()
        .map(|message| agent(message).map(|agent| renamed_or_new(before, agent)))
        .collect();
    let mut now = follow(before, &message.gone, came?, MAX_AGENTS, key)?;
    let changed = rows_of(&message.changed, now.len())?;
    let mut columns = ColumnsIn::of(message, changed.len())?;
    for (number, row) in changed.into_iter().enumerate() {
        columns.apply(number, Arc::make_mut(&mut now[row]))?;
    }
    let rows = rows_of(&message.looked_at, now.len())?;
    let looks = Numbers::of(&message.node_memory, rows.len())?;
    for (number, row) in rows.into_iter().enumerate() {
        let reading = Arc::make_mut(&mut now[row]);
        let before = node_memory::numbers(reading.node_memory.as_deref(), 0);
        let memory = node_memory::memory(&looks.row(number, before), at_ns);
        reading.node_memory = memory.map(Arc::new);
    }
    let rows = rows_of(&message.polled, now.len())?;
    let polls = polled::Polls::of(&message.polled_numbers, rows.len())?;
    for (number, row) in rows.into_iter().enumerate() {
        let reading = Arc::make_mut(&mut now[row]);
        reading.polled = polls
            .row(number, reading.polled.as_deref(), at_ns)
            .map(Arc::new);
    }
    Ok(now)
}

fn renamed_or_new(before: &[Arc<AgentReading>], agent: Arc<Agent>) -> Arc<AgentReading> {
    match before.binary_search_by_key(&agent.id, key) {
        Ok(row) => Arc::new(AgentReading {
            agent,
            ..(*before[row]).clone()
        }),
        Err(_) => Arc::new(AgentReading::nothing_of(agent)),
    }
}

pub(crate) fn described(agent: &Agent) -> schema::Agent {
    let source = match agent.source {
        AgentSource::Cgroup => schema::Source::Cgroup,
        AgentSource::Program => schema::Source::Program,
        AgentSource::Rule => schema::Source::Rule,
        AgentSource::Kernel => schema::Source::Kernel,
        AgentSource::Other => schema::Source::Other,
    };
    schema::Agent {
        slot: agent.id.slot,
        generation: agent.id.generation,
        name: agent.name.to_string(),
        group: agent.group.to_string(),
        system: agent.kind == Kind::System,
        source: source.into(),
        place: agent.place.to_string(),
    }
}

pub(crate) fn agent(message: &schema::Agent) -> Result<Arc<Agent>, Malformed> {
    if message.slot >= SLOTS {
        return Err(Malformed::because(format!(
            "there is no slot {}",
            message.slot
        )));
    }
    let texts = [&message.name, &message.group, &message.place];
    if texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
        return Err(Malformed::because(
            "an agent's name is longer than any can be",
        ));
    }
    let source = schema::Source::try_from(message.source)
        .map_err(|_| Malformed::because("an agent's source is not known"))?;
    Ok(Arc::new(Agent {
        id: SlotLease {
            slot: message.slot,
            generation: message.generation,
        },
        name: message.name.as_str().into(),
        group: message.group.as_str().into(),
        kind: if message.system {
            Kind::System
        } else {
            Kind::Agent
        },
        source: match source {
            schema::Source::Cgroup => AgentSource::Cgroup,
            schema::Source::Program => AgentSource::Program,
            schema::Source::Rule => AgentSource::Rule,
            schema::Source::Kernel => AgentSource::Kernel,
            schema::Source::Other => AgentSource::Other,
        },
        place: message.place.as_str().into(),
    }))
}
