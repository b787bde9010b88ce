//! How the daemon does.

use std::time::Duration;

use humantime::format_duration;

use crate::report::StatusReport;

use super::{facts::wrapped, machine::json_line, units::count};

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn status_json(report: &StatusReport) -> String {
    json_line(report)
}

/// The report as text `width` columns wide, its last line's end included.
pub(crate) fn status_text(report: &StatusReport, width: usize) -> String {
    let whole_seconds = |ms: u64| format_duration(Duration::from_secs(ms / 1000)).to_string();
    let tick = format_duration(Duration::from_millis(report.tick_ms));
    let facts = [
        (
            "Hostler",
            format!("{}, process {}", report.version, report.pid),
        ),
        ("runs for", whole_seconds(report.uptime_ms)),
        ("host", format!("{}, Linux {}", report.host, report.kernel)),
        ("configuration", report.configuration.clone()),
        (
            "metrics",
            report
                .metrics_address
                .as_ref()
                .map_or("not served".to_owned(), |address| {
                    format!("http(s)://{address}/metrics")
                }),
        ),
        ("history", report.history.clone()),
        ("agents", count(report.agents)),
        ("watched by", count(report.watchers.into())),
        (
            "ticks",
            format!(
                "{}, each {tick}; {} late; the last one {} ms ago",
                count(report.ticks),
                count(report.late_ticks),
                report.silent_ms
            ),
        ),
    ];
    let rows = facts.map(|(name, value)| [name.to_owned(), value]);
    wrapped(rows.into_iter(), width).join("\n") + "\n"
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn it_says_what_runs_where_and_how_well() {
        let report = StatusReport {
            version: "0.1.0".to_owned(),
            pid: 4242,
            uptime_ms: 93_784_000,
            host: "node-7".to_owned(),
            kernel: "6.1.0".to_owned(),
            configuration: "/etc/hostler/hostler.toml".to_owned(),
            metrics_address: Some("127.0.0.1:9465".to_owned()),
            history: "kept in /var/lib/hostler".to_owned(),
            agents: 4462,
            watchers: 1,
            tick_ms: 1000,
            ticks: 93_784,
            late_ticks: 3,
            silent_ms: 420,
        };
        expect![[r#"
            Hostler       0.1.0, process 4242
            runs for      1day 2h 3m 4s
            host          node-7, Linux 6.1.0
            configuration /etc/hostler/hostler.toml
            metrics       http(s)://127.0.0.1:9465/metrics
            history       kept in /var/lib/hostler
            agents        4,462
            watched by    1
            ticks         93,784, each 1s; 3 late; the last one 420 ms ago
        "#]]
        .assert_eq(&status_text(&report, 80));
    }
}
