//! Who made whom wait, as a table.

use hostler_decide::pairs::Who;
use serde::Serialize;

use crate::report::{Pair, PairsReport};

use super::{
    losses::{LossesJson, footer},
    machine::json_line,
    paint::Paint,
    table::{Column, Table},
    units::{compact_count, count, duration},
};

/// Where no thread held the CPU that somebody waited for.
const NOBODY: &str = "(no thread: idle or hypervisor)";

/// The report as text, its last line's end included.
pub(crate) fn pairs_text(report: &PairsReport, width: usize, top: usize, color: bool) -> String {
    let paint = Paint::new(color);
    let length = duration(report.to_ns.saturating_sub(report.from_ns));
    let long = duration(report.long_wait_ns);
    if report.pairs.is_empty() {
        let footer = footer(&report.losses);
        return format!("No wait of {long} or longer for a CPU in {length}.\n{footer}");
    }
    let waits: u64 = report.pairs.iter().map(|pair| pair.waits).sum();
    let wait_ns: u64 = report.pairs.iter().map(|pair| pair.wait_ns).sum();
    let title = format!(
        "{} waits of {long} or longer in {length}, {} in all",
        count(waits),
        duration(wait_ns)
    );
    let mut table = Table::new(&[
        Column::name("WHO WAITED"),
        Column::word("HOW"),
        Column::name("FOR WHOM"),
        Column::number("WAITS"),
        Column::number("WAITED"),
    ]);
    for pair in report.pairs.iter().take(top) {
        table.add([
            pair.waiter.clone(),
            if pair.preempted {
                "preempted by"
            } else {
                "CPU held by"
            }
            .to_owned(),
            for_whom(pair).to_owned(),
            compact_count(pair.waits),
            duration(pair.wait_ns),
        ]);
    }
    let mut text = paint.strong(title) + "\n\n";
    let left_out = report.pairs.len().saturating_sub(top);
    text.push_str(&table.text(width, paint, left_out, "pairs"));
    text.push_str(&footer(&report.losses));
    text
}

fn for_whom(pair: &Pair) -> &str {
    match &pair.cause {
        Who::Itself => "itself",
        cause => cause.name(&pair.waiter).unwrap_or(NOBODY),
    }
}

#[derive(Serialize)]
struct ReportJson<'a> {
    /// Always `pairs`.
    report: &'static str,
    from_ns: u64,
    to_ns: u64,
    /// The shortest wait that counts.
    long_wait_ns: u64,
    /// The longest sum first.
    pairs: Vec<PairJson<'a>>,
    losses: LossesJson,
}

#[derive(Serialize)]
struct PairJson<'a> {
    waiter: &'a str,
    /// `same_agent`, `another_agent`, `kernel_thread`, `unattributed`, `interrupts`, or `no_thread`
    /// (idle or hypervisor).
    cause_class: &'static str,
    /// Its name in a list of agents; null if nobody had the CPU.
    cause: Option<&'a str>,
    /// `preemptor` or `holder`.
    relation: &'static str,
    waits: u64,
    wait_ns: u64,
}

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn pairs_json(report: &PairsReport) -> String {
    let pairs = report.pairs.iter().map(|pair| PairJson {
        waiter: &pair.waiter,
        cause_class: pair.cause.class(),
        cause: pair.cause.name(&pair.waiter),
        relation: if pair.preempted {
            "preemptor"
        } else {
            "holder"
        },
        waits: pair.waits,
        wait_ns: pair.wait_ns,
    });
    json_line(&ReportJson {
        report: "pairs",
        from_ns: report.from_ns,
        to_ns: report.to_ns,
        long_wait_ns: report.long_wait_ns,
        pairs: pairs.collect(),
        losses: report.losses.into(),
    })
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_decide::signal::LossSignal;

    use super::*;

    #[test]
    fn a_pair_says_who_waited_how_and_for_whom() {
        let pair = |waiter: &str, cause, preempted, waits, wait_ns| Pair {
            waiter: waiter.to_owned(),
            cause,
            preempted,
            waits,
            wait_ns,
        };
        let report = PairsReport {
            from_ns: 0,
            to_ns: 1_000_000_000,
            long_wait_ns: 1_000_000,
            pairs: vec![
                pair(
                    "agents/a1",
                    Who::Agent("agents/a2".to_owned()),
                    true,
                    120,
                    480_000_000,
                ),
                pair("agents/a1", Who::Itself, true, 12, 48_000_000),
                pair("agents/a2", Who::Nobody, false, 1, 2_000_000),
            ],
            losses: LossSignal::default(),
        };
        expect![[r#"
            133 waits of 1.00 ms or longer in 1.00 s, 530 ms in all

            WHO WAITED  HOW           FOR WHOM                         WAITS   WAITED
            agents/a1   preempted by  agents/a2                          120   480 ms
            agents/a1   preempted by  itself                              12  48.0 ms
            agents/a2   CPU held by   (no thread: idle or hypervisor)      1  2.00 ms
        "#]]
        .assert_eq(&pairs_text(&report, 100, 20, false));
    }
}
