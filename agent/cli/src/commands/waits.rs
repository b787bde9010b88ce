//! Single long waits of a reading, with names.

use hostler_common::{
    pair::relation,
    wait_event::{WaitEvent, name_bytes},
};
use hostler_decide::{
    pairs::Who,
    scene::Scene,
    signal::{DEPARTED, Reading},
};

use crate::{
    args::{AgentPattern, selects},
    report::{SingleWait, Thread},
};

/// The waits of the agents that the patterns select.
pub(super) fn single_waits(
    patterns: &[AgentPattern],
    reading: &Reading,
    scene: &Scene,
) -> Vec<SingleWait> {
    reading
        .waits
        .iter()
        .map(|event| single_wait(event, |slot| scene.name_of_slot(slot)))
        .filter(|wait| selects(patterns, &wait.waiter))
        .collect()
}

fn single_wait<'a>(event: &WaitEvent, name_of: impl Fn(u32) -> Option<&'a str>) -> SingleWait {
    let thread = |bytes, tid| Thread {
        name: String::from_utf8_lossy(name_bytes(bytes)).into_owned(),
        tid,
    };
    let waiter = event.waiter.slot;
    SingleWait {
        at_ns: event.at_ns,
        wait_ns: event.wait_ns,
        cpu: event.cpu,
        waiter: name_of(waiter).unwrap_or(DEPARTED).to_owned(),
        waiter_thread: thread(&event.waiter_name, event.waiter_tid),
        preempted: event.relation == relation::PREEMPTOR,
        cause: Who::of(event.cause, waiter, &name_of),
        cause_thread: thread(&event.cause_name, event.cause_tid),
    }
}
