//! Metrics as OTLP has them, the protocol of OpenTelemetry.
//!
//! Its messages are made directly: the project's SDK makes distributions of single values only, and these
//! have been added up in the kernel.

mod sender;

use opentelemetry_proto::tonic::{
    collector::metrics::v1::ExportMetricsServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
    },
    resource::v1::Resource,
};
use prost::Message as _;

pub use self::sender::OtlpSender;
use super::families::{Family, FamilyKind, Labelled, Value};

/// Counters are sums since the beginning.
const CUMULATIVE: i32 = AggregationTemporality::Cumulative as i32;

/// When what is told of began and ended, in ns since 1970.
#[derive(Clone, Copy, Debug)]
pub struct OtlpTimes {
    /// When counters were zero.
    pub began_ns: u64,
    /// Now.
    pub now_ns: u64,
}

/// What is sent to a collector, as protobuf.
pub fn otlp(host: &str, families: &[Family], times: OtlpTimes) -> Vec<u8> {
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![text("service.name", "hostler"), text("host.name", host)],
                ..Resource::default()
            }),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(InstrumentationScope {
                    name: "hostler".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                    ..InstrumentationScope::default()
                }),
                metrics: families.iter().map(|family| of(family, times)).collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec()
}

fn of(family: &Family, times: OtlpTimes) -> Metric {
    let samples = family.samples.iter();
    let numbers = || {
        samples
            .clone()
            .filter_map(|sample| number(sample, times))
            .collect()
    };
    let data = match family.kind {
        FamilyKind::Counter => metric::Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: CUMULATIVE,
            is_monotonic: true,
        }),
        FamilyKind::Gauge => metric::Data::Gauge(Gauge {
            data_points: numbers(),
        }),
        FamilyKind::Histogram => metric::Data::Histogram(Histogram {
            data_points: samples
                .clone()
                .filter_map(|sample| distribution(sample, times))
                .collect(),
            aggregation_temporality: CUMULATIVE,
        }),
    };
    Metric {
        name: family.name.clone(),
        description: family.help.to_owned(),
        // By the Unified Code for Units of Measure, as OpenTelemetry wants it.
        unit: match family.unit {
            Some("seconds") => "s".to_owned(),
            Some("bytes") => "By".to_owned(),
            _ => "1".to_owned(),
        },
        data: Some(data),
        ..Metric::default()
    }
}

fn number(sample: &Labelled, times: OtlpTimes) -> Option<NumberDataPoint> {
    let Value::Number(value) = sample.value else {
        return None;
    };
    Some(NumberDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: times.began_ns,
        time_unix_nano: times.now_ns,
        value: Some(number_data_point::Value::AsDouble(value)),
        ..NumberDataPoint::default()
    })
}

fn distribution(sample: &Labelled, times: OtlpTimes) -> Option<HistogramDataPoint> {
    let Value::Distribution {
        below,
        count,
        sum_s,
    } = &sample.value
    else {
        return None;
    };
    let mut before = 0;
    let mut bucket_counts: Vec<u64> = Vec::with_capacity(below.len() + 1);
    for (_, not_above) in below {
        bucket_counts.push(not_above - before);
        before = *not_above;
    }
    bucket_counts.push(count - before);
    Some(HistogramDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: times.began_ns,
        time_unix_nano: times.now_ns,
        count: *count,
        sum: Some(*sum_s),
        bucket_counts,
        explicit_bounds: below.iter().map(|(bound_s, _)| *bound_s).collect(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(sample: &Labelled) -> Vec<KeyValue> {
    let labels = sample.labels.iter();
    labels.map(|(name, value)| text(name, value)).collect()
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(any_value::Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_metric_is_what_opentelemetry_has_for_it() {
        let labels = vec![("agent".to_owned(), "a\"b".to_owned())];
        let family = |kind, value| Family {
            name: "hostler_thing_seconds".to_owned(),
            help: "A thing.",
            unit: Some("seconds"),
            kind,
            samples: vec![Labelled {
                labels: labels.clone(),
                value,
            }],
        };
        let families = [
            family(FamilyKind::Counter, Value::Number(1.5)),
            family(FamilyKind::Gauge, Value::Number(2.5)),
            family(
                FamilyKind::Histogram,
                Value::Distribution {
                    below: vec![(0.1, 2), (0.2, 5)],
                    count: 6,
                    sum_s: 0.9,
                },
            ),
        ];
        let times = OtlpTimes {
            began_ns: 5,
            now_ns: 9,
        };
        let bytes = otlp("node-7", &families, times);
        let request = ExportMetricsServiceRequest::decode(&*bytes).expect("it is one");
        let resource = &request.resource_metrics[0];
        let metrics = &resource.scope_metrics[0].metrics;
        assert_eq!(metrics.len(), 3);
        assert_eq!(
            (&*metrics[0].name, &*metrics[0].unit),
            ("hostler_thing_seconds", "s")
        );
        let Some(metric::Data::Sum(sum)) = &metrics[0].data else {
            panic!("a counter is a sum");
        };
        assert!(sum.is_monotonic);
        let point = &sum.data_points[0];
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
        assert_eq!(point.attributes[0], text("agent", "a\"b"));
        assert!(matches!(metrics[1].data, Some(metric::Data::Gauge(_))));
        let Some(metric::Data::Histogram(histogram)) = &metrics[2].data else {
            panic!("a distribution is a histogram");
        };
        let point = &histogram.data_points[0];
        assert_eq!(point.bucket_counts, [2, 3, 1]);
        assert_eq!(point.explicit_bounds, [0.1, 0.2]);
        assert_eq!((point.count, point.sum), (6, Some(0.9)));
    }
}
