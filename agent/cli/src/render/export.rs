//! Metrics as JSON and CSV.

use std::collections::BTreeMap;

use hostler_daemon::{
    instants::instant,
    metrics::{Family, Labelled, Value},
};
use serde::Serialize;

use super::machine::{csv, json_line};

#[derive(Serialize)]
struct FamilyJson<'a> {
    /// Always `metric`.
    report: &'static str,
    /// When, in ms since 1970.
    at_ms: u64,
    metric: &'a str,
    /// `counter`, `gauge` or `histogram`.
    kind: &'static str,
    /// `seconds`, `bytes`, or `null`.
    unit: Option<&'static str>,
    samples: Vec<SampleJson<'a>>,
}

#[derive(Serialize)]
struct SampleJson<'a> {
    labels: BTreeMap<&'a str, &'a str>,
    #[serde(flatten)]
    value: ValueJson<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueJson<'a> {
    Number {
        value: f64,
    },
    Distribution {
        /// Upper bounds in s, and how many are not above each of them.
        below: &'a [(f64, u64)],
        count: u64,
        sum_s: f64,
    },
}

/// A line for each metric.
pub(crate) fn export_json(families: &[Family], at_ms: u64) -> String {
    let lines = families.iter().map(|family| {
        json_line(&FamilyJson {
            report: "metric",
            at_ms,
            metric: &family.name,
            kind: family.kind.as_str(),
            unit: family.unit,
            samples: family.samples.iter().map(sample_json).collect(),
        })
    });
    lines.collect()
}

fn sample_json(sample: &Labelled) -> SampleJson<'_> {
    let labels = sample.labels.iter();
    SampleJson {
        labels: labels.map(|(name, value)| (&**name, &**value)).collect(),
        value: match &sample.value {
            Value::Number(value) => ValueJson::Number { value: *value },
            Value::Distribution {
                below,
                count,
                sum_s,
            } => ValueJson::Distribution {
                below,
                count: *count,
                sum_s: *sum_s,
            },
        },
    }
}

/// Labels that have columns of their own; the others are in one, as `name=value;…`.
const COLUMNS: [&str; 2] = ["group", "agent"];

/// A line for each sample, after a line of titles if it is the first. A distribution is its count, its sum,
/// and how many were not above each bound.
pub(crate) fn export_csv(families: &[Family], at_ms: u64, is_first: bool) -> String {
    const TITLES: [&str; 6] = ["time", "metric", "group", "agent", "labels", "value"];
    let time = instant(at_ms);
    let samples = families.iter().flat_map(|family| {
        let samples = family.samples.iter();
        samples.flat_map(|sample| values(&family.name, sample))
    });
    let rows = samples.map(|(metric, labels, value)| {
        let [group, agent] = COLUMNS.map(|column| {
            let found = labels.iter().find(|(name, _)| name == column);
            found.map_or_else(String::new, |(_, value)| value.clone())
        });
        let others = labels
            .iter()
            .filter(|(name, _)| !COLUMNS.contains(&&**name));
        let others = others.map(|(name, value)| format!("{name}={value}"));
        let others = others.collect::<Vec<_>>().join(";");
        [time.clone(), metric, group, agent, others, value]
    });
    csv(TITLES, is_first, rows)
}

type Row = (String, Vec<(String, String)>, String);

fn values(name: &str, sample: &Labelled) -> Vec<Row> {
    let labels = &sample.labels;
    match &sample.value {
        Value::Number(value) => vec![(name.to_owned(), labels.clone(), value.to_string())],
        Value::Distribution {
            below,
            count,
            sum_s,
        } => {
            let bounds = below.iter().map(|(bound_s, not_above)| {
                let mut labels = labels.clone();
                labels.push(("le".to_owned(), bound_s.to_string()));
                (format!("{name}_bucket"), labels, not_above.to_string())
            });
            let whole = [
                (format!("{name}_sum"), labels.clone(), sum_s.to_string()),
                (format!("{name}_count"), labels.clone(), count.to_string()),
            ];
            bounds.chain(whole).collect()
        }
    }
}

#[cfg(test)]
#[allow(clippy::needless_raw_string_hashes, reason = "expect-test writes them")]
mod tests {
    use expect_test::expect;
    use hostler_daemon::metrics::FamilyKind;

    use super::*;

    fn families() -> Vec<Family> {
        let labels = |agent: &str, more: &str| {
            let pairs = [("agent", agent), ("group", "g"), ("state", more)];
            pairs
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .to_vec()
        };
        vec![
            Family {
                name: "hostler_agent_thread_seconds".to_owned(),
                help: "",
                unit: Some("seconds"),
                kind: FamilyKind::Counter,
                samples: vec![Labelled {
                    labels: labels("a\u{1b},b", "on_cpu"),
                    value: Value::Number(1.5),
                }],
            },
            Family {
                name: "hostler_host_wait_seconds".to_owned(),
                help: "",
                unit: Some("seconds"),
                kind: FamilyKind::Histogram,
                samples: vec![Labelled {
                    labels: Vec::new(),
                    value: Value::Distribution {
                        below: vec![(0.5, 2)],
                        count: 3,
                        sum_s: 1.25,
                    },
                }],
            },
        ]
    }

    #[test]
    fn in_json_a_metric_is_a_line() {
        expect![[r#"
            {"report":"metric","at_ms":1764165780000,"metric":"hostler_agent_thread_seconds","kind":"counter","unit":"seconds","samples":[{"labels":{"agent":"a\u001b,b","group":"g","state":"on_cpu"},"value":1.5}]}
            {"report":"metric","at_ms":1764165780000,"metric":"hostler_host_wait_seconds","kind":"histogram","unit":"seconds","samples":[{"labels":{},"below":[[0.5,2]],"count":3,"sum_s":1.25}]}
        "#]].assert_eq(&export_json(&families(), 1_764_165_780_000));
    }

    #[test]
    fn in_csv_a_sample_is_a_line() {
        expect![[r#"
            time,metric,group,agent,labels,value
            2025-11-26T14:03:00Z,hostler_agent_thread_seconds,g,"a\u{1b},b",state=on_cpu,1.5
            2025-11-26T14:03:00Z,hostler_host_wait_seconds_bucket,,,le=0.5,2
            2025-11-26T14:03:00Z,hostler_host_wait_seconds_sum,,,,1.25
            2025-11-26T14:03:00Z,hostler_host_wait_seconds_count,,,,3
        "#]]
        .assert_eq(&export_csv(&families(), 1_764_165_780_000, true));
    }
}
