//! A run-queue report as JSON. The names of fields are stable: later versions may add some, but
//! none changes its meaning or its unit, which its name ends in.

use hostler_common::histogram::BUCKETS;
use hostler_decide::window::RunQueueWindow;
use serde::Serialize;

use crate::{
    args::GroupBy,
    report::{Others, Row, RunqReport},
};

use super::{losses::LossesJson, machine::json_line};

#[derive(Serialize)]
struct ReportJson<'a> {
    /// Always `runq`.
    report: &'static str,
    /// `agent`, `group`, `cpu` or `node`.
    group_by: &'static str,
    /// The window, in ns of the monotonic clock.
    from_ns: u64,
    to_ns: u64,
    /// The longest total wait first.
    rows: Vec<RowJson<'a>>,
    /// The sum of the rows that `--top` left out, or null.
    others: Option<OthersJson>,
    losses: LossesJson,
}

#[derive(Serialize)]
struct RowJson<'a> {
    name: &'a str,
    /// The agents that share a policy with it; this and the next ones are null for what is no agent.
    group: Option<&'a str>,
    /// `agent` or `system`.
    kind: Option<&'static str>,
    /// What makes it one agent: `cgroup`, `program`, `rule`, `kernel` or `other`.
    source: Option<&'static str>,
    /// With `generation`, what tells apart agents that had one name after the other.
    slot: Option<u32>,
    generation: Option<u32>,
    #[serde(flatten)]
    window: WindowJson,
}

#[derive(Serialize)]
struct OthersJson {
    /// How many rows were left out.
    rows: usize,
    #[serde(flatten)]
    window: WindowJson,
}

#[derive(Serialize)]
struct WindowJson {
    waits: u64,
    waits_woken: u64,
    waits_preempted: u64,
    wait_ns: u64,
    wait_woken_ns: u64,
    wait_preempted_ns: u64,
    /// Quantiles are the ends of the buckets that hold them, at most 12.5 % too long; null
    /// without waits.
    wait_p50_ns: Option<u64>,
    wait_p90_ns: Option<u64>,
    wait_p99_ns: Option<u64>,
    wait_max_ns: Option<u64>,
    on_cpu_ns: u64,
    voluntary_switches: u64,
    involuntary_switches: u64,
    /// Waits by how long they were; empty buckets are left out.
    buckets: Vec<BucketJson>,
}

#[derive(Serialize)]
struct BucketJson {
    start_ns: u64,
    end_ns: u64,
    woken: u64,
    preempted: u64,
}

/// The report as one JSON object on one line, the line's end included; at most `top` rows.
pub(crate) fn runq_json(report: &RunqReport, top: Option<usize>) -> String {
    let ranking = report.ranking(top.unwrap_or(usize::MAX));
    json_line(&ReportJson {
        report: "runq",
        group_by: match report.group_by {
            GroupBy::Agent => "agent",
            GroupBy::Group => "group",
            GroupBy::Cpu => "cpu",
            GroupBy::Node => "node",
        },
        from_ns: report.from_ns,
        to_ns: report.to_ns,
        rows: ranking.shown.into_iter().map(RowJson::from).collect(),
        others: ranking.others.as_ref().map(OthersJson::from),
        losses: report.losses.into(),
    })
}

impl<'a> From<&'a Row> for RowJson<'a> {
    fn from(row: &'a Row) -> Self {
        let agent = row.agent.as_ref();
        Self {
            name: &row.name,
            group: agent.map(|agent| &*agent.group),
            kind: agent.map(|agent| agent.kind.as_str()),
            source: agent.map(|agent| agent.source.as_str()),
            slot: agent.map(|agent| agent.id.slot),
            generation: agent.map(|agent| agent.id.generation),
            window: (&row.window).into(),
        }
    }
}

impl From<&Others> for OthersJson {
    fn from(others: &Others) -> Self {
        Self {
            rows: others.rows,
            window: (&others.window).into(),
        }
    }
}

impl From<&RunQueueWindow> for WindowJson {
    fn from(window: &RunQueueWindow) -> Self {
        let waits = window.waits();
        Self {
            waits: waits.total(),
            waits_woken: window.wake_wait.total(),
            waits_preempted: window.preempt_wait.total(),
            wait_ns: window.wait_ns(),
            wait_woken_ns: window.wake_wait_ns(),
            wait_preempted_ns: window.preempt_wait_ns(),
            wait_p50_ns: waits.quantile_ns(0.5),
            wait_p90_ns: waits.quantile_ns(0.9),
            wait_p99_ns: waits.quantile_ns(0.99),
            wait_max_ns: waits.max_ns(),
            on_cpu_ns: window.on_cpu_ns(),
            voluntary_switches: window.voluntary_switches,
            involuntary_switches: window.involuntary_switches,
            buckets: buckets(window),
        }
    }
}

fn buckets(window: &RunQueueWindow) -> Vec<BucketJson> {
    let mut woken = window.wake_wait.buckets().peekable();
    let mut preempted = window.preempt_wait.buckets().peekable();
    let mut buckets = Vec::with_capacity(BUCKETS);
    for both in window.waits().buckets() {
        let here = |bucket: &hostler_decide::durations::Bucket| bucket.start_ns == both.start_ns;
        buckets.push(BucketJson {
            start_ns: both.start_ns,
            end_ns: both.end_ns,
            woken: woken.next_if(here).map_or(0, |bucket| bucket.count),
            preempted: preempted.next_if(here).map_or(0, |bucket| bucket.count),
        });
    }
    buckets
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::render::samples;

    #[test]
    fn field_names_and_units_are_stable() {
        let mut report = samples::report();
        report.rows.truncate(1);
        report.rows[0].window = samples::window(16, 17, 1_000);
        expect![[r#"
            {"report":"runq","group_by":"agent","from_ns":5000000000,"to_ns":15000000000,"rows":[{"name":"other","group":"agents","kind":"agent","source":"other","slot":200,"generation":1,"waits":30,"waits_woken":15,"waits_preempted":15,"wait_ns":1023360,"wait_woken_ns":15744,"wait_preempted_ns":1007616,"wait_p50_ns":1920,"wait_p90_ns":98304,"wait_p99_ns":122880,"wait_max_ns":122880,"on_cpu_ns":1417216,"voluntary_switches":15,"involuntary_switches":15,"buckets":[{"start_ns":512,"end_ns":576,"woken":1,"preempted":0},{"start_ns":576,"end_ns":640,"woken":1,"preempted":0},{"start_ns":640,"end_ns":704,"woken":1,"preempted":0},{"start_ns":704,"end_ns":768,"woken":1,"preempted":0},{"start_ns":768,"end_ns":832,"woken":1,"preempted":0},{"start_ns":832,"end_ns":896,"woken":1,"preempted":0},{"start_ns":896,"end_ns":960,"woken":1,"preempted":0},{"start_ns":960,"end_ns":1024,"woken":1,"preempted":0},{"start_ns":1024,"end_ns":1152,"woken":1,"preempted":0},{"start_ns":1152,"end_ns":1280,"woken":1,"preempted":0},{"start_ns":1280,"end_ns":1408,"woken":1,"preempted":0},{"start_ns":1408,"end_ns":1536,"woken":1,"preempted":0},{"start_ns":1536,"end_ns":1664,"woken":1,"preempted":0},{"start_ns":1664,"end_ns":1792,"woken":1,"preempted":0},{"start_ns":1792,"end_ns":1920,"woken":1,"preempted":0},{"start_ns":32768,"end_ns":36864,"woken":0,"preempted":1},{"start_ns":36864,"end_ns":40960,"woken":0,"preempted":1},{"start_ns":40960,"end_ns":45056,"woken":0,"preempted":1},{"start_ns":45056,"end_ns":49152,"woken":0,"preempted":1},{"start_ns":49152,"end_ns":53248,"woken":0,"preempted":1},{"start_ns":53248,"end_ns":57344,"woken":0,"preempted":1},{"start_ns":57344,"end_ns":61440,"woken":0,"preempted":1},{"start_ns":61440,"end_ns":65536,"woken":0,"preempted":1},{"start_ns":65536,"end_ns":73728,"woken":0,"preempted":1},{"start_ns":73728,"end_ns":81920,"woken":0,"preempted":1},{"start_ns":81920,"end_ns":90112,"woken":0,"preempted":1},{"start_ns":90112,"end_ns":98304,"woken":0,"preempted":1},{"start_ns":98304,"end_ns":106496,"woken":0,"preempted":1},{"start_ns":106496,"end_ns":114688,"woken":0,"preempted":1},{"start_ns":114688,"end_ns":122880,"woken":0,"preempted":1}]}],"others":null,"losses":{"threads_without_record":0,"records_not_made":0,"negative_durations":0,"agents_without_slot":0,"events_not_sent":3,"provisional_ns":1200000000,"pairs_not_counted":0,"waits_held_back":0,"waits_not_sent":0,"pairs_folded":0,"peers_not_counted":0,"sockets_without_record":0,"wakes_not_counted":0}}
        "#]].assert_eq(&runq_json(&report, None));
    }

    #[test]
    fn a_report_is_one_line_and_keeps_names_as_they_are() {
        let line = runq_json(&samples::report(), None);
        assert_eq!(line.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        let rows = value["rows"].as_array().expect("rows");
        assert!(
            rows.iter()
                .any(|row| row["name"] == "/evil\u{1b}[2J\nagent")
        );
        assert!(value["others"].is_null());
    }

    #[test]
    fn buckets_add_up_to_the_waits() {
        let line = runq_json(&samples::report(), Some(1));
        let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(value["others"]["rows"], 5);
        for sums in [&value["rows"][0], &value["others"]] {
            let counted: u64 = sums["buckets"]
                .as_array()
                .expect("buckets")
                .iter()
                .filter_map(|bucket| {
                    Some(bucket["woken"].as_u64()? + bucket["preempted"].as_u64()?)
                })
                .sum();
            assert_eq!(sums["waits"], counted);
        }
    }
}
