//! What could not be measured or attributed, in words.

use hostler_decide::signal::LossSignal;
use serde::Serialize;

use super::units::{count, duration};

/// Losses as JSON writes them.
#[derive(Serialize)]
pub(super) struct LossesJson {
    threads_without_record: u64,
    records_not_made: u64,
    negative_durations: u64,
    agents_without_slot: u64,
    events_not_sent: u64,
    provisional_ns: u64,
    pairs_not_counted: u64,
    waits_held_back: u64,
    waits_not_sent: u64,
    /// No loss: their waits had been reported.
    pairs_folded: u64,
    peers_not_counted: u64,
    sockets_without_record: u64,
    wakes_not_counted: u64,
}

impl From<LossSignal> for LossesJson {
    fn from(losses: LossSignal) -> Self {
        Self {
            threads_without_record: losses.threads_without_record,
            records_not_made: losses.records_not_made,
            negative_durations: losses.negative_durations,
            agents_without_slot: losses.agents_without_slot,
            events_not_sent: losses.events_not_sent,
            provisional_ns: losses.provisional_ns,
            pairs_not_counted: losses.pairs_not_counted,
            waits_held_back: losses.waits_held_back,
            waits_not_sent: losses.waits_not_sent,
            pairs_folded: losses.pairs_folded,
            peers_not_counted: losses.peers_not_counted,
            sockets_without_record: losses.sockets_without_record,
            wakes_not_counted: losses.wakes_not_counted,
        }
    }
}

/// One clause for each kind of loss that occurred; none if nothing was lost.
pub(super) fn clauses(losses: &LossSignal) -> Vec<String> {
    let counted = [
        (
            losses.threads_without_record,
            "switch or wake-up of a thread without a record was not measured",
            "switches and wake-ups of threads without a record were not measured",
        ),
        (
            losses.records_not_made,
            "thread could not be given a record",
            "threads could not be given a record",
        ),
        (
            losses.negative_durations,
            "duration was left out because the clocks of two CPUs disagreed",
            "durations were left out because the clocks of two CPUs disagreed",
        ),
        (
            losses.agents_without_slot,
            "agent found no free slot and is counted as \"other\"",
            "agents found no free slot and are counted as \"other\"",
        ),
        (
            losses.events_not_sent,
            "event found no room in the ring buffer",
            "events found no room in the ring buffer",
        ),
        (
            losses.pairs_not_counted,
            "long wait was not laid to who caused it: the table of pairs is full",
            "long waits were not laid to who caused them: the table of pairs is full",
        ),
        (
            losses.waits_held_back,
            "long wait is in the sums only: they came too fast to show each",
            "long waits are in the sums only: they came too fast to show each",
        ),
        (
            losses.waits_not_sent,
            "long wait is in the sums only: its event found no room",
            "long waits are in the sums only: their events found no room",
        ),
        (
            losses.peers_not_counted,
            "reading of a socket was left out: the table of peers is full",
            "readings of sockets were left out: the table of peers is full",
        ),
        (
            losses.sockets_without_record,
            "socket could not be given a record",
            "sockets could not be given a record, or were told of without one",
        ),
        (
            losses.wakes_not_counted,
            "wake-up was not laid to who caused it: the table of wake-ups is full",
            "wake-ups were not laid to who caused them: the table of wake-ups is full",
        ),
    ];
    let mut clauses: Vec<String> = counted
        .iter()
        .filter(|&&(number, ..)| number > 0)
        .map(|&(number, one, many)| {
            format!("{} {}", count(number), if number == 1 { one } else { many })
        })
        .collect();
    if losses.provisional_ns > 0 {
        clauses.push(format!(
            "{} of CPU time of new processes was charged to parents or cgroups",
            duration(losses.provisional_ns)
        ));
    }
    clauses
}

/// A footer for a report, each line's end included; empty if nothing was lost.
pub(super) fn footer(losses: &LossSignal) -> String {
    let clauses = clauses(losses);
    if clauses.is_empty() {
        return String::new();
    }
    format!("\nNot exact:\n  {}\n", clauses.join("\n  "))
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn without_losses_there_is_no_footer() {
        assert_eq!(footer(&LossSignal::default()), "");
    }

    #[test]
    fn each_loss_is_a_sentence_with_its_number() {
        let one_or_many = footer(&LossSignal {
            threads_without_record: 12_345,
            records_not_made: 1,
            negative_durations: 2,
            agents_without_slot: 1,
            events_not_sent: 3,
            provisional_ns: 1_200_000_000,
            pairs_not_counted: 2,
            waits_held_back: 7,
            waits_not_sent: 1,
            pairs_folded: 5,
            peers_not_counted: 4,
            sockets_without_record: 1,
            wakes_not_counted: 2,
        });
        expect![[r#"

            Not exact:
              12,345 switches and wake-ups of threads without a record were not measured
              1 thread could not be given a record
              2 durations were left out because the clocks of two CPUs disagreed
              1 agent found no free slot and is counted as "other"
              3 events found no room in the ring buffer
              2 long waits were not laid to who caused them: the table of pairs is full
              7 long waits are in the sums only: they came too fast to show each
              1 long wait is in the sums only: its event found no room
              4 readings of sockets were left out: the table of peers is full
              1 socket could not be given a record
              2 wake-ups were not laid to who caused them: the table of wake-ups is full
              1.20 s of CPU time of new processes was charged to parents or cgroups
        "#]]
        .assert_eq(&one_or_many);
    }
}
