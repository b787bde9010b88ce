//! How the daemon does.

use std::time::Duration;

use humantime::format_duration;

use hostler_decide::measures::Measure;

use crate::report::{AlertLine, StatusReport};

use super::{
    facts::wrapped,
    foreign::printable,
    machine::json_line,
    measured::{measured, time_of_day},
    units::count,
};

/// The report as one JSON object on one line, the line's end included.
pub(crate) fn status_json(report: &StatusReport) -> String {
    json_line(report)
}

/// Alerts that are shown one by one.
const ALERTS: usize = 10;

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
        ("changes", report.changes.clone()),
        ("alerts", firing(report)),
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
    let mut lines = wrapped(rows.into_iter(), width);
    let alerts = report.alerts.iter().take(ALERTS).map(alert);
    let alerts = wrapped(alerts, width.saturating_sub(2));
    lines.extend(alerts.into_iter().map(|line| format!("  {line}")));
    lines.join("\n") + "\n"
}

fn firing(report: &StatusReport) -> String {
    match report.alerts_firing {
        0 => "none fires".to_owned(),
        1 => "1 fires:".to_owned(),
        number if number > ALERTS as u64 => {
            format!("{} fire, of these the first {ALERTS}:", count(number))
        }
        number => format!("{number} fire:"),
    }
}

/// One that fires: its rule, and what it is about.
fn alert(alert: &AlertLine) -> [String; 2] {
    let subject = match (&*alert.scope, &*alert.group, &*alert.agent) {
        ("host", ..) => "the host".to_owned(),
        ("group", group, _) => format!("group {}", printable(group)),
        (_, _, agent) => printable(agent).into_owned(),
    };
    let value = match alert.measure.parse::<Measure>() {
        Ok(measure) => format!("{measure} {}", measured(measure, alert.value)),
        Err(_) => "is not there".to_owned(),
    };
    let since = time_of_day(alert.since_ms);
    let summary = printable(&alert.summary);
    let text = format!("{subject}: {value}, since {since} UTC. {summary}");
    let name = format!("{} ({})", alert.name, alert.severity);
    [name, text.trim_end().to_owned()]
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
            changes: "none: plan.mode is not act".to_owned(),
            alerts: vec![
                AlertLine {
                    name: "tools-wait".to_owned(),
                    severity: "warning".to_owned(),
                    summary: "Tool servers wait for a CPU.".to_owned(),
                    scope: "agent".to_owned(),
                    group: "tools".to_owned(),
                    agent: "tools/mcp-files".to_owned(),
                    measure: "wait_p99".to_owned(),
                    value: Some(3.2e7),
                    since_ms: 1_764_165_780_000,
                },
                AlertLine {
                    name: "tool-gone".to_owned(),
                    severity: "critical".to_owned(),
                    summary: String::new(),
                    scope: "agent".to_owned(),
                    group: String::new(),
                    agent: "mcp-search".to_owned(),
                    measure: String::new(),
                    value: None,
                    since_ms: 1_764_165_780_000,
                },
            ],
            alerts_firing: 2,
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
            changes       none: plan.mode is not act
            alerts        2 fire:
            agents        4,462
            watched by    1
            ticks         93,784, each 1s; 3 late; the last one 420 ms ago
              tools-wait (warning) tools/mcp-files: wait_p99 32.0 ms, since 2025-11-26
                                   14:03:00 UTC. Tool servers wait for a CPU.
              tool-gone (critical) mcp-search: is not there, since 2025-11-26 14:03:00
                                   UTC.
        "#]]
        .assert_eq(&status_text(&report, 80));
    }
}
