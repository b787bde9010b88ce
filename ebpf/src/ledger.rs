//! Moves threads from state to state in their agents' ledgers.

use hostler_common::{
    agent_record::AgentRecord,
    ledger::{STATES, entry, passed, state},
    shared::SharedU64,
    thread_record::ThreadRecord,
};

use crate::counter::{add, exchange};

/// The thread changes its state.
#[inline(always)]
pub(crate) fn change_state(agent: &AgentRecord, thread: &mut ThreadRecord, to: u32, now_ns: u64) {
    let known = thread.state.load();
    let from = if known == state::UNKNOWN {
        // The task iterator may be setting the first state at this moment: whoever exchanges it
        // knows what the other has entered.
        exchange(&thread.state, to)
    } else {
        thread.state.store(to);
        known
    };
    leave(agent, from, now_ns);
    enter(agent, to, now_ns);
    thread.since_ns = now_ns;
}

/// The thread stays in its state but is another agent's from now on.
#[inline(always)]
pub(crate) fn enter(agent: &AgentRecord, to: u32, now_ns: u64) {
    add(word(agent, to), entry(now_ns));
}

/// The thread is no longer this agent's, or no longer in this state.
#[inline(always)]
pub(crate) fn leave(agent: &AgentRecord, from: u32, now_ns: u64) {
    add(word(agent, from), entry(now_ns).wrapping_neg());
}

/// Time that was counted for one state was in truth spent in another.
#[inline(always)]
pub(crate) fn move_time(agent: &AgentRecord, from: u32, to: u32, ns: u64) {
    add(word(agent, from), passed(ns).wrapping_neg());
    add(word(agent, to), passed(ns));
}

#[inline(always)]
fn word(agent: &AgentRecord, state: u32) -> &SharedU64 {
    // SAFETY: the mask keeps the index below STATES, and puts those states that are not accounted
    // for on the word that nobody reads.
    unsafe {
        agent
            .ledger
            .words
            .get_unchecked(state as usize & (STATES - 1))
    }
}
