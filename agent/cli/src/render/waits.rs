//! Single long waits, a line each.

use std::fmt::Write as _;

use hostler_decide::pairs::Who;
use serde::Serialize;

use crate::report::{SingleWait, Thread};

use super::{
    foreign::printable,
    machine::json_line,
    units::{NONE, duration},
};

/// The waits as lines, `from_ns` being the time from which theirs is counted.
pub(crate) fn waits_text(waits: &[SingleWait], from_ns: u64) -> String {
    let mut text = String::new();
    for wait in waits {
        let seconds = wait.at_ns.saturating_sub(from_ns) as f64 / 1e9;
        let at = format!("+{seconds:.6} s");
        let how = if wait.preempted {
            "preempted by"
        } else {
            "CPU held by"
        };
        let _infallible = writeln!(
            text,
            "{at:<13}  cpu {:<3}  {:>8}  {} {}  {how} {}",
            wait.cpu,
            duration(wait.wait_ns),
            printable(&wait.waiter),
            thread(&wait.waiter_thread),
            whom(wait),
        );
    }
    text
}

fn whom(wait: &SingleWait) -> String {
    let by = thread(&wait.cause_thread);
    match &wait.cause {
        Who::Itself => format!("the same agent {by}"),
        Who::Agent(name) => format!("another agent, {} {by}", printable(name)),
        Who::Kernel => format!("a kernel thread {by}"),
        Who::Unattributed => format!("a thread of no known agent {by}"),
        Who::Interrupts => "interrupts".to_owned(),
        Who::Nobody => "no thread: idle or hypervisor".to_owned(),
    }
}

fn thread(thread: &Thread) -> String {
    if thread.tid == 0 {
        return format!("({NONE})");
    }
    let name = match printable(&thread.name) {
        name if name.is_empty() => NONE.into(),
        name => name,
    };
    format!("({name}, thread {})", thread.tid)
}

#[derive(Serialize)]
struct WaitJson<'a> {
    /// Always `wait`.
    report: &'static str,
    /// When it ended, in ns of the monotonic clock.
    at_ns: u64,
    wait_ns: u64,
    cpu: u32,
    waiter: &'a str,
    waiter_tid: u32,
    waiter_thread: &'a str,
    /// `preemptor` or `holder`.
    relation: &'static str,
    /// `same_agent`, `another_agent`, `kernel_thread`, `unattributed`, `interrupts`, or `no_thread`
    /// (idle or hypervisor).
    cause_class: &'static str,
    /// Its name in a list of agents; null if nobody had the CPU.
    cause: Option<&'a str>,
    /// Null where no thread did, or it is not known.
    cause_tid: Option<u32>,
    cause_thread: Option<&'a str>,
}

/// The waits as JSON objects, a line each.
pub(crate) fn waits_json(waits: &[SingleWait]) -> String {
    waits
        .iter()
        .map(|wait| json_line(&wait_json(wait)))
        .collect()
}

fn wait_json(wait: &SingleWait) -> WaitJson<'_> {
    let has_thread = !matches!(wait.cause, Who::Interrupts | Who::Nobody);
    let by = Some(&wait.cause_thread).filter(|by| has_thread && by.tid != 0);
    WaitJson {
        report: "wait",
        at_ns: wait.at_ns,
        wait_ns: wait.wait_ns,
        cpu: wait.cpu,
        waiter: &wait.waiter,
        waiter_tid: wait.waiter_thread.tid,
        waiter_thread: &wait.waiter_thread.name,
        relation: if wait.preempted {
            "preemptor"
        } else {
            "holder"
        },
        cause_class: wait.cause.class(),
        cause: wait.cause.name(&wait.waiter),
        cause_tid: by.map(|by| by.tid),
        cause_thread: by
            .map(|by| by.name.as_str())
            .filter(|name| !name.is_empty()),
    }
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::*;

    fn waits() -> Vec<SingleWait> {
        let thread = |name: &str, tid| Thread {
            name: name.to_owned(),
            tid,
        };
        let causes = [
            (Who::Itself, thread("python3", 71)),
            (
                Who::Agent("agents/a2".to_owned()),
                thread("evil\u{1b}[2J", 80),
            ),
            (Who::Kernel, thread("kworker/0:1", 9)),
            (Who::Unattributed, thread("", 0)),
            (Who::Interrupts, thread("node", 70)),
            (Who::Nobody, thread("", 0)),
        ];
        let wait = |(index, (cause, cause_thread)): (u64, (Who, Thread))| SingleWait {
            at_ns: 2_000_000_000 + index * 1_500_000,
            wait_ns: 1_250_000 * (index + 1),
            cpu: 3,
            waiter: "agents/a1".to_owned(),
            waiter_thread: thread("node", 70),
            preempted: index < 2,
            cause,
            cause_thread,
        };
        (0..).zip(causes).map(wait).collect()
    }

    #[test]
    fn each_class_of_cause_has_words_of_its_own() {
        expect![[r#"
            +1.000000 s    cpu 3     1.25 ms  agents/a1 (node, thread 70)  preempted by the same agent (python3, thread 71)
            +1.001500 s    cpu 3     2.50 ms  agents/a1 (node, thread 70)  preempted by another agent, agents/a2 (evil\u{1b}[2J, thread 80)
            +1.003000 s    cpu 3     3.75 ms  agents/a1 (node, thread 70)  CPU held by a kernel thread (kworker/0:1, thread 9)
            +1.004500 s    cpu 3     5.00 ms  agents/a1 (node, thread 70)  CPU held by a thread of no known agent (–)
            +1.006000 s    cpu 3     6.25 ms  agents/a1 (node, thread 70)  CPU held by interrupts
            +1.007500 s    cpu 3     7.50 ms  agents/a1 (node, thread 70)  CPU held by no thread: idle or hypervisor
        "#]].assert_eq(&waits_text(&waits(), 1_000_000_000));
    }

    #[test]
    fn each_wait_is_a_line_of_json() {
        expect![[r#"
            {"report":"wait","at_ns":2000000000,"wait_ns":1250000,"cpu":3,"waiter":"agents/a1","waiter_tid":70,"waiter_thread":"node","relation":"preemptor","cause_class":"same_agent","cause":"agents/a1","cause_tid":71,"cause_thread":"python3"}
            {"report":"wait","at_ns":2001500000,"wait_ns":2500000,"cpu":3,"waiter":"agents/a1","waiter_tid":70,"waiter_thread":"node","relation":"preemptor","cause_class":"another_agent","cause":"agents/a2","cause_tid":80,"cause_thread":"evil\u001b[2J"}
            {"report":"wait","at_ns":2003000000,"wait_ns":3750000,"cpu":3,"waiter":"agents/a1","waiter_tid":70,"waiter_thread":"node","relation":"holder","cause_class":"kernel_thread","cause":"[kernel]","cause_tid":9,"cause_thread":"kworker/0:1"}
            {"report":"wait","at_ns":2004500000,"wait_ns":5000000,"cpu":3,"waiter":"agents/a1","waiter_tid":70,"waiter_thread":"node","relation":"holder","cause_class":"unattributed","cause":"[other]","cause_tid":null,"cause_thread":null}
            {"report":"wait","at_ns":2006000000,"wait_ns":6250000,"cpu":3,"waiter":"agents/a1","waiter_tid":70,"waiter_thread":"node","relation":"holder","cause_class":"interrupts","cause":"[interrupts]","cause_tid":null,"cause_thread":null}
            {"report":"wait","at_ns":2007500000,"wait_ns":7500000,"cpu":3,"waiter":"agents/a1","waiter_tid":70,"waiter_thread":"node","relation":"holder","cause_class":"no_thread","cause":null,"cause_tid":null,"cause_thread":null}
        "#]].assert_eq(&waits_json(&waits()));
    }
}
