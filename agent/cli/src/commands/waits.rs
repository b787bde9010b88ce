//! Single long waits of a reading, with names.

use hostler_common::{
    pair::{INTERRUPTS, NOBODY, relation},
    slot::{KERNEL, OTHER},
    wait_event::{WaitEvent, name_bytes},
};
use hostler_decide::signal::Reading;
use hostler_observe::Observer;

use crate::{
    args::{AgentPattern, selects},
    report::{Cause, SingleWait, Thread},
};

/// The waits of the agents that the patterns select.
pub(super) fn single_waits(
    patterns: &[AgentPattern],
    reading: &Reading,
    observer: &Observer,
) -> Vec<SingleWait> {
    reading
        .waits
        .iter()
        .map(|event| single_wait(event, |slot| observer.name_of_slot(slot)))
        .filter(|wait| selects(patterns, &wait.waiter))
        .collect()
}

fn single_wait<'a>(event: &WaitEvent, name_of: impl Fn(u32) -> Option<&'a str>) -> SingleWait {
    let name = |slot| name_of(slot).unwrap_or("[departed]").to_owned();
    let thread = |bytes, tid| Thread {
        name: String::from_utf8_lossy(name_bytes(bytes)).into_owned(),
        tid,
    };
    let by = thread(&event.cause_name, event.cause_tid);
    SingleWait {
        at_ns: event.at_ns,
        wait_ns: event.wait_ns,
        cpu: event.cpu,
        waiter: name(event.waiter.slot),
        waiter_thread: thread(&event.waiter_name, event.waiter_tid),
        preempted: event.relation == relation::PREEMPTOR,
        cause: match event.cause {
            NOBODY => Cause::Nobody,
            INTERRUPTS => Cause::Interrupts,
            // What two threads of no known agent have in common is not known either.
            OTHER => Cause::Unattributed(by),
            KERNEL => Cause::Kernel(by),
            slot if slot == event.waiter.slot => Cause::SameAgent(by),
            slot => Cause::Agent(name(slot), by),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause_of(waiter: u32, cause: u32) -> Cause {
        let mut event = WaitEvent {
            cause,
            ..WaitEvent::default()
        };
        event.waiter.slot = waiter;
        single_wait(&event, |slot| (slot == 130).then_some("agents/a1")).cause
    }

    #[test]
    fn the_classes_of_causes_are_told_apart_by_slot() {
        assert!(matches!(cause_of(130, 130), Cause::SameAgent(_)));
        assert!(matches!(cause_of(131, 130), Cause::Agent(name, _) if name == "agents/a1"));
        assert!(matches!(cause_of(130, 131), Cause::Agent(name, _) if name == "[departed]"));
        assert!(matches!(cause_of(130, KERNEL), Cause::Kernel(_)));
        assert!(matches!(cause_of(KERNEL, KERNEL), Cause::Kernel(_)));
        assert!(matches!(cause_of(130, OTHER), Cause::Unattributed(_)));
        assert!(matches!(cause_of(OTHER, OTHER), Cause::Unattributed(_)));
        assert!(matches!(cause_of(130, NOBODY), Cause::Nobody));
        assert!(matches!(cause_of(130, INTERRUPTS), Cause::Interrupts));
    }
}
