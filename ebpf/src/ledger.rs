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
    let from = replace_state(thread, to, now_ns);
    leave(agent, from, now_ns);
    enter(agent, to, now_ns);
}

/// Notes that the thread is in a state from now on, and returns the one that it leaves. The ledger
/// is changed by whoever calls this.
#[inline(always)]
pub(crate) fn replace_state(thread: &mut ThreadRecord, to: u32, now_ns: u64) -> u32 {
    thread.since_ns = now_ns;
    let known = thread.state.load();
    if known == state::UNKNOWN {
        // The task iterator may be setting the first state at this moment: whoever exchanges it
        // knows what the other has entered.
        return exchange(&thread.state, to);
    }
    thread.state.store(to);
    known
}

/// A thread of the agent's is in the state from now on.
#[inline(always)]
pub(crate) fn enter(agent: &AgentRecord, to: u32, now_ns: u64) {
    add(word(agent, to), entry(now_ns));
}

/// A thread is no longer the agent's, or no longer in the state.
#[inline(always)]
pub(crate) fn leave(agent: &AgentRecord, from: u32, now_ns: u64) {
    add(word(agent, from), entry(now_ns).wrapping_neg());
}

/// One thread of the agent's took another's place in the same state: no time moves, but who reads
/// must see that something happened. The word is the one that nobody reads as time.
#[inline(always)]
pub(crate) fn note_change(agent: &AgentRecord) {
    add(word(agent, state::UNKNOWN), 1);
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
