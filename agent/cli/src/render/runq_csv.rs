//! A run-queue report as CSV: one line a row and report, quantiles instead of buckets. The titles
//! mean what the fields of the same name mean in JSON.

use hostler_decide::signal::Agent;

use crate::report::{Row, RunqReport};

use super::machine::csv;

const TITLES: [&str; 19] = [
    "from_ns",
    "to_ns",
    "name",
    "group",
    "kind",
    "source",
    "waits",
    "waits_woken",
    "waits_preempted",
    "wait_ns",
    "wait_woken_ns",
    "wait_preempted_ns",
    "wait_p50_ns",
    "wait_p90_ns",
    "wait_p99_ns",
    "wait_max_ns",
    "on_cpu_ns",
    "voluntary_switches",
    "involuntary_switches",
];

/// The rows of the report, at most `top`, after a line of titles if this is the first report.
/// Empty cells stand for what does not exist: the kind of a CPU, quantiles without waits.
pub(crate) fn runq_csv(report: &RunqReport, top: Option<usize>, is_first: bool) -> String {
    let ranking = report.ranking(top.unwrap_or(usize::MAX));
    let rows = ranking.shown.into_iter().map(|row| cells(report, row));
    csv(TITLES, is_first, rows)
}

fn cells(report: &RunqReport, row: &Row) -> [String; TITLES.len()] {
    let window = &row.window;
    let waits = window.waits();
    let of_agent = |field: fn(&Agent) -> String| row.agent.as_ref().map(field).unwrap_or_default();
    let optional = |ns: Option<u64>| ns.map(|ns| ns.to_string()).unwrap_or_default();
    [
        report.from_ns.to_string(),
        report.to_ns.to_string(),
        row.name.clone(),
        of_agent(|agent| agent.group.to_string()),
        of_agent(|agent| agent.kind.to_string()),
        of_agent(|agent| agent.source.as_str().to_owned()),
        waits.total().to_string(),
        window.wake_wait.total().to_string(),
        window.preempt_wait.total().to_string(),
        window.wait_ns().to_string(),
        window.wake_wait_ns().to_string(),
        window.preempt_wait_ns().to_string(),
        optional(waits.quantile_ns(0.5)),
        optional(waits.quantile_ns(0.9)),
        optional(waits.quantile_ns(0.99)),
        optional(waits.max_ns()),
        window.on_cpu_ns().to_string(),
        window.voluntary_switches.to_string(),
        window.involuntary_switches.to_string(),
    ]
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::render::samples;

    #[test]
    fn a_row_is_a_line_after_the_titles() {
        expect![[r#"
            from_ns,to_ns,name,group,kind,source,waits,waits_woken,waits_preempted,wait_ns,wait_woken_ns,wait_preempted_ns,wait_p50_ns,wait_p90_ns,wait_p99_ns,wait_max_ns,on_cpu_ns,voluntary_switches,involuntary_switches
            5000000000,15000000000,/kubepods.slice/kubepods-burstable.slice/pod-3f2a/agent-0017,agents,agent,cgroup,118503,106961,11542,45698786208,5895611296,39803174912,49152,491520,6815744,83886080,12871460224,106961,11542
            5000000000,15000000000,/kubepods.slice/kubepods-burstable.slice/pod-77b1/mcp-filesystem,agents,agent,cgroup,1529939,1529848,91,8989155840,8960352768,28803072,4608,11264,32768,2097152,185268549920,1529848,91
            5000000000,15000000000,kernel threads,agents,agent,kernel,67502,66009,1493,454391040,190997760,263393280,2304,6656,163840,2097152,7898364672,66009,1493
        "#]].assert_eq(&runq_csv(&samples::report(), Some(3), true));
    }

    #[test]
    fn only_the_first_report_has_titles_and_all_rows_are_written_unless_told_otherwise() {
        let text = runq_csv(&samples::report(), None, false);
        assert_eq!(text.lines().count(), samples::report().rows.len());
        assert!(!text.contains("from_ns"));
    }
}
