//! Single long waits, as events.
//!
//! This runs under a run-queue lock: nobody is woken for an event (user space looks once a tick),
//! and each CPU sends no more than a budget.

use aya_ebpf::{Global, bindings::BPF_RB_NO_WAKEUP};
use hostler_common::{
    pair::relation,
    thread_record::ThreadRecord,
    wait_event::{NAME_BYTES, PERIOD_NS, THREAD_NAMES as NAMES, WAITS_A_PERIOD},
};

use crate::{
    maps::{THREAD_NAMES, WAIT_BUDGETS, WAIT_EVENTS, count_loss},
    offsets::Task,
};

/// 1 if user space reads the events, set before loading; else the verifier removes all of this.
#[unsafe(no_mangle)]
static WAIT_EVENTS_WANTED: Global<u32> = Global::new(0);

/// A long wait that has just ended.
pub(crate) struct Wait<'a> {
    pub(crate) task: Task,
    pub(crate) thread: &'a ThreadRecord,
    /// Who had the CPU until now.
    pub(crate) previous: Task,
    /// The slot of who made the thread wait.
    pub(crate) cause: u32,
    pub(crate) relation: u32,
    pub(crate) wait_ns: u64,
    pub(crate) now_ns: u64,
    pub(crate) cpu: u32,
}

/// Notes who takes the CPU from a thread: when the wait is over, that one may be gone.
#[inline(always)]
pub(crate) fn remember_preemptor(thread: &mut ThreadRecord, preemptor: Task) {
    if WAIT_EVENTS_WANTED.load() == 0 {
        return;
    }
    let tid = preemptor.thread_id();
    thread.preemptor_tid = tid;
    let Some(entry) = THREAD_NAMES.get_ptr_mut(tid & (NAMES - 1)) else {
        return;
    };
    // SAFETY: an element of the map. Another CPU may write to it at the same time; a name that is
    // half of one thread and half of another is the worst that can come of it.
    let entry = unsafe { &mut *entry };
    entry.name = preemptor.name();
    entry.tid = tid;
}

/// Sends the wait, unless this CPU has sent enough.
#[inline(always)]
pub(crate) fn send(wait: &Wait<'_>) {
    if WAIT_EVENTS_WANTED.load() == 0 {
        return;
    }
    if !is_within_budget(wait.now_ns) {
        count_loss!(waits_held_back);
        return;
    }
    let Some(mut entry) = WAIT_EVENTS.reserve(0) else {
        count_loss!(waits_not_sent);
        return;
    };
    let (cause_tid, cause_name) = cause_of(wait);
    let event = entry.as_mut_ptr();
    // SAFETY: the kernel reserved an event's size at `event`, and each field of it is written
    // before it is submitted.
    unsafe {
        (*event).at_ns = wait.now_ns;
        (*event).wait_ns = wait.wait_ns;
        (*event).waiter = wait.thread.lease;
        (*event).waiter_tid = wait.task.thread_id();
        (*event).cause = wait.cause;
        (*event).cause_tid = cause_tid;
        (*event).relation = wait.relation;
        (*event).cpu = wait.cpu;
        (*event).reserved = 0;
        (*event).waiter_name = wait.task.name();
        (*event).cause_name = cause_name;
    }
    entry.submit(u64::from(BPF_RB_NO_WAKEUP));
}

/// Thread id and name of who made the thread wait; zeroes for what is not known.
#[inline(always)]
fn cause_of(wait: &Wait<'_>) -> (u32, [u8; NAME_BYTES]) {
    if wait.relation == relation::HOLDER {
        return if wait.previous.is_idle() {
            (0, [0; NAME_BYTES])
        } else {
            (wait.previous.thread_id(), wait.previous.name())
        };
    }
    let tid = wait.thread.preemptor_tid;
    match THREAD_NAMES.get(tid & (NAMES - 1)) {
        Some(entry) if tid != 0 && entry.tid == tid => (tid, entry.name),
        _ => (tid, [0; NAME_BYTES]),
    }
}

#[inline(always)]
fn is_within_budget(now_ns: u64) -> bool {
    let Some(budget) = WAIT_BUDGETS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: this CPU's own element; no other program that runs on it touches that.
    let budget = unsafe { &mut *budget };
    let period = now_ns / PERIOD_NS;
    if budget.period != period {
        budget.period = period;
        budget.sent = 0;
    }
    budget.sent += 1;
    budget.sent <= WAITS_A_PERIOD
}
