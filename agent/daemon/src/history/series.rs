//! Who has a series, and under which number its samples are kept.
//!
//! The host has number 0, groups those up to [`FIRST_AGENT`], so that they lie in chunks of their own and
//! are read without those of thousands of agents. Numbers are never given out again.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use hostler_common::slot::SlotLease;
use hostler_decide::{samples::Scope, signal::Agent};
use prost::Message as _;
use redb::{ReadableTable as _, WriteTransaction};

use super::{
    error::{Malformed, Trouble},
    schema,
    tables::{MARKS, NEXT_AGENT, NEXT_GROUP, NUMBERS, SERIES},
};
use crate::metrics::shortened;

/// The number of the host.
pub(super) const HOST: u32 = 0;

/// The first number of an agent.
pub(super) const FIRST_AGENT: u32 = 1 << 16;

/// Who has a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Its number.
    pub number: u32,
    /// What it is of.
    pub scope: Scope,
    /// The group, or the agent's; empty of the host.
    pub group: String,
    /// The agent's name; else empty.
    pub name: String,
    /// When its first sample began, in ms since 1970.
    pub first_ms: u64,
    /// When the last hour began in which it has samples, in ms since 1970; before the end of its first
    /// hour, as `first_ms`.
    pub last_ms: u64,
}

impl Series {
    pub(super) fn decode(number: u32, bytes: &[u8]) -> Result<Self, Trouble> {
        let malformed = |what: String| Trouble::Malformed(Malformed(format!("a series: {what}")));
        let message =
            schema::Series::decode(bytes).map_err(|error| malformed(error.to_string()))?;
        let scope = match schema::Scope::try_from(message.scope) {
            Ok(schema::Scope::Host) => Scope::Host,
            Ok(schema::Scope::Group) => Scope::Group,
            Ok(schema::Scope::Agent) => Scope::Agent,
            Err(error) => return Err(malformed(error.to_string())),
        };
        Ok(Self {
            number,
            scope,
            group: message.group,
            name: message.name,
            first_ms: message.first_ms,
            last_ms: message.last_ms,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let scope = match self.scope {
            Scope::Host => schema::Scope::Host,
            Scope::Group => schema::Scope::Group,
            Scope::Agent => schema::Scope::Agent,
        };
        let message = schema::Series {
            scope: scope.into(),
            group: self.group.clone(),
            name: self.name.clone(),
            first_ms: self.first_ms,
            last_ms: self.last_ms,
        };
        message.encode_to_vec()
    }

    /// Its name, or what else tells it from others.
    pub fn title(&self) -> &str {
        match self.scope {
            Scope::Host => "host",
            Scope::Group => &self.group,
            Scope::Agent => &self.name,
        }
    }
}

/// Numbers that were looked up: of those that are there.
#[derive(Default)]
pub(super) struct Known {
    groups: HashMap<Arc<str>, u32>,
    agents: HashMap<SlotLease, (Arc<Agent>, u32)>,
}

impl Known {
    /// The number of the host.
    pub(super) fn host(transaction: &WriteTransaction, now_ms: u64) -> Result<u32, Trouble> {
        let who = (Scope::Host, "", "");
        let mut series = transaction.open_table(SERIES)?;
        if series.get(HOST)?.is_none() {
            let series_of_host = new_series(HOST, who, now_ms);
            series.insert(HOST, &*series_of_host.encode())?;
        }
        Ok(HOST)
    }

    /// The number of a group.
    pub(super) fn group(
        &mut self,
        transaction: &WriteTransaction,
        name: &Arc<str>,
        now_ms: u64,
    ) -> Result<u32, Trouble> {
        if let Some(number) = self.groups.get(name) {
            return Ok(*number);
        }
        let short = shortened(name);
        let number = number_of(transaction, (Scope::Group, &short, ""), now_ms)?;
        self.groups.insert(Arc::clone(name), number);
        Ok(number)
    }

    /// The number of an agent.
    pub(super) fn agent(
        &mut self,
        transaction: &WriteTransaction,
        agent: &Arc<Agent>,
        now_ms: u64,
    ) -> Result<u32, Trouble> {
        if let Some((known, number)) = self.agents.get(&agent.id)
            && Arc::ptr_eq(known, agent)
        {
            return Ok(*number);
        }
        let (group, name) = (shortened(&agent.group), shortened(&agent.name));
        let number = number_of(transaction, (Scope::Agent, &group, &name), now_ms)?;
        self.agents.insert(agent.id, (Arc::clone(agent), number));
        Ok(number)
    }

    /// Forgets those that are not there any more.
    pub(super) fn keep(&mut self, is_there: impl Fn(&SlotLease) -> bool, groups: usize) {
        self.agents.retain(|lease, _| is_there(lease));
        if self.groups.len() > 2 * groups + 16 {
            self.groups.clear();
        }
    }

    /// Forgets all, since numbers may have gone.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn new_series(number: u32, (scope, group, name): (Scope, &str, &str), now_ms: u64) -> Series {
    Series {
        number,
        scope,
        group: group.to_owned(),
        name: name.to_owned(),
        first_ms: now_ms,
        last_ms: now_ms,
    }
}

fn number_of(
    transaction: &WriteTransaction,
    who: (Scope, &str, &str),
    now_ms: u64,
) -> Result<u32, Trouble> {
    let (scope, group, name) = who;
    let key = (scope as u8, group, name);
    let mut numbers = transaction.open_table(NUMBERS)?;
    let found = numbers.get(key)?.map(|number| number.value());
    if let Some(number) = found {
        return Ok(number);
    }
    let mut marks = transaction.open_table(MARKS)?;
    let (mark, first) = match scope {
        Scope::Agent => (NEXT_AGENT, FIRST_AGENT),
        Scope::Host | Scope::Group => (NEXT_GROUP, HOST + 1),
    };
    let next = marks
        .get(mark)?
        .map_or(u64::from(first), |next| next.value());
    // After 65,535 groups the last number stands for all further ones; after four billion agents, too.
    let most = if scope == Scope::Agent {
        u32::MAX
    } else {
        FIRST_AGENT - 1
    };
    let number = u32::try_from(next).unwrap_or(most).min(most);
    marks.insert(mark, u64::from(number) + 1)?;
    numbers.insert(key, number)?;
    let mut series = transaction.open_table(SERIES)?;
    series.insert(number, &*new_series(number, who, now_ms).encode())?;
    Ok(number)
}

/// Notes that series have samples in the hour that began at `hour_ms`, and forgets those that have had
/// none since `oldest_ms`. How many were forgotten.
pub(super) fn touch_and_forget(
    transaction: &WriteTransaction,
    touched: &HashSet<u32>,
    hour_ms: u64,
    oldest_ms: u64,
) -> Result<usize, Trouble> {
    let mut table = transaction.open_table(SERIES)?;
    let mut numbers = transaction.open_table(NUMBERS)?;
    let (mut seen, mut gone) = (Vec::new(), Vec::new());
    for entry in table.iter()? {
        let (number, bytes) = entry?;
        let mut series = Series::decode(number.value(), bytes.value())?;
        if touched.contains(&series.number) {
            series.last_ms = hour_ms;
            seen.push(series);
        } else if series.scope != Scope::Host && series.last_ms < oldest_ms {
            gone.push(series);
        }
    }
    for series in seen {
        table.insert(series.number, &*series.encode())?;
    }
    for series in &gone {
        table.remove(series.number)?;
        numbers.remove((series.scope as u8, &*series.group, &*series.name))?;
    }
    Ok(gone.len())
}
