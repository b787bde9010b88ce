//! The reference page, made of the catalogue.

use super::{
    catalogue::{
        COUNTS, DISTRIBUTED, DISTRIBUTIONS, HOST, LOSSES, OWN, OWN_PREFIX, PROCESS, SERIES,
        SERIES_LEFT_OUT, Scope, TICK_SECONDS,
    },
    text::{Kind, Metric},
};

const HEAD: &str = "\
# Metrics

What `hostler run` serves at `/metrics`; this page is made of the same tables as the metrics themselves.
Counters begin at zero when Hostler starts to measure, and never go backwards until then. A metric that
can't be had on a host, or was not asked for, is not there.

`group` is a group of agents, `agent` one agent: `hostler_group_…` holds the sums over all agents of a
group, also of those that have gone, `hostler_host_…` those over all groups, and `hostler_agent_…` the
agents that the policy chooses. A group whose agents have all been gone for `metrics.linger` is added to
`[other groups]`. Histograms have buckets at powers of two from 1,024 ns to 69 s.
";

/// The page, in Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Agents, groups and the host");
    for of in COUNTS {
        row(&mut page, of.scopes, &of.metric);
    }
    for of in DISTRIBUTIONS {
        row(&mut page, &DISTRIBUTED, &of.metric);
    }
    section(&mut page, "The host");
    for of in HOST {
        row(&mut page, &[Scope::Host], &of.metric);
    }
    section(&mut page, "What is not exact");
    for of in LOSSES {
        own_row(&mut page, OWN_PREFIX, &of.metric);
    }
    section(&mut page, "Hostler itself");
    for metric in OWN.iter().map(|of| &of.metric) {
        own_row(&mut page, OWN_PREFIX, metric);
    }
    for metric in [&TICK_SECONDS, &SERIES, &SERIES_LEFT_OUT] {
        own_row(&mut page, OWN_PREFIX, metric);
    }
    for of in PROCESS {
        own_row(&mut page, "", &of.metric);
    }
    page
}

fn section(page: &mut String, title: &str) {
    page.push_str("\n## ");
    page.push_str(title);
    page.push_str("\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n");
}

fn row(page: &mut String, scopes: &[Scope], metric: &Metric) {
    let names: Vec<String> = scopes
        .iter()
        .map(|scope| name(scope.prefix(), metric))
        .collect();
    let mut labels: Vec<&str> = Vec::new();
    for label in scopes.iter().flat_map(|scope| scope.labels()) {
        if !labels.contains(label) {
            labels.push(label);
        }
    }
    labels.extend(metric.labels);
    write(page, &names, &labels, metric);
}

fn own_row(page: &mut String, prefix: &str, metric: &Metric) {
    write(page, &[name(prefix, metric)], metric.labels, metric);
}

fn name(prefix: &str, metric: &Metric) -> String {
    let suffix = match metric.kind {
        Kind::Counter => "_total",
        Kind::Gauge | Kind::Histogram => "",
    };
    format!("`{prefix}{}{suffix}`", metric.name)
}

fn write(page: &mut String, names: &[String], labels: &[&str], metric: &Metric) {
    let quoted: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
    let cells = [
        names.join("<br>"),
        metric.kind.as_str().to_owned(),
        quoted.join(", "),
        metric.help.to_owned(),
    ];
    page.push_str("| ");
    page.push_str(&cells.join(" | "));
    page.push_str(" |\n");
}
